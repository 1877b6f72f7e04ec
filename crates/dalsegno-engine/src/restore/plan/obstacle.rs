//! What would stop the restore, or come before it, as far as that can be seen without doing it.

use dalsegno_database::DatabaseError;

use super::RestorePlan;
use crate::lock::Lock;
use crate::restore::interruption::{told, unfinished};
use crate::restore::record::State;
use crate::restore::undo::refuse_changed;
use crate::{EngineError, Run, Site};

/// Ends a dry run as the restore would end, and notes what it would do first.
pub(super) fn look_ahead(
    site: &Site,
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
                if let Err(changed) = refuse_changed(site, &record, run) {
                    let (id, changed) = (record.id.to_string(), changed.to_string());
                    return Err(EngineError::Interrupted { id, changed });
                }
                "it is undone first, unless its last step took place"
            }
        };
        plan.notes.push(format!("{}: {first}", told(&record).text));
    }
    held(plan)
}

/// Those in whose way the switch of a database would stand, and what it costs.
fn held(plan: &mut RestorePlan) -> Result<(), EngineError> {
    for database in plan.databases.iter().filter(|d| d.exists && !d.elsewhere) {
        let alias = &database.target.alias;
        let holders = &database.way.holders;
        if database.target.file().is_none() {
            // A server ends sessions, or waits for them, where a file can only be left alone.
            if !holders.is_empty() {
                let some: Vec<String> = holders.iter().take(5).map(ToString::to_string).collect();
                let (count, some) = (holders.len(), some.join(", "));
                plan.notes.push(format!("database {alias}: {count} sessions are open: {some}"));
            }
        } else if !holders.is_empty() {
            let (place, holders) = (database.target.place(), holders.clone());
            let locked = DatabaseError::Locked { action: "replace", place, holders };
            return Err(EngineError::database(alias)(locked));
        }
        let notes = database.way.notes.iter().map(|note| format!("database {alias}: {note}"));
        plan.notes.extend(notes);
    }
    Ok(())
}
