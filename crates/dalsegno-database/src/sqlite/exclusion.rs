use std::path::Path;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use super::connection::quoted;
use super::error::failed;
use super::lenient;
use crate::{DatabaseError, Result};

/// The tables of `asked` as the schema spells them, each once; refuses what cannot be emptied.
pub(super) fn checked(
    connection: &Connection,
    path: &Path,
    asked: &[String],
) -> Result<Vec<String>> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let mut statement = connection
        .prepare("SELECT name, type FROM pragma_table_list WHERE schema = 'main'")
        .map_err(failed("read the schema of", path))?;
    let known: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .map_err(failed("read the schema of", path))?;
    let mut tables = Vec::new();
    for table in asked {
        let (name, kind) =
            known.iter().find(|(name, _)| name.eq_ignore_ascii_case(table)).ok_or_else(|| {
                DatabaseError::UnknownTable { path: path.to_owned(), table: table.clone() }
            })?;
        let refused = match kind.as_str() {
            "virtual" => Some("a virtual table"),
            "shadow" => Some("part of a virtual table"),
            "view" => Some("a view"),
            _ if name.to_ascii_lowercase().starts_with("sqlite_") => Some("SQLite's own"),
            _ => None,
        };
        if let Some(reason) = refused {
            return Err(DatabaseError::NotExcludable { table: name.clone(), reason });
        }
        if !tables.contains(name) {
            tables.push(name.clone());
        }
    }
    tables.sort();
    Ok(tables)
}

/// Deletes all rows of `tables` from a private copy.
///
/// Triggers and foreign keys do not fire; freed pages are overwritten with zeros, so that the rows
/// are not in the backup after all. Nothing is vacuumed: that would renumber implicit rowids.
pub(super) fn empty(connection: &Connection, path: &Path, tables: &[String]) -> Result<()> {
    if tables.is_empty() {
        return Ok(());
    }
    let run = || -> rusqlite::Result<()> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.pragma_update(None, "foreign_keys", false)?;
        connection.pragma_update(None, "secure_delete", true)?;
        lenient::accept_collations(connection)?;
        connection.execute_batch("BEGIN")?;
        for table in tables {
            connection.execute(&format!("DELETE FROM {}", quoted(table)), [])?;
        }
        connection.execute_batch("COMMIT")
    };
    run().map_err(failed("leave rows out of a copy of", path))
}
