use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::connection::open_live;
use super::cookie;
use super::in_place::InPlace;
use super::offline::{self, Replacement, fingerprint};
use super::pages::live_header;
use super::plan::plan_for;
use super::staging::Image;
use super::target::{exists, remove, remove_all, same_file, sync_folder};
use super::{Source, SwitchMethod, Switched, Target};
use crate::{DatabaseError, Place, Result, RollbackOptions, Watch};

/// A rollback that took place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// How it was done.
    pub method: SwitchMethod,
    /// Pages of the live file that were written.
    pub pages_changed: u64,
    /// What was written after the restore, if a forced rollback found any: a complete database.
    pub present: Option<PathBuf>,
}

/// Puts the old database of `switched` back: the same switch, reversed.
///
/// Refused if the live database was written to since, unless forced. A rollback that was killed
/// may be run again. Afterwards the kept copy is gone.
pub fn rollback(
    switched: &Switched,
    options: RollbackOptions,
    watch: &mut dyn Watch,
) -> Result<RolledBack> {
    let target = Target::new(&switched.live, &switched.restore_id)?;
    let done = match &switched.kept {
        None => uncreate(&target, switched, options)?,
        Some(kept) => reinstate(&target, switched, kept, options, watch)?,
    };
    remove_all(&target.kept())?;
    sync_folder(target.live())?;
    Ok(done)
}

fn uncreate(target: &Target, switched: &Switched, options: RollbackOptions) -> Result<RolledBack> {
    let present = target.present();
    if exists(target.live())? {
        let expect = (!options.force).then_some(switched.content.as_str());
        offline::withdraw(target.live(), &present, expect, options.lock_timeout)?;
    }
    offline::move_sidecars(&target.kept(), target.live())?;
    let present = keep_if_changed(&present, &switched.content, options)?;
    Ok(RolledBack { method: SwitchMethod::Create, pages_changed: 0, present })
}

fn reinstate(
    target: &Target,
    switched: &Switched,
    kept: &Path,
    options: RollbackOptions,
    watch: &mut dyn Watch,
) -> Result<RolledBack> {
    let present = target.present();
    if !exists(kept)? {
        // Replacing uses up the kept file; killed right after, only the present one is there.
        if matches!(switched.method, SwitchMethod::Replace(_)) && exists(&present)? {
            offline::move_sidecars(kept, target.live())?;
            let present = keep_if_changed(&present, &switched.content, options)?;
            return Ok(RolledBack { method: switched.method.clone(), pages_changed: 0, present });
        }
        return Err(DatabaseError::KeptMissing { place: Place::file_at(kept) });
    }
    if exists(&present)? {
        if !exists(target.live())? || same_file(target.live(), &present) {
            offline::put_back(target.live(), &present)?;
        } else if let Some(done) = finished(target, switched, kept, options)? {
            return Ok(done);
        }
    }
    // Not rolled back, so what an earlier attempt kept is still in the live database.
    remove(&target.part())?;
    remove_all(&present)?;
    let expect = (!options.force).then_some(switched.content.as_str());
    if matches!(switched.method, SwitchMethod::InPlace) {
        let image = Image::read(kept)?;
        let method = plan_for(target.live(), &image, options.lock_timeout)?;
        if method == SwitchMethod::InPlace {
            return write_back(target, switched, &image, options, watch);
        }
    }
    if exists(target.live())? {
        let readable = is_readable(target.live(), options.lock_timeout)?;
        if !readable && !options.force {
            return Err(DatabaseError::ChangedSince { place: Place::file_at(target.live()) });
        }
        offline::replace(&Replacement {
            live: target.live(),
            new: kept,
            kept: &present,
            readable,
            expect,
            timeout: options.lock_timeout,
        })?;
        offline::move_sidecars(kept, target.live())?;
    } else {
        offline::create(target, kept)?;
        offline::move_sidecars(kept, target.live())?;
    }
    let present = keep_if_changed(&present, &switched.content, options)?;
    let method = switched.method.clone();
    Ok(RolledBack { method, pages_changed: 0, present })
}

fn write_back(
    target: &Target,
    switched: &Switched,
    image: &Image,
    options: RollbackOptions,
    watch: &mut dyn Watch,
) -> Result<RolledBack> {
    let present = target.present();
    let undo = undo_id(&switched.restore_id);
    let job = InPlace {
        live: target.live(),
        image,
        keep: options.force.then(|| (target.part(), present.clone())),
        expect: (!options.force).then_some(switched.content.as_str()),
        restore_id: &undo,
        busy_timeout: options.lock_timeout,
    };
    let pages_changed = match job.run(watch) {
        Ok(written) => {
            // Neither what was restored nor what is there again since an attempt that was killed after
            // its commit is worth keeping.
            if [&switched.content, &image.content].contains(&&written.before) {
                remove_all(&present)?;
            }
            written.pages_changed
        }
        // Killed after its commit, the rollback only has its tidying left.
        Err(DatabaseError::ChangedSince { .. }) if holds(target.live(), image, options)? => 0,
        Err(error) => return Err(error),
    };
    let present = exists(&present)?.then_some(present);
    Ok(RolledBack { method: SwitchMethod::InPlace, pages_changed, present })
}

/// What a forced rollback in place that died after its commit has to report.
fn finished(
    target: &Target,
    switched: &Switched,
    kept: &Path,
    options: RollbackOptions,
) -> Result<Option<RolledBack>> {
    let Ok(image) = Image::read(kept) else { return Ok(None) };
    if !holds(target.live(), &image, options)? && !took_place(target, &image, options)? {
        return Ok(None);
    }
    let options = RollbackOptions { force: true, ..options };
    let present = keep_if_changed(&target.present(), &switched.content, options)?;
    Ok(Some(RolledBack { method: switched.method.clone(), pages_changed: 0, present }))
}

fn holds(live: &Path, image: &Image, options: RollbackOptions) -> Result<bool> {
    let connection = open_live(live, options.lock_timeout)?;
    Ok(fingerprint(&connection, live)? == image.content)
}

/// Whether the commit of the rollback that kept the present state is behind the live database, to
/// which the site has written again since.
fn took_place(target: &Target, old: &Image, options: RollbackOptions) -> Result<bool> {
    let Ok(present) = Image::read(&target.present()) else { return Ok(false) };
    let connection = open_live(target.live(), options.lock_timeout)?;
    let Some(now) = live_header(&connection, target.live())? else { return Ok(false) };
    let undo = undo_id(target.restore_id());
    Ok(cookie::took_place(&now, &present.header, &old.header, &undo))
}

/// The id under which a rollback writes.
fn undo_id(restore_id: &str) -> String {
    format!("{restore_id}-back")
}

fn is_readable(live: &Path, timeout: Duration) -> Result<bool> {
    match Source::Live(live, timeout).open().and_then(|c| fingerprint(&c, live)) {
        Ok(_) => Ok(true),
        Err(error @ (DatabaseError::Locked { .. } | DatabaseError::NoAccess { .. })) => Err(error),
        Err(_) => Ok(false),
    }
}

/// The state a forced rollback replaced is worth keeping only if it is not the restored one.
fn keep_if_changed(
    present: &Path,
    content: &str,
    options: RollbackOptions,
) -> Result<Option<PathBuf>> {
    if !exists(present)? {
        return Ok(None);
    }
    if !options.force || Image::read(present).is_ok_and(|image| image.content == content) {
        remove_all(present)?;
        return Ok(None);
    }
    Ok(Some(present.to_owned()))
}
