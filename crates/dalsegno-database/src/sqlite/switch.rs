use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::in_place::InPlace;
use super::offline::{self, Replacement};
use super::plan::plan_for;
use super::target::exists;
use super::{ReplaceReason, Staged, SwitchMethod};
use crate::{DatabaseError, Result, SwitchOptions, Watch};

/// The record of a switch that took place: what [`super::rollback()`] needs, fit for a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// The live database, links resolved.
    pub live: PathBuf,
    /// The restore.
    pub restore_id: String,
    /// How it was done.
    pub method: SwitchMethod,
    /// Pages of the live file that were written.
    pub pages_changed: u64,
    /// The complete old database; `None` if there was none.
    pub kept: Option<PathBuf>,
    /// Digest of what the live database holds since: tells later whether it was written to.
    pub content: String,
}

impl Staged {
    /// Puts the copy in the live database's place, at once.
    ///
    /// At any instant, a killed process and a power cut included, the live database is the old one
    /// or the new one. On an error it is the old one, and neither the copy nor a kept file stays;
    /// only where the system refused to say whether the commit took place, both stay for
    /// [`Target::recover`](super::Target::recover) to tell.
    /// `watch` may stop the work until just before the commit.
    pub fn switch(self, options: SwitchOptions, watch: &mut dyn Watch) -> Result<Switched> {
        let (target, image) = (&self.target, &self.image);
        let kept = target.kept();
        if exists(&kept)? {
            return Err(DatabaseError::Exists { path: kept });
        }
        let method = plan_for(target.live(), image, options.lock_timeout)?;
        let mut pages_changed = u64::from(image.pages);
        match &method {
            SwitchMethod::Create => offline::create(target, &image.path)?,
            SwitchMethod::InPlace => {
                let job = InPlace {
                    live: target.live(),
                    image,
                    keep: Some((target.part(), kept.clone())),
                    expect: None,
                    restore_id: target.restore_id(),
                    busy_timeout: options.lock_timeout,
                };
                match job.run(watch) {
                    Ok(written) => pages_changed = written.pages_changed,
                    Err(error) => {
                        if exists(&kept).unwrap_or(true) {
                            std::mem::forget(self);
                        }
                        return Err(error);
                    }
                }
            }
            SwitchMethod::Replace(reason) => offline::replace(&Replacement {
                live: target.live(),
                new: &image.path,
                kept: &kept,
                readable: !matches!(reason, ReplaceReason::Unreadable(_)),
                expect: None,
                timeout: options.lock_timeout,
            })?,
        }
        Ok(Switched {
            live: target.live().to_owned(),
            restore_id: target.restore_id().to_owned(),
            kept: (method != SwitchMethod::Create).then_some(kept),
            method,
            pages_changed,
            content: image.content.clone(),
        })
    }
}
