//! Looking at a live database, or a schema that stands for one, without capturing it.

use std::time::Duration;

use super::access::Access;
use super::attended::attended;
use super::catalog::Rows;
use super::connection::Session;
use super::error::ServerError;
use super::survey::Reading;
use super::{opening, rows};
use crate::{DatabaseError, Result, TableCount, TableHash, Watch};

/// Whether there is such a database, with or without tables. An error where that cannot be told.
pub fn exists(access: &Access) -> Result<bool> {
    match Session::open(access) {
        Ok(_) => Ok(true),
        Err(DatabaseError::Mysql(ServerError::NoDatabase { .. })) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Bytes that its tables and indexes take, as the server estimates them.
pub fn size(access: &Access) -> Result<u64> {
    let mut session = Session::open(access)?;
    let sql = format!(
        "SELECT COALESCE(SUM(DATA_LENGTH + INDEX_LENGTH), 0) FROM information_schema.TABLES t \
         WHERE {}",
        super::survey::here("t")
    );
    let rows = session.ask("measure", &access.database, &sql)?;
    let size = rows.first().and_then(|row| row.number(0));
    size.ok_or_else(|| session.unexpected("measure", &access.database, "the server names no size"))
}

/// Rows of every table, from one snapshot, ordered by name. Of a table with a history, the rows of
/// all times.
pub fn table_counts(
    access: &Access,
    lock_timeout: Duration,
    watch: &mut dyn Watch,
) -> Result<Vec<TableCount>> {
    each_table(access, lock_timeout, watch, |session, reading| {
        let name = reading.table.name.clone();
        if reading.table.rows == Rows::Elsewhere {
            let note = Some(elsewhere(&reading.table.engine));
            return Ok(TableCount { name, rows: None, note, damaged: false });
        }
        let answer = session.ask("count the rows of", &name, &reading.count())?;
        let rows = answer.first().and_then(|row| row.number(0));
        Ok(TableCount { name, rows, note: None, damaged: false })
    })
}

/// Rows and a hash of every table, from one snapshot, ordered by name. A row's bytes are its line in
/// a data file, without the line's end.
pub fn table_hashes(
    access: &Access,
    lock_timeout: Duration,
    watch: &mut dyn Watch,
) -> Result<Vec<TableHash>> {
    each_table(access, lock_timeout, watch, |session, reading| {
        let name = reading.table.name.clone();
        if reading.table.rows == Rows::Elsewhere {
            let note = Some(elsewhere(&reading.table.engine));
            return Ok(TableHash { name, rows: None, hash: None, note });
        }
        session.answer_in("binary")?;
        let read = rows::read(session, reading, &mut |_, _| rows::Wanted::More);
        session.answer_in("utf8mb4")?;
        let rows = read?.ok_or(DatabaseError::Cancelled)?;
        Ok(TableHash { name, rows: Some(rows.rows), hash: Some(rows.hash), note: None })
    })
}

fn each_table<T: Send>(
    access: &Access,
    lock_timeout: Duration,
    watch: &mut dyn Watch,
    mut look: impl FnMut(&mut Session, &Reading) -> Result<T> + Send,
) -> Result<Vec<T>> {
    let mut session = Session::open(access)?;
    attended(&mut session, watch, |session| {
        let opened = opening::open(session, access, lock_timeout)?;
        let server = session.server().clone();
        let mut all = Vec::new();
        for (name, surveyed) in &opened.survey.tables {
            let reading = surveyed.reading(name, 0, &server, &mut Vec::new());
            all.push(look(session, &reading)?);
        }
        Ok(all)
    })
}

/// What is said of a table whose rows are not here.
pub(super) fn elsewhere(engine: &str) -> String {
    format!("its rows lie elsewhere ({engine})")
}
