//! What a killed restore, rollback or discard left is brought to an end by the next verb that takes
//! the lock, or reads the live site for a backup: a restore whose every step was switched is
//! complete, any other is undone; a rollback or discard that had begun is finished.

use std::fmt::Write as _;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use dalsegno_database::{Place, Recovered as RecoveredDatabase};
use dalsegno_format::BackupId;
use dalsegno_media::{Method, Recovered, Resolution, Switched, Target};

use super::interruption::unfinished;
use super::leftover::clear;
use super::record::{DatabaseStep, RestoreRecord, State, StorageStep};
use super::switch::BUSY_TIMEOUT;
use super::undo::{Present, discard_steps, refuse_changed, stuck, undo_steps};
use crate::lock::Lock;
use crate::{EngineError, Run, Site};

/// Finishes or undoes every restore of this site that no process works on any more, and removes what
/// those that are over left unfinished. The caller holds the lock, so that an unfinished record is a
/// dead one.
///
/// Where undoing would take away what was written since, only the restore in `forced` is undone;
/// any other stops the verb that came across it. So does one that leaves any of `targets` half done
/// and cannot be brought to an end. Returns what was done, a sentence for each, told already.
pub(super) fn recover(
    site: &Site,
    forced: Option<BackupId>,
    targets: &[Place],
    run: Run<'_>,
) -> Result<Vec<String>, EngineError> {
    let mut told = Vec::new();
    for mut record in unfinished(site)? {
        let half = is_half_done(&record, targets);
        let ended =
            record.check_places(site).and_then(|()| bring_to_end(site, &mut record, forced, run));
        let (done, present) = match ended {
            Ok(Some(done)) => done,
            Ok(None) => continue,
            Err(error @ (EngineError::Interrupted { .. } | EngineError::Cancelled)) => {
                return Err(error);
            }
            Err(error) if half || forced == Some(record.id) => return Err(unended(&record, error)),
            // Nothing live depends on it, or its folder is gone for good: it must not keep others
            // from being restored.
            Err(error) => {
                let id = record.id;
                run.progress.warn(&format!("restore {id} cannot be brought to an end: {error}"));
                continue;
            }
        };
        let mut text = format!("restore {} of {} {done}", record.id, record.backup_name);
        for place in present {
            let _ = write!(text, "; what was there until now is kept in {place}");
        }
        run.progress.warn(&text);
        told.push(text);
    }
    clear(site, run)?;
    Ok(told)
}

/// The lock that backups share, once nothing of this site is half restored: an interrupted restore
/// is brought to an end first, or the backup refused. With it comes what was done.
pub(crate) fn settle(
    site: &Site,
    run: Run<'_>,
) -> Result<(Option<Lock>, Vec<String>), EngineError> {
    let root = &site.settings().root;
    let lock = Lock::share(root)?;
    match unfinished(site) {
        Ok(records) if records.is_empty() => return Ok((lock, Vec::new())),
        Ok(_) => drop(lock),
        // Root's folder, and a backup by the site's user elsewhere.
        Err(EngineError::Io { source, path, .. })
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            run.progress.warn(&format!(
                "whether a restore was interrupted cannot be told: `{}` may not be read by this user",
                path.display()
            ));
            return Ok((lock, Vec::new()));
        }
        Err(error) => return Err(error),
    }
    let places = site.places();
    let mut told = Vec::new();
    loop {
        match Lock::take(root, "recovery", run) {
            Ok(_alone) => told.extend(recover(site, None, &places, run)?),
            // Another backup has it; what is left of records that nothing live depends on can wait.
            Err(EngineError::Busy { .. })
                if !unfinished(site)?.iter().any(|record| is_half_done(record, &places)) => {}
            Err(error) => return Err(error),
        }
        // Another restore may have begun, and died, before the lock was shared.
        let lock = Lock::share(root)?;
        if !unfinished(site)?.iter().any(|record| is_half_done(record, &places)) {
            return Ok((lock, told));
        }
    }
}

/// Whether a record leaves any of these places between old and new.
fn is_half_done(record: &RestoreRecord, places: &[Place]) -> bool {
    matches!(record.state, State::Switching | State::RollingBack)
        && record.lives().iter().any(|live| places.contains(live))
}

fn unended(record: &RestoreRecord, error: EngineError) -> EngineError {
    if matches!(error, EngineError::RollbackStuck { .. }) {
        return error;
    }
    EngineError::Unended {
        id: record.id.to_string(),
        state: record.state.words(),
        source: Box::new(error),
    }
}

type Ended = (String, Vec<Place>);

/// What was done, and what was live until then and is kept; `None` for a restore that is over.
fn bring_to_end(
    site: &Site,
    record: &mut RestoreRecord,
    forced: Option<BackupId>,
    run: Run<'_>,
) -> Result<Option<Ended>, EngineError> {
    Ok(Some(match record.state {
        State::Staging | State::Switching => interrupted(site, record, forced, run)?,
        State::RollingBack => {
            find_steps(site, record, Resolution::Finish)?;
            let before = record.switched_steps();
            let undone = undo_steps(site, record, Present::Keep, run);
            let present = undone.map_err(|error| stuck(record, &before, error))?;
            record.finish(State::RolledBack, run)?;
            (
                "was interrupted while it was rolled back; the rollback is finished".to_owned(),
                present,
            )
        }
        State::Discarding => {
            discard_steps(site, record, run)?;
            record.finish(State::Discarded, run)?;
            (
                "was interrupted while its old data were dropped; they are gone now".to_owned(),
                Vec::new(),
            )
        }
        State::Switched | State::Failed | State::RolledBack | State::Discarded => return Ok(None),
    }))
}

