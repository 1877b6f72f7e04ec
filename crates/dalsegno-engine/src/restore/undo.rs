//! The ways back: `rollback` puts the old data in place again, `discard` drops them.

use std::fs;

use dalsegno_database::{DatabaseError, Place, RollbackOptions, Switched};
use dalsegno_media::MediaError;
use dalsegno_store::sync_folder;

use super::record::{RestoreRecord, State, find_restore};
use super::recover::{recover, sweep};
use super::switch::BUSY_TIMEOUT;
use crate::backup::RunWatch;
use crate::lock::Lock;
use crate::{EngineError, Run, Site};

/// What a rollback did.
#[derive(Debug)]
pub struct RollbackReport {
    /// The record afterwards.
    pub record: RestoreRecord,
    /// What was written after the restore and is kept.
    pub present: Vec<Place>,
}

/// What a discard did.
#[derive(Debug)]
pub struct DiscardReport {
    /// The record afterwards.
    pub record: RestoreRecord,
    /// The kept old data that are gone.
    pub removed: Vec<Place>,
}

/// Puts back what a restore replaced. When data were written since, it is refused without `force`;
/// with it, the present state is kept first.
pub fn rollback(
    site: &Site,
    record: &RestoreRecord,
    force: bool,
    run: Run<'_>,
) -> Result<RollbackReport, EngineError> {
    let _lock = Lock::take(&site.settings().root, "rollback", run)?;
    recover(site, force.then_some(record.id), &record.lives(), run)?;
    let before = record.state;
    let mut record = find_restore(site, &record.id.to_string())?;
    match (before, record.state) {
        (_, State::Switched) => {}
        // It was interrupted, and bringing it to an end was what is asked for.
        (State::Switching | State::Staging, State::Failed)
        | (State::RollingBack, State::RolledBack) => {
            let present = record.keeps();
            return Ok(RollbackReport { record, present });
        }
        (_, state) => return Err(wrong_state(&record, state, "rolled back")),
    }
    if let Some(alias) = record.in_place().first() {
        let (id, alias) = (record.id.to_string(), (*alias).to_owned());
        return Err(EngineError::NoRollback { id, alias, pre_backup: record.pre_backup.clone() });
    }
    record.check_places(site)?;
    if !force {
        refuse_changed(site, &record, run)?;
    }
    run.progress.stage("rolling back", None);
    record.enter(State::RollingBack)?;
    let before = record.switched_steps();
    let now = if force { Present::Keep } else { Present::Refuse };
    let present = match undo_steps(site, &mut record, now, run) {
        Ok(present) => present,
        Err(error) if is_as_before(site, &mut record, &before) => return Err(error),
        Err(error) => return Err(stuck(&record, &before, error)),
    };
    record.finish(State::RolledBack, run)?;
    Ok(RollbackReport { record, present })
}

/// Takes the rollback back when nothing of it was done: the next verb must not finish what failed.
fn is_as_before(site: &Site, record: &mut RestoreRecord, before: &[String]) -> bool {
    record.switched_steps() == before
        && sweep(site, record).is_ok()
        && record.switched_steps() == before
        && record.enter(State::Switched).is_ok()
}

/// The error of a rollback that stopped on its way, with what lies on which side.
pub(super) fn stuck(record: &RestoreRecord, before: &[String], error: EngineError) -> EngineError {
    let restored = record.switched_steps();
    EngineError::RollbackStuck {
        id: record.id.to_string(),
        old: before.iter().filter(|step| !restored.contains(step)).cloned().collect(),
        restored,
        source: Box::new(error),
    }
}

/// Drops the old data that a restore kept; it cannot be rolled back afterwards.
pub fn discard(
    site: &Site,
    record: &RestoreRecord,
    run: Run<'_>,
) -> Result<DiscardReport, EngineError> {
    let _lock = Lock::take(&site.settings().root, "discard", run)?;
    recover(site, None, &record.lives(), run)?;
    let before = record.state;
    let mut record = find_restore(site, &record.id.to_string())?;
    match (before, record.state) {
        // One that is still being discarded could not be finished: why is told now.
        (_, State::Switched | State::RolledBack | State::Discarding) => {}
        (State::Discarding, State::Discarded) => {
            return Ok(DiscardReport { record, removed: Vec::new() });
        }
        (_, state) => return Err(wrong_state(&record, state, "discarded")),
    }
    record.check_places(site)?;
    run.progress.stage("discarding the old data", None);
    record.enter(State::Discarding)?;
    let removed = discard_steps(site, &record, run)?;
    record.finish(State::Discarded, run)?;
    Ok(DiscardReport { record, removed })
}

/// Drops everything a restore keeps beside the live data; may be run again after being killed.
pub(super) fn discard_steps(
    site: &Site,
    record: &RestoreRecord,
    run: Run<'_>,
) -> Result<Vec<Place>, EngineError> {
    let removed = record.keeps();
    // What cannot be removed does not keep the rest.
    let mut failed = None;
    for step in &record.databases {
        let done = step
            .target(site, record.id)
            .and_then(|target| target.discard().map_err(EngineError::database(&step.alias)));
        crate::step::step("discard");
        failed = failed.or(done.err());
    }
    let cancelled = || run.cancel.requested();
    for step in &record.storages {
        let kept = step.switched.as_ref().and_then(|s| s.kept.clone());
        for path in kept.into_iter().chain(step.present.clone()) {
            let done = dalsegno_media::discard(&path, &cancelled);
            crate::step::step("discard");
            failed = failed.or(done.map_err(EngineError::media(&step.alias)).err());
        }
    }
    let kept = record.fixtures.iter().filter_map(|step| step.kept.as_ref());
    for path in kept.chain(&record.present_fixtures) {
        failed = failed.or(remove(path).err());
    }
    match failed {
        None => Ok(removed),
        Some(EngineError::Cancelled) => Err(EngineError::Cancelled),
        Some(error) => {
            Err(EngineError::DiscardStuck { id: record.id.to_string(), source: Box::new(error) })
        }
    }
}

