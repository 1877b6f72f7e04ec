//! What would stop the restore, or come before it, as far as that can be seen without doing it.

use dalsegno_archive::Archive;
use dalsegno_database::{DatabaseError, holders, sqlite};
use dalsegno_format::tree;

use super::RestorePlan;
use crate::backup::BUSY_TIMEOUT;
use crate::lock::Lock;
use crate::restore::interruption::{told, unfinished};
use crate::restore::record::State;
use crate::restore::undo::refuse_changed;
use crate::{EngineError, Run, Site};

/// Bytes at the beginning of an SQLite database that tell its page size and encoding.
const HEADER: usize = 100;

/// Ends a dry run as the restore would end, and notes what it would do first.
pub(super) fn look_ahead(
    site: &Site,
    archive: &Archive,
    plan: &mut RestorePlan,
    run: Run<'_>,
) -> Result<(), EngineError> {
    Lock::probe(&site.settings().root)?;
    for record in unfinished(site)? {
        let first = match record.state {
            State::Staging => "what it staged is removed first",
            State::Discarding => "dropping them is finished first",
            State::RollingBack => "the rollback is finished first",
            _ if record.is_all_switched() => "it is taken as complete",
            _ => {
                if let Err(changed) = refuse_changed(&record, run) {
                    let (id, changed) = (record.id.to_string(), changed.to_string());
                    return Err(EngineError::Interrupted { id, changed });
                }
                "it is undone first, unless its last step took place"
            }
        };
        plan.notes.push(format!("{}: {first}", told(&record).text));
    }
    replaced_offline(archive, plan)
}

/// A database that cannot be written in place is replaced only while nobody has it open.
fn replaced_offline(archive: &Archive, plan: &mut RestorePlan) -> Result<(), EngineError> {
    let mut notes = Vec::new();
    for database in plan.databases.iter().filter(|d| d.exists && !d.elsewhere) {
        let (alias, live) = (&database.target.alias, &database.target.path);
        let member = tree::database(&database.source)
            .join(sqlite::FILE_NAME)
            .expect("a fixed name is a path");
        let mut page = vec![0; HEADER];
        // What is damaged was told already, unless nobody wanted to know.
        let Ok(mut content) = archive.open_member(&member) else { continue };
        if content.read_exact(&mut page).is_err() {
            continue;
        }
        let method =
            sqlite::plan(live, &page, BUSY_TIMEOUT).map_err(EngineError::database(alias))?;
        if !matches!(method, sqlite::SwitchMethod::Replace(_)) {
            continue;
        }
        let holders = holders(live).map_err(|e| EngineError::io("look at", live, e))?;
        if !holders.is_empty() {
            let path = live.clone();
            let locked = DatabaseError::Locked { action: "replace", path, holders };
            return Err(EngineError::database(alias)(locked));
        }
        notes.push(format!(
            "database {alias} cannot be written in place: it is replaced while no process has it open"
        ));
    }
    plan.notes.extend(notes);
    Ok(())
}