fn interrupted(
    site: &Site,
    record: &mut RestoreRecord,
    forced: Option<BackupId>,
    run: Run<'_>,
) -> Result<Ended, EngineError> {
    find_steps(site, record, Resolution::Undo)?;
    if record.is_all_switched() {
        record.finish(State::Switched, run)?;
        let done = "was interrupted after its last step; it is complete".to_owned();
        return Ok((done, Vec::new()));
    }
    if forced != Some(record.id)
        && let Err(changed) = refuse_changed(site, record, run)
    {
        let (id, changed) = (record.id.to_string(), changed.to_string());
        return Err(EngineError::Interrupted { id, changed });
    }
    let present = undo_steps(site, record, Present::Keep, run)?;
    record.error.get_or_insert_with(|| "it was killed".to_owned());
    record.finish(State::Failed, run)?;
    let done = match &record.in_place()[..] {
        [] => "was interrupted; the site has its old data".to_owned(),
        stay => format!(
            "was interrupted; the rows of the backup are in {} all the same, everything else has its \
             old data",
            stay.join(", ")
        ),
    };
    Ok((done, present))
}

/// Removes what a restore staged and did not switch in.
pub(super) fn sweep(site: &Site, record: &mut RestoreRecord) -> Result<(), EngineError> {
    find_steps(site, record, Resolution::Undo)
}

/// The record may lag behind by the one step that was under way: what lies on disk decides.
fn find_steps(
    site: &Site,
    record: &mut RestoreRecord,
    resolution: Resolution,
) -> Result<(), EngineError> {
    let id = record.id.to_string();
    for step in &mut record.databases {
        settle_database(site, step, record.id)?;
    }
    let mut spent = Vec::new();
    for step in &mut record.storages {
        spent.extend(settle_storage(step, &id, resolution)?);
    }
    record.write()?;
    for tree in spent {
        // Nothing but the restored backup; what cannot be removed, `doctor` names.
        let _ = dalsegno_media::discard(&tree, &|| false);
    }
    Ok(())
}

pub(super) fn settle_database(
    site: &Site,
    step: &mut DatabaseStep,
    id: BackupId,
) -> Result<(), EngineError> {
    let failed = || EngineError::database(&step.alias);
    let target = step.target(site, id)?;
    if let Some(switched) = &step.switched {
        if !target.holds(switched).map_err(failed())? {
            step.switched = None;
        }
        return Ok(());
    }
    let found = target.recover(step.begun.as_deref(), step.existed, BUSY_TIMEOUT);
    if let RecoveredDatabase::Switched(switched) = found.map_err(failed())? {
        step.switched = Some(*switched);
    }
    Ok(())
}

/// Returns a tree that a rollback took out and that holds nothing else than the backup: to be dropped
/// once the record knows.
pub(super) fn settle_storage(
    step: &mut StorageStep,
    id: &str,
    resolution: Resolution,
) -> Result<Option<PathBuf>, EngineError> {
    let failed = || EngineError::media(&step.alias);
    let target = Target::new(&step.live, id).map_err(failed())?;
    match target.recover(resolution).map_err(failed())? {
        Recovered::Nothing if step.switched.is_none() => {
            // The staged tree is gone, and only its rename could take it away.
            if step.begun && !step.existed && step.live.exists() {
                step.switched = Some(found(&target, id, None, Method::Created, (0, 0)));
            }
        }
        // Kept trees come back or are dropped, never lost: without one, a rollback was done.
        Recovered::Nothing => {
            let kept = step.switched.as_ref().and_then(|s| s.kept.as_ref());
            if kept.is_some_and(|kept| kept.symlink_metadata().is_err()) && step.live.exists() {
                step.switched = None;
            }
        }
        Recovered::UndoneRollback { .. } => {}
        Recovered::NotSwitched { staged } | Recovered::Undone { staged } => {
            dalsegno_media::discard(&staged, &|| false).map_err(failed())?;
            step.switched = None;
        }
        Recovered::Switched { kept, method } | Recovered::Finished { kept: Some(kept), method } => {
            step.switched.get_or_insert_with(|| {
                // The exchange was the last change of the kept folder's own attributes.
                let at = kept
                    .symlink_metadata()
                    .map_or((0, 0), |m| (m.ctime(), u32::try_from(m.ctime_nsec()).unwrap_or(0)));
                found(&target, id, Some(kept), method, at)
            });
        }
        Recovered::Finished { kept: None, method } => {
            step.switched = Some(found(&target, id, None, method, (0, 0)));
        }
        Recovered::RolledBack { undone } | Recovered::FinishedRollback { undone: Some(undone) } => {
            let worth_keeping = match step.switched.take() {
                Some(switched) => {
                    let there = Switched { live: undone.clone(), ..switched };
                    let written = dalsegno_media::written_since(&there, &|| false);
                    written.map_err(failed())?.is_some()
                }
                // It was looked at before its line was written.
                None => step.present.is_some(),
            };
            if !worth_keeping {
                return Ok(Some(undone));
            }
            step.present = Some(undone);
        }
        Recovered::FinishedRollback { undone: None } => step.switched = None,
    }
    Ok(None)
}

fn found(
    target: &Target,
    id: &str,
    kept: Option<PathBuf>,
    method: Method,
    at: (i64, u32),
) -> Switched {
    Switched {
        live: target.live().to_owned(),
        restore_id: id.to_owned(),
        kept,
        method,
        late: 0,
        late_error: None,
        at,
        begun: (0, 0),
        root: None,
    }
}
