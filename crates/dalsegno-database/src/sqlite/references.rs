use std::path::Path;

use rusqlite::Connection;

use super::connection::quoted;
use super::error::failed;
use super::lenient::StandIns;
use super::tables::{is_about_the_table, words};
use crate::{FileColumn, Result, Unreadable};

/// See [`crate::Snapshot::file_references`].
pub(super) fn distinct(
    connection: &Connection,
    path: &Path,
    columns: &[FileColumn],
    found: &mut dyn FnMut(usize, &[u8]),
) -> Result<Vec<Unreadable>> {
    let mut unreadable = Vec::new();
    let mut stand_ins = StandIns::default();
    for (at, column) in columns.iter().enumerate() {
        if let Err(reason) = known(connection, path, column)? {
            unreadable.push(Unreadable { column: at, reason });
            continue;
        }
        let (table, name) = (quoted(&column.table), quoted(&column.column));
        // Distinct by bytes: the collation of the column must not fold two names into one. The
        // outer cast gives UTF-8 whatever the encoding of the database.
        let sql = format!(
            "SELECT CAST(value AS TEXT) FROM (SELECT DISTINCT CAST({name} AS BLOB) AS value \
             FROM {table} WHERE {name} IS NOT NULL) WHERE length(value) > 0"
        );
        let read = stand_ins.run(connection, |connection| {
            let mut statement = connection.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                found(at, row.get_ref(0)?.as_bytes()?);
            }
            Ok(())
        });
        match read {
            Ok(()) => {}
            Err(error) if is_about_the_table(&error) => {
                unreadable.push(Unreadable { column: at, reason: words(&error) });
            }
            Err(error) => return Err(failed("read", path)(error)),
        }
    }
    Ok(unreadable)
}

/// A quoted name that is no column would be read as a text.
fn known(
    connection: &Connection,
    path: &Path,
    column: &FileColumn,
) -> Result<std::result::Result<(), String>> {
    let names: Vec<String> = connection
        .prepare("SELECT name FROM pragma_table_xinfo(?1)")
        .and_then(|mut statement| statement.query_map([&column.table], |row| row.get(0))?.collect())
        .map_err(failed("read the schema of", path))?;
    Ok(if names.is_empty() {
        Err(format!("no such table: {}", column.table))
    } else if names.iter().any(|name| name.eq_ignore_ascii_case(&column.column)) {
        Ok(())
    } else {
        Err(format!("no such column: {}.{}", column.table, column.column))
    })
}
