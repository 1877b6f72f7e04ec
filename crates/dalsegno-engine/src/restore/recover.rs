//! What a killed restore, rollback or discard left is brought to an end by the next one: a restore
//! that had not finished is undone, a rollback or discard that had begun is finished.

use std::os::unix::fs::MetadataExt;

use dalsegno_database::sqlite;
use dalsegno_media::{Method, Recovered, Resolution, Switched, Target};

use super::record::{DatabaseStep, RestoreRecord, State, StorageStep, restores};
use super::undo::{discard_steps, undo_steps};
use crate::backup::BUSY_TIMEOUT;
use crate::{EngineError, Run, Site};

/// Finishes or undoes every restore that no process works on any more; says what was done. The
/// caller holds the lock, so that an unfinished record is a dead one.
pub(super) fn recover(site: &Site, run: Run<'_>) -> Result<Vec<String>, EngineError> {
    let mut said = Vec::new();
    for mut record in restores(site)? {
        let done = match record.state {
            State::Staging | State::Switching => {
                find_steps(&mut record, Resolution::Undo)?;
                undo_steps(&mut record, true, run)?;
                record.error.get_or_insert_with(|| "it was killed".to_owned());
                record.finish(State::Failed, run)?;
                "was interrupted; the site has its old data"
            }
            State::RollingBack => {
                find_steps(&mut record, Resolution::Finish)?;
                undo_steps(&mut record, true, run)?;
                record.finish(State::RolledBack, run)?;
                "was interrupted while it was rolled back; the rollback is finished"
            }
            State::Discarding => {
                discard_steps(&record, run)?;
                record.finish(State::Discarded, run)?;
                "was interrupted while its old data were dropped; they are gone now"
            }
            State::Switched | State::Failed | State::RolledBack | State::Discarded => continue,
        };
        let text = format!("restore {} of {} {done}", record.id, record.backup_name);
        run.progress.warn(&text);
        said.push(text);
    }
    Ok(said)
}

/// Removes what a restore staged and did not switch in.
pub(super) fn sweep(record: &mut RestoreRecord) -> Result<(), EngineError> {
    find_steps(record, Resolution::Undo)
}

/// The record may lag behind by the one step that was under way: what lies on disk decides.
fn find_steps(record: &mut RestoreRecord, resolution: Resolution) -> Result<(), EngineError> {
    let id = record.id.to_string();
    for step in &mut record.databases {
        find_database(step, &id)?;
    }
    for step in &mut record.storages {
        find_storage(step, &id, resolution)?;
    }
    record.write()
}

fn find_database(step: &mut DatabaseStep, id: &str) -> Result<(), EngineError> {
    if step.switched.is_some() {
        return Ok(());
    }
    let failed = || EngineError::database(&step.alias);
    let target = sqlite::Target::new(&step.live, id).map_err(failed())?;
    match target.recover(BUSY_TIMEOUT).map_err(failed())? {
        sqlite::Recovered::Switched(switched) => step.switched = Some(*switched),
        sqlite::Recovered::Nothing if !step.existed && step.live.exists() => {
            step.switched = Some(sqlite::Switched {
                live: target.live().to_owned(),
                restore_id: id.to_owned(),
                method: sqlite::SwitchMethod::Create,
                pages_changed: 0,
                kept: None,
                // What it held is not known any more: a rollback keeps it.
                content: String::new(),
            });
        }
        sqlite::Recovered::Nothing | sqlite::Recovered::Undone => {}
    }
    Ok(())
}

fn find_storage(
    step: &mut StorageStep,
    id: &str,
    resolution: Resolution,
) -> Result<(), EngineError> {
    let failed = || EngineError::media(&step.alias);
    let target = Target::new(&step.live, id).map_err(failed())?;
    match target.recover(resolution).map_err(failed())? {
        Recovered::Nothing | Recovered::UndoneRollback { .. } => {}
        Recovered::NotSwitched { staged } | Recovered::Undone { staged } => {
            dalsegno_media::discard(&staged, &|| false).map_err(failed())?;
            step.switched = None;
        }
        Recovered::Switched { kept } | Recovered::Finished { kept: Some(kept) } => {
            if step.switched.is_none() {
                // The exchange was the last change of the kept folder's own attributes.
                let at = kept
                    .symlink_metadata()
                    .map_or((0, 0), |m| (m.ctime(), u32::try_from(m.ctime_nsec()).unwrap_or(0)));
                step.switched = Some(Switched {
                    live: target.live().to_owned(),
                    restore_id: id.to_owned(),
                    kept: Some(kept),
                    method: Method::Exchange,
                    late: 0,
                    late_error: None,
                    at,
                });
            }
        }
        Recovered::Finished { kept: None } => {
            step.switched = Some(Switched {
                live: target.live().to_owned(),
                restore_id: id.to_owned(),
                kept: None,
                method: Method::Created,
                late: 0,
                late_error: None,
                at: (0, 0),
            });
        }
        Recovered::RolledBack { undone } | Recovered::FinishedRollback { undone: Some(undone) } => {
            step.switched = None;
            step.present = Some(undone);
        }
        Recovered::FinishedRollback { undone: None } => step.switched = None,
    }
    Ok(())
}
