use dalsegno_format::hex;
use rusqlite::{Connection, ErrorCode};
use sha2::{Digest, Sha256};
use std::path::Path;

use super::connection::{Source, quoted};
use super::error::failed;
use super::lenient;
use crate::{DatabaseError, Result, TableCount, Watch};

/// A table of the schema, ordinary or virtual.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) module: bool,
}

/// The rows of every table of a database, `sqlite_sequence` and the like included, by name.
pub fn table_counts(source: Source<'_>, watch: &mut dyn Watch) -> Result<Vec<TableCount>> {
    let connection = source.open()?;
    // One transaction: counts of different instants would add up to a state that never was.
    connection.execute_batch("BEGIN").map_err(failed("read", source.path()))?;
    count_all(&connection, source.path(), watch)
}

pub(super) fn list(connection: &Connection, path: &Path) -> Result<Vec<Table>> {
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .map_err(failed("read the schema of", path))?;
    let tables = statement
        .query_map([], |row| {
            let text =
                |at| row.get_ref(at).map(|value| value.as_bytes().unwrap_or_default().to_vec());
            let (name, sql) = (text(0)?, text(1)?);
            Ok(Table {
                name: String::from_utf8_lossy(&name).into_owned(),
                module: sql.get(..14).is_some_and(|s| s.eq_ignore_ascii_case(b"CREATE VIRTUAL")),
            })
        })
        .and_then(Iterator::collect)
        .map_err(failed("read the schema of", path))?;
    Ok(tables)
}

pub(super) fn count_all(
    connection: &Connection,
    path: &Path,
    watch: &mut dyn Watch,
) -> Result<Vec<TableCount>> {
    lenient::accept_collations(connection).map_err(failed("read", path))?;
    let mut counts = Vec::new();
    for table in list(connection, path)? {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        counts.push(count(connection, path, table)?);
    }
    Ok(counts)
}

/// The library counts by the smallest index; where that needs what is missing here, the table
/// itself may still do. What fails for good is a note, since it may be no fault of the data.
fn count(connection: &Connection, path: &Path, table: Table) -> Result<TableCount> {
    let Table { name, module } = table;
    let sql = format!("SELECT count(*) FROM {}", quoted(&name));
    let rows = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    match rows(&sql).or_else(|first| rows(&format!("{sql} NOT INDEXED")).map_err(|_| first)) {
        Ok(rows) => {
            Ok(TableCount { name, rows: u64::try_from(rows).ok(), note: None, damaged: false })
        }
        Err(error) if is_about_the_table(&error) => Ok(TableCount {
            name,
            rows: None,
            note: Some(format!("not countable: {}", words(&error))),
            // The rows of a virtual table lie in others, which are counted as well.
            damaged: !module && error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt),
        }),
        Err(error) => Err(failed("count the rows of", path)(error)),
    }
}

/// Whether `error` tells of this table's content or definition, not of the database as a whole.
pub(super) fn is_about_the_table(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::Unknown | ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation)
    ) || matches!(error, rusqlite::Error::SqlInputError { .. })
}

/// The library's own words, without the error code.
pub(super) fn words(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        other => other.to_string(),
    }
}

/// SHA-256 of the sorted schema texts, each followed by a NUL.
pub(super) fn schema_fingerprint(connection: &Connection, path: &Path) -> Result<String> {
    let mut statement = connection
        .prepare("SELECT CAST(sql AS BLOB) FROM sqlite_schema WHERE sql IS NOT NULL")
        .map_err(failed("read the schema of", path))?;
    let mut texts: Vec<Vec<u8>> = statement
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(failed("read the schema of", path))?;
    texts.sort_unstable();
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(&text);
        hash.update([0]);
    }
    Ok(hex(&hash.finalize()))
}
