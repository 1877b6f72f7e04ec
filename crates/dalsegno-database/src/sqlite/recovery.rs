use std::time::Duration;

use super::connection::open_live;
use super::cookie;
use super::offline::{self, fingerprint};
use super::pages::live_header;
use super::plan::difference;
use super::staging::Image;
use super::target::{SIDECARS, exists, remove, remove_all, same_file, suffixed, sync_folder};
use super::{ReplaceReason, SwitchMethod, Switched, Target};
use crate::Result;

/// What [`Target::recover`] found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// The restore left nothing: it did not begin to stage, or is over.
    ///
    /// A switch that created a database also leaves nothing; there, a live file where the plan had
    /// none tells that it took place.
    Nothing,
    /// The switch had not taken place: the live database is the old one, the rest is removed.
    Undone,
    /// The switch had taken place: the live database is the new one, and the old one is kept.
    Switched(Box<Switched>),
}

impl Target {
    /// Finishes or undoes what a killed restore left beside the live database.
    ///
    /// Only for a restore that no process is working on.
    pub fn recover(&self, busy_timeout: Duration) -> Result<Recovered> {
        let (live, kept, staged) = (self.live(), self.kept(), self.staged());
        let staged_there = exists(&staged)?;
        if !exists(&kept)? {
            let part = exists(&self.part())?;
            let mut aside = false;
            for suffix in SIDECARS {
                aside |= exists(&suffixed(&kept, suffix))?;
            }
            if aside && exists(live)? && !staged_there {
                return self.record(SwitchMethod::Create, busy_timeout);
            }
            if !staged_there && !part && !aside {
                return Ok(Recovered::Nothing);
            }
            offline::move_sidecars(&kept, live)?;
            return self.undo();
        }
        if !exists(live)? || same_file(live, &kept) {
            offline::put_back(live, &kept)?;
            return self.undo();
        }
        let old = Image::read(&kept);
        if staged_there && !self.took_place(old.as_ref().ok(), busy_timeout)? {
            remove_all(&kept)?;
            return self.undo();
        }
        remove_all(&staged)?;
        let method = self.method(old, busy_timeout)?;
        self.record(method, busy_timeout)
    }

    fn undo(&self) -> Result<Recovered> {
        remove(&self.part())?;
        remove_all(&self.staged())?;
        sync_folder(self.live())?;
        Ok(Recovered::Undone)
    }

    /// Both the kept copy and the staged one are there: the process died around the commit.
    fn took_place(&self, old: Option<&Image>, timeout: Duration) -> Result<bool> {
        let (Some(old), Ok(new)) = (old, Image::read(&self.staged())) else { return Ok(false) };
        let connection = open_live(self.live(), timeout)?;
        let Some(now) = live_header(&connection, self.live())? else { return Ok(false) };
        Ok(cookie::took_place(&now, &old.header, &new.header, self.restore_id()))
    }

    fn method(&self, old: Result<Image>, timeout: Duration) -> Result<SwitchMethod> {
        let old = match old {
            Ok(old) => old,
            Err(error) => {
                return Ok(SwitchMethod::Replace(ReplaceReason::Unreadable(error.to_string())));
            }
        };
        let connection = open_live(self.live(), timeout)?;
        let now = live_header(&connection, self.live())?;
        let reason = now.and_then(|now| difference(&old.header, now.compared()));
        Ok(reason.map_or(SwitchMethod::InPlace, SwitchMethod::Replace))
    }

    fn record(&self, method: SwitchMethod, timeout: Duration) -> Result<Recovered> {
        let connection = open_live(self.live(), timeout)?;
        let kept = exists(&self.kept())?.then(|| self.kept());
        Ok(Recovered::Switched(Box::new(Switched {
            live: self.live().to_owned(),
            restore_id: self.restore_id().to_owned(),
            method,
            pages_changed: 0,
            kept,
            content: fingerprint(&connection, self.live())?,
        })))
    }
}
