use rusqlite::OptionalExtension;

use super::connection::Source;
use super::error::failed;
use crate::Result;

/// The applied migrations that Django wrote down, as `(app, name)` in the order of their rows.
///
/// `None` if the database has no table of migrations.
pub fn applied_migrations(source: Source<'_>) -> Result<Option<Vec<(String, String)>>> {
    let path = source.path();
    let connection = source.open()?;
    let known = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'django_migrations'",
            [],
            |_| Ok(()),
        )
        .optional()
        .map_err(failed("read the migrations of", path))?;
    if known.is_none() {
        return Ok(None);
    }
    let rows = connection
        .prepare("SELECT app, name FROM django_migrations ORDER BY id")
        .and_then(|mut statement| {
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })
        .map_err(failed("read the migrations of", path))?;
    Ok(Some(rows))
}
