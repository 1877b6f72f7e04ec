//! What a restore that was killed left is finished or undone, as the journal and the tables say.

use super::catalog::Kind;
use super::connection::Session;
use super::content::{content, rows_digest};
use super::copy::remove;
use super::journal::{Facts, Phase};
use super::names::{Names, Role};
use super::switch::Work;
use super::switched::{Switched, Way};
use super::{Access, hashes, live_objects, maker, rollback};
use crate::{Quiet, Recovered, Result, SwitchOptions};

/// Finishes a switch whose tables had changed places, undoes any other.
pub(super) fn recover(
    access: &Access,
    names: &Names,
    restore_id: &str,
    begun: Option<&str>,
    existed: bool,
    options: SwitchOptions,
) -> Result<Recovered> {
    let mut session = Session::for_restore(access)?;
    let Some(mut facts) = Facts::read(&mut session, names)? else {
        if session.has_schema(&names.of(Role::New))? {
            remove(&mut session, names)?;
            return Ok(Recovered::Undone);
        }
        let begun = begun.filter(|_| !existed);
        return without_journal(access, &mut session, names, restore_id, begun);
    };
    let mut work = Work { session: &mut session, names, facts: &mut facts };
    let renamed = work.facts.phase == Phase::Switching && work.is_renamed()?;
    match work.facts.phase {
        Phase::Staging => {
            remove(work.session, names)?;
            Ok(Recovered::Undone)
        }
        Phase::Switching if renamed => match work.complete() {
            Ok(switched) => Ok(found(switched)),
            Err(error) => {
                // What cannot be finished is undone, if that can be done.
                work.undo_and_remove(options).map_err(|_| error)?;
                Ok(Recovered::Undone)
            }
        },
        Phase::Switching => {
            work.undo_and_remove(options)?;
            Ok(Recovered::Undone)
        }
        Phase::Switched => {
            let switched = work.record();
            work.tidy()?;
            Ok(found(switched))
        }
        Phase::RollingBack | Phase::RolledBack => {
            let record = work.record();
            rollback::finish(access, names, &facts, options, &record)?;
            Ok(Recovered::Undone)
        }
    }
}

/// A switch that made the database leaves no journal, and nothing else than the database.
fn without_journal(
    access: &Access,
    session: &mut Session,
    names: &Names,
    restore_id: &str,
    begun: Option<&str>,
) -> Result<Recovered> {
    let Some(begun) = begun else { return Ok(Recovered::Nothing) };
    if !session.has_schema(names.live())? {
        return Ok(Recovered::Nothing);
    }
    // Anything else there is somebody else's.
    let rows = rows_digest(&hashes::of_schema(access, names.live(), &mut Quiet)?);
    if rows != begun {
        return Ok(Recovered::Nothing);
    }
    let objects = live_objects::read(session, names.live())?;
    let triggers = objects.iter().any(|entry| entry.kind == Kind::Trigger);
    Ok(found(Switched {
        live: access.place(),
        restore_id: restore_id.to_owned(),
        way: if triggers { Way::RenameWithTriggers } else { Way::Rename },
        kept: None,
        content: content(&rows, &maker::digest(&objects)),
    }))
}

fn found(switched: Switched) -> Recovered {
    Recovered::Switched(Box::new(crate::Switched::Mysql(switched)))
}