fn wrong_state(record: &RestoreRecord, state: State, verb: &'static str) -> EngineError {
    EngineError::RestoreState { id: record.id.to_string(), state: state.words().to_owned(), verb }
}

/// What becomes of what is live until now, when old data are put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    /// What was written since is not given up: refused.
    Refuse,
    /// It is kept, unless nothing was written since.
    Keep,
}

/// Looks at everything before anything is put back: a refusal half-way would leave a mixture.
pub(super) fn refuse_changed(
    site: &Site,
    record: &RestoreRecord,
    run: Run<'_>,
) -> Result<(), EngineError> {
    for step in &record.databases {
        let Some(switched) = step.switched.as_ref().filter(|s| s.can_be_undone()) else { continue };
        let failed = || EngineError::database(&step.alias);
        let target = step.target(site, record.id)?;
        if target.written_since(switched, BUSY_TIMEOUT).map_err(failed())? {
            let place = step.live.clone();
            return Err(failed()(DatabaseError::ChangedSince { place }));
        }
    }
    for step in &record.fixtures {
        if step.is_changed()? {
            return Err(EngineError::FixtureChanged { path: step.live.clone() });
        }
    }
    let cancelled = || run.cancel.requested();
    for step in &record.storages {
        let Some(switched) = &step.switched else { continue };
        let failed = || EngineError::media(&step.alias);
        let written = dalsegno_media::written_since(switched, &cancelled).map_err(failed())?;
        if let Some(first) = written {
            let first = String::from_utf8_lossy(&first).into_owned();
            return Err(failed()(MediaError::ChangedSince { root: step.live.clone(), first }));
        }
    }
    Ok(())
}

/// Puts back every step that was switched, the last first; each is struck from the record when it
/// is done, so that a rollback that was killed can be run again. Databases whose rows were replaced
/// where they lie stay as they are, and in the record.
pub(super) fn undo_steps(
    site: &Site,
    record: &mut RestoreRecord,
    now: Present,
    run: Run<'_>,
) -> Result<Vec<Place>, EngineError> {
    let force = now != Present::Refuse;
    let mut present = Vec::new();
    while let Some(step) = record.fixtures.last().cloned() {
        // Until its switch the live file is the old one: without a kept copy it never came to that.
        let was_switched = step.kept.as_ref().is_none_or(|kept| kept.symlink_metadata().is_ok());
        if was_switched && now == Present::Keep && step.is_changed()? && !step.is_kept_itself() {
            let aside = step.present(&record.id.short());
            fs::rename(&step.live, &aside).map_err(|e| EngineError::io("keep", &step.live, e))?;
            present.push(Place::File(aside.clone()));
            record.present_fixtures.push(aside);
        }
        match &step.kept {
            Some(kept) if was_switched => {
                fs::rename(kept, &step.live)
                    .and_then(|()| remove_if_there(kept))
                    .map_err(|e| EngineError::io("put back", &step.live, e))?;
            }
            Some(_) => {}
            None if step.is_changed()? => {}
            None => remove(&step.live)?,
        }
        if let Some(folder) = step.live.parent() {
            sync_folder(folder)?;
        }
        record.fixtures.pop();
        record.write()?;
    }
    let cancelled = || false;
    for index in (0..record.storages.len()).rev() {
        let step = &mut record.storages[index];
        let Some(switched) = step.switched.clone() else { continue };
        let failed = || EngineError::media(&step.alias);
        // Looked at once more after the exchange: what came in between is kept too.
        let back = dalsegno_media::rollback(&switched, true, &cancelled).map_err(failed())?;
        let there = back.present.clone().map(|live| dalsegno_media::Switched { live, ..switched });
        let written = match &there {
            Some(there) => dalsegno_media::written_since(there, &cancelled).map_err(failed())?,
            None => None,
        };
        step.switched = None;
        step.present = back.present.filter(|_| written.is_some());
        present.extend(step.present.clone().map(Place::File));
        record.write()?;
        if let (None, Some(there)) = (written, there) {
            // Nothing but the restored backup; what cannot be removed, `doctor` names.
            let _ = dalsegno_media::discard(&there.live, &cancelled);
        }
    }
    let options = RollbackOptions { lock_timeout: BUSY_TIMEOUT, force };
    let id = record.id;
    for index in (0..record.databases.len()).rev() {
        let step = &mut record.databases[index];
        let Some(switched) = step.switched.clone().filter(Switched::can_be_undone) else {
            continue;
        };
        let target = step.target(site, id)?;
        let back = match target.rollback(&switched, options, &mut RunWatch(run)) {
            // The kept copy goes last: a rollback that was killed after that is done.
            Err(DatabaseError::KeptMissing { .. })
                if record.state == State::RollingBack
                    && !target.holds(&switched).map_err(EngineError::database(&step.alias))? =>
            {
                step.switched = None;
                record.write()?;
                continue;
            }
            back => back.map_err(EngineError::database(&step.alias))?,
        };
        step.switched = None;
        step.present = back.present;
        present.extend(step.present.clone());
        record.write()?;
    }
    Ok(present)
}

fn remove(path: &std::path::Path) -> Result<(), EngineError> {
    remove_if_there(path).map_err(|e| EngineError::io("remove", path, e))
}

/// Renaming one name of a file over another name of it does nothing: the first one stays.
pub(super) fn remove_if_there(path: &std::path::Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
