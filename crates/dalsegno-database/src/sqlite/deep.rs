use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::ValueRef;
use xxhash_rust::xxh3::xxh3_128;

use super::check::structure;
use super::connection::{Source, quoted};
use super::error::failed;
use super::lenient::{self, StandIns};
use super::tables::{self, Table, is_about_the_table, words};
use crate::{DatabaseError, DeepReport, Result, TableHash, Violation, Watch};

/// How many dangling rows a report names.
const SAMPLE: usize = 20;

/// Reads a private file whole: `integrity_check`, foreign keys, and a hash of every table's rows.
pub fn deep_check(file: &Path, watch: &mut dyn Watch) -> Result<DeepReport> {
    let connection = Source::Private(file).open()?;
    let mut notes = Vec::new();
    let mut problems = structure(&connection, file, true, &mut notes)?;
    let (foreign_key_violations, violations) = match foreign_keys(&connection, file) {
        Ok(Ok((count, sample))) => (Some(count), sample),
        Ok(Err(note)) => {
            notes.push(note);
            (None, Vec::new())
        }
        Err(error) if problems.is_empty() => return Err(error),
        Err(_) => (None, Vec::new()),
    };
    let tables = match hash_all(&connection, file, watch) {
        Ok(tables) => tables,
        Err(DatabaseError::Cancelled) => return Err(DatabaseError::Cancelled),
        Err(error) if problems.is_empty() => return Err(error),
        Err(error) => {
            problems.push(error.to_string());
            Vec::new()
        }
    };
    Ok(DeepReport { problems, notes, foreign_key_violations, violations, tables })
}

/// The row hashes of every table, all from one instant.
///
/// A row is its values in the order of the columns, each one byte for its storage class and the
/// value: 0 NULL; 1 integer, 8 bytes; 2 real, the 8 bytes of its bits; 3 text in UTF-8 and 4 blob,
/// an 8-byte length and the bytes. Numbers are little-endian. Implicit rowids and virtual generated
/// columns are not part of it, and a virtual table has no hash.
pub fn table_hashes(source: Source<'_>, watch: &mut dyn Watch) -> Result<Vec<TableHash>> {
    let connection = source.open()?;
    connection.execute_batch("BEGIN").map_err(failed("read", source.path()))?;
    hash_all(&connection, source.path(), watch)
}

/// Dangling foreign keys: how many, and the first; or why nobody can tell.
pub(super) fn foreign_keys(
    connection: &Connection,
    path: &Path,
) -> Result<std::result::Result<(u64, Vec<Violation>), String>> {
    lenient::accept_collations(connection).map_err(failed("check", path))?;
    let read = || -> rusqlite::Result<(u64, Vec<Violation>)> {
        let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        let (mut count, mut sample) = (0, Vec::new());
        while let Some(row) = rows.next()? {
            count += 1;
            if sample.len() < SAMPLE {
                sample.push(Violation {
                    table: row.get(0)?,
                    rowid: row.get(1)?,
                    parent: row.get(2)?,
                });
            }
        }
        Ok((count, sample))
    };
    match read() {
        Ok(found) => Ok(Ok(found)),
        Err(error) if is_about_the_table(&error) => {
            Ok(Err(format!("foreign keys not checkable: {}", words(&error))))
        }
        Err(error) => Err(failed("check the foreign keys of", path)(error)),
    }
}

fn hash_all(connection: &Connection, path: &Path, watch: &mut dyn Watch) -> Result<Vec<TableHash>> {
    lenient::accept_collations(connection).map_err(failed("read", path))?;
    let mut hashes = Vec::new();
    for table in tables::list(connection, path)? {
        hashes.push(hash_one(connection, path, table, watch)?);
    }
    Ok(hashes)
}

fn hash_one(
    connection: &Connection,
    path: &Path,
    table: Table,
    watch: &mut dyn Watch,
) -> Result<TableHash> {
    if table.module {
        let note = Some("virtual: its rows lie in tables of its own".to_owned());
        return Ok(TableHash { name: table.name, rows: None, hash: None, note });
    }
    let mut cancelled = false;
    let summed = sum_rows(connection, &table.name, &mut || {
        cancelled = watch.cancelled();
        cancelled
    });
    if cancelled {
        return Err(DatabaseError::Cancelled);
    }
    match summed {
        Ok((rows, sum)) => Ok(TableHash {
            name: table.name,
            rows: Some(rows),
            hash: Some(format!("{sum:032x}")),
            note: None,
        }),
        Err(error) if is_about_the_table(&error) => Ok(TableHash {
            name: table.name,
            rows: None,
            hash: None,
            note: Some(format!("not readable: {}", words(&error))),
        }),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// The columns of a table whose values are stored.
pub(super) fn stored_columns(
    connection: &Connection,
    table: &str,
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1) WHERE hidden IN (0, 3) ORDER BY cid")?
        .query_map([table], |row| row.get(0))?
        .collect()
}

fn sum_rows(
    connection: &Connection,
    table: &str,
    stop: &mut dyn FnMut() -> bool,
) -> rusqlite::Result<(u64, u128)> {
    let columns = stored_columns(connection, table)?;
    let list: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    // In the order of the table itself: an index may need what is not known here.
    let sql = format!("SELECT {} FROM {} NOT INDEXED", list.join(", "), quoted(table));
    StandIns::default().run(connection, |connection| {
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        let (mut count, mut sum) = (0_u64, 0_u128);
        let mut bytes = Vec::new();
        while let Some(row) = rows.next()? {
            if count % 4096 == 0 && stop() {
                break;
            }
            bytes.clear();
            for at in 0..columns.len() {
                encode(row.get_ref(at)?, &mut bytes);
            }
            sum = sum.wrapping_add(xxh3_128(&bytes));
            count += 1;
        }
        Ok((count, sum))
    })
}

fn encode(value: ValueRef<'_>, bytes: &mut Vec<u8>) {
    let mut sized = |class, value: &[u8]| {
        bytes.push(class);
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
        bytes.extend_from_slice(value);
    };
    match value {
        ValueRef::Text(text) => sized(3, text),
        ValueRef::Blob(blob) => sized(4, blob),
        ValueRef::Null => bytes.push(0),
        ValueRef::Integer(number) => {
            bytes.push(1);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        ValueRef::Real(number) => {
            bytes.push(2);
            bytes.extend_from_slice(&number.to_bits().to_le_bytes());
        }
    }
}
