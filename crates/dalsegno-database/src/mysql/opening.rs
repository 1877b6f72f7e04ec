//! A snapshot is opened: one instant for all tables, and from then on nobody changes them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::access::Access;
use super::connection::Session;
use super::error::{ServerError, code, code_of};
use super::quote;
use super::survey::Survey;
use crate::{DatabaseError, Result};

/// How often it is tried while tables come and go.
const TRIES: u32 = 5;

/// A transaction that sees one instant, with every table touched.
#[derive(Debug)]
pub(super) struct Opened {
    /// What is there.
    pub(super) survey: Survey,
    /// Holds the tables that the snapshot does not cover; dropped, their writers go on.
    pub(super) guard: Option<Session>,
    /// What an operator should know.
    pub(super) notes: Vec<String>,
}

/// Opens a snapshot in `session`. Tables that come, go or change meanwhile make it begin again.
pub(super) fn open(
    session: &mut Session,
    access: &Access,
    lock_timeout: Duration,
) -> Result<Opened> {
    session.wait_for_locks(lock_timeout)?;
    let mut last = String::new();
    for attempt in 0..TRIES {
        std::thread::sleep(Duration::from_millis(50) * attempt);
        match once(session, access, lock_timeout)? {
            Ok(opened) => return Ok(opened),
            Err(changed) => last = changed,
        }
        let database = session.database().to_owned();
        session.run("give up a snapshot of", &database, "ROLLBACK")?;
    }
    let place = session.place();
    Err(ServerError::Changing { place, tries: TRIES, what: last }.into())
}

/// One try; the inner error says what changed.
fn once(
    session: &mut Session,
    access: &Access,
    lock_timeout: Duration,
) -> Result<std::result::Result<Opened, String>> {
    let database = session.database().to_owned();
    let survey = Survey::take(session)?;
    let mut notes = Vec::new();
    let guard = match lock(access, &survey, lock_timeout, &mut notes) {
        Err(error) if code_of(&error) == Some(code::NO_TABLE) => {
            return Ok(Err("a table that is gone".to_owned()));
        }
        guard => guard?,
    };
    session.run(
        "open a snapshot of",
        &database,
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
         START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )?;
    for (name, sql) in survey.touches() {
        match session.ask("read the table", name, &sql) {
            Ok(_) => {}
            Err(error) if is_change(&error) => return Ok(Err(format!("`{name}`"))),
            Err(error) => return Err(error),
        }
    }
    let again = Survey::take(session)?;
    Ok(match again.change_since(&survey) {
        Some(change) => Err(change),
        None => Ok(Opened { survey, guard, notes }),
    })
}

fn is_change(error: &DatabaseError) -> bool {
    matches!(code_of(error), Some(code::CHANGED | code::NO_TABLE))
}

/// Locks what a snapshot does not cover against writers.
fn lock(
    access: &Access,
    survey: &Survey,
    lock_timeout: Duration,
    notes: &mut Vec<String>,
) -> Result<Option<Session>> {
    let uncovered = survey.uncovered();
    if uncovered.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = uncovered.iter().map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    let mut guard = Session::open(access)?;
    guard.wait_for_locks(lock_timeout)?;
    let list: Vec<String> =
        uncovered.iter().map(|name| format!("{} READ", quote::identifier(name))).collect();
    let sql = format!("LOCK TABLES {}", list.join(", "));
    match guard.run("lock against writers", &access.database, &sql) {
        Ok(()) => {
            notes.push(format!(
                "no snapshot covers the storage engine of {names}: writers waited until the rows \
                 were read"
            ));
            Ok(Some(guard))
        }
        Err(DatabaseError::Mysql(ServerError::NoRight { .. })) => {
            notes.push(format!(
                "no snapshot covers the storage engine of {names}, and the account lacks the right \
                 `LOCK TABLES`: what was written meanwhile may be there in part"
            ));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Bytes of the rows of each table, as the server estimates them.
pub(super) fn sizes(session: &mut Session) -> Result<BTreeMap<String, u64>> {
    let database = session.database().to_owned();
    let sql = format!(
        "SELECT TABLE_NAME, DATA_LENGTH FROM information_schema.TABLES t WHERE {}",
        super::survey::here("t")
    );
    let rows = session.ask("measure the tables of", &database, &sql)?;
    Ok(rows.iter().map(|row| (row.text(0), row.number(1).unwrap_or(0))).collect())
}
