//! Rows of every table, counted or hashed, from one view.

use std::time::Duration;

use super::catalog::{RowsTaken, Table, TableKind};
use super::connection::{Session, quoted};
use super::{Access, pool, preflight, rows, survey, view};
use crate::{Result, TableCount, TableHash, Watch};

/// Rows of every table that has rows of its own, ordered by name.
pub fn table_counts(
    access: &Access,
    lock_timeout: Duration,
    watch: &mut dyn Watch,
) -> Result<Vec<TableCount>> {
    let (mut session, tables, _) = open(access, lock_timeout, watch)?;
    let mut counts = Vec::new();
    for table in tables {
        let rows = if table.kind == TableKind::Foreign {
            None
        } else {
            Some(session.attended(watch, |session| count(session, &table))?)
        };
        counts.push(TableCount { name: table.shown(), rows, note: note(&table), damaged: false });
    }
    counts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(counts)
}

/// Rows and a hash of every table that has rows of its own, ordered by name: the same hashes as in
/// a capture.
pub fn table_hashes(
    access: &Access,
    lock_timeout: Duration,
    watch: &mut dyn Watch,
) -> Result<Vec<TableHash>> {
    let (mut session, tables, encoding) = open(access, lock_timeout, watch)?;
    let mut hashes = Vec::new();
    for table in tables {
        let (mut rows, mut hash) = (None, None);
        if table.kind != TableKind::Foreign {
            let sum = session.attended(watch, |session| rows::sum(session, &table, &encoding))?;
            watch.bytes(sum.bytes);
            (rows, hash) = (Some(sum.rows), Some(sum.hash()));
        }
        hashes.push(TableHash { name: table.shown(), rows, hash, note: note(&table) });
    }
    hashes.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(hashes)
}

/// A view, the tables in it, and the encoding of the database.
fn open(
    access: &Access,
    lock_timeout: Duration,
    watch: &mut dyn Watch,
) -> Result<(Session, Vec<Table>, String)> {
    pool::refuse(access)?;
    let mut session = Session::open(access)?;
    preflight::version(&session)?;
    let (tables, encoding) = session.attended(watch, |session| {
        view::open(session, lock_timeout)?;
        let tables = survey::tables(session)?;
        preflight::hidden(session, &tables)?;
        Ok((tables, survey::database(session)?.encoding))
    })?;
    let tables = tables.into_iter().map(|found| found.table);
    let tables = tables.filter(|table| table.kind != TableKind::Partitioned).collect();
    Ok((session, tables, encoding))
}

fn count(session: &mut Session, table: &Table) -> Result<u64> {
    let condition = match &table.rows {
        RowsTaken::Where(condition) => condition.as_str(),
        _ => "",
    };
    let sql = format!(
        "SELECT pg_catalog.count(*) FROM ONLY {}.{} {condition}",
        quoted(&table.schema),
        quoted(&table.name)
    );
    let rows: i64 = session.one(rows::reading(table), &sql, &[])?.get(0);
    Ok(rows.unsigned_abs())
}

fn note(table: &Table) -> Option<String> {
    match (table.kind, &table.rows) {
        (TableKind::Foreign, _) => Some("its rows are on another server".to_owned()),
        (_, RowsTaken::Where(_)) => Some("without the rows that its extension makes".to_owned()),
        _ => None,
    }
}
