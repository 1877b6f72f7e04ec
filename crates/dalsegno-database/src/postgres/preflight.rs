//! What cannot be captured, found before any work.

use std::collections::HashSet;
use std::path::PathBuf;

use super::catalog::{RowsTaken, TableKind};
use super::connection::{Session, quoted};
use super::failure::{Cause, Failure};
use super::survey::Found;
use crate::{DatabaseError, Result};

/// The oldest server whose catalogs are known here.
const OLDEST: u32 = 120_000;
/// Bytes of a `bytea` whose text would not fit into what the server can build: it takes two digits
/// a byte, and a row is one text of less than a gigabyte.
const WIDE: i64 = 530_000_000;
/// Values that are stored apart, compressed: less than that cannot hold a wide one.
const APART: u64 = 4 << 20;
/// Tables whose rows are read for this; in a larger one the capture itself finds out.
const CHEAP: u64 = 1 << 30;

/// Refuses servers that are too old.
pub(super) fn version(session: &Session) -> Result<()> {
    if session.server >= OLDEST {
        return Ok(());
    }
    Err(Failure::NotCapturable {
        object: "the database".to_owned(),
        place: session.place().clone(),
        reason: format!("the server is {}, older than 12", session.server / 10_000),
        advice: "Use the server's own `pg_dump`, or upgrade the server.",
    }
    .into())
}

/// Refuses large objects with security labels, which are not kept.
pub(super) fn labelled(session: &mut Session) -> Result<()> {
    let sql = "SELECT l.objoid FROM pg_catalog.pg_seclabel l
        WHERE l.classoid = 'pg_catalog.pg_largeobject'::pg_catalog.regclass LIMIT 1";
    let Some(row) = session.rows("look for labels of large objects", sql, &[])?.pop() else {
        return Ok(());
    };
    Err(Failure::NotCapturable {
        object: format!("the large object {}", row.get::<_, u32>(0)),
        place: session.place().clone(),
        reason: "it has a security label, which would be lost".to_owned(),
        advice: "Remove its label with `SECURITY LABEL ... IS NULL`, and set it again afterwards.",
    }
    .into())
}

/// Marks the tables whose rows are not wanted, with all partitions of a partitioned one; their
/// names as people see them, sorted.
pub(super) fn exclude(
    session: &Session,
    tables: &mut [Found],
    unwanted: &[String],
) -> Result<Vec<String>> {
    let mut ids = HashSet::new();
    for name in unwanted {
        let found = tables.iter().find(|found| {
            let table = &found.table;
            table.shown() == *name || format!("{}.{}", table.schema, table.name) == *name
        });
        let Some(found) = found else {
            let path = PathBuf::from(session.place().to_string());
            return Err(DatabaseError::UnknownTable { path, table: name.clone() });
        };
        if found.table.kind == TableKind::Foreign {
            let reason = "a foreign table, whose rows are never taken";
            return Err(DatabaseError::NotExcludable { table: name.clone(), reason });
        }
        ids.insert(found.table.id);
    }
    loop {
        let below = tables
            .iter()
            .filter(|found| found.table.partition_of.is_some_and(|parent| ids.contains(&parent)));
        let below: Vec<u32> =
            below.map(|found| found.table.id).filter(|id| !ids.contains(id)).collect();
        if below.is_empty() {
            break;
        }
        ids.extend(below);
    }
    let mut excluded = Vec::new();
    for found in tables.iter_mut().filter(|found| ids.contains(&found.table.id)) {
        if found.table.kind == TableKind::Table {
            found.table.rows = RowsTaken::Excluded;
        }
        excluded.push(found.table.shown());
    }
    excluded.sort_unstable();
    Ok(excluded)
}

/// Whether the rows of a table are to be read.
pub(super) fn is_read(found: &Found) -> bool {
    matches!(found.table.rows, RowsTaken::All | RowsTaken::Where(_))
}

/// Refuses tables whose rows this role does not see, or nobody sees here.
pub(super) fn hidden(session: &mut Session, tables: &[Found]) -> Result<()> {
    if let Some(found) = tables.iter().find(|found| found.hidden && is_read(found)) {
        return Err(Failure::Refused {
            action: format!("read all rows of `{}`", found.table.shown()),
            place: session.place().clone(),
            cause: Cause::RowSecurity,
            said: "row security applies to this role".to_owned(),
        }
        .into());
    }
    let Some(found) = tables.iter().find(|found| found.table.unlogged && is_read(found)) else {
        return Ok(());
    };
    let sql = "SELECT pg_catalog.pg_is_in_recovery()";
    if session.one("ask whether it is a standby", sql, &[])?.get(0) {
        return Err(Failure::NotCapturable {
            object: format!("`{}`", found.table.shown()),
            place: session.place().clone(),
            reason: "the server is a standby, which has no rows of unlogged tables".to_owned(),
            advice: "Back up the primary, or leave out the rows of this table.",
        }
        .into());
    }
    Ok(())
}

/// Refuses a value that the server could not write as text, as far as it is cheap to find one.
pub(super) fn wide(session: &mut Session, tables: &[Found]) -> Result<()> {
    for found in tables.iter().filter(|found| is_read(found)) {
        let apart = found.table.size.saturating_sub(found.heap);
        let columns = found.table.columns.iter().filter(|column| column.type_name == "bytea");
        let columns: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
        if apart < APART || found.heap > CHEAP || columns.is_empty() {
            continue;
        }
        // The size of a value is known without reading it.
        let sizes: Vec<String> = columns
            .iter()
            .map(|column| format!("coalesce(pg_catalog.octet_length({})::int8, 0)", quoted(column)))
            .collect();
        let table = &found.table;
        let sql = format!(
            "SELECT ctid::text, {size} FROM ONLY {}.{} WHERE {size} > {WIDE} LIMIT 1",
            quoted(&table.schema),
            quoted(&table.name),
            size = sizes.join(" + ")
        );
        let action = format!("look for values that are too large in `{}`", table.shown());
        let Some(row) = session.rows(action, &sql, &[])?.pop() else { continue };
        let (place, bytes): (String, i64) = (row.get(0), row.get(1));
        return Err(Failure::NotCapturable {
            object: format!("the row of `{}` at ctid {place}", table.shown()),
            place: session.place().clone(),
            reason: format!(
                "`{}` holds {bytes} bytes, whose text is longer than the server can write",
                columns.join("`, `")
            ),
            advice: "Make that value smaller, or leave out the rows of this table.",
        }
        .into());
    }
    Ok(())
}
