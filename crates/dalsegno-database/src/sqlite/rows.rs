use std::io::Write;

use rusqlite::OptionalExtension;
use rusqlite::types::ValueRef;
use serde_json::{Map, Value, json};

use super::connection::{Source, quoted};
use super::deep::stored_columns;
use super::error::failed;
use super::lenient::StandIns;
use crate::{DatabaseError, Result, Watch};

/// Writes the rows of a table as JSON lines, one object each, columns in their order.
///
/// What JSON cannot say is an object of one key: `{"blob": "<hex>"}`, `{"text": "<hex>"}` for a text
/// that is not Unicode, `{"real": "inf"}` and `{"real": "-inf"}`. Virtual generated columns are left
/// out. Returns the number of rows.
pub fn rows(
    source: Source<'_>,
    table: &str,
    out: &mut dyn Write,
    watch: &mut dyn Watch,
) -> Result<u64> {
    let path = source.path();
    let connection = source.open()?;
    let unknown = || DatabaseError::UnknownTable { path: path.to_owned(), table: table.to_owned() };
    let name: String = connection
        .query_row(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?1 COLLATE NOCASE",
            [table],
            |row| row.get(0),
        )
        .optional()
        .map_err(failed("read the schema of", path))?
        .ok_or_else(unknown)?;
    let columns = stored_columns(&connection, &name).map_err(failed("read the schema of", path))?;
    let list: Vec<String> = columns.iter().map(|column| quoted(column)).collect();
    let sql = format!("SELECT {} FROM {}", list.join(", "), quoted(&name));
    let mut statement = StandIns::default()
        .run(&connection, |_| connection.prepare(&sql))
        .map_err(failed("read", path))?;
    let mut rows = statement.query([]).map_err(failed("read", path))?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(failed("read", path))? {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        let mut object = Map::new();
        for (at, column) in columns.iter().enumerate() {
            let value = row.get_ref(at).map_err(failed("read", path))?;
            object.insert(column.clone(), shown(value));
        }
        writeln!(out, "{}", Value::Object(object)).map_err(DatabaseError::io("show", path))?;
        count += 1;
    }
    Ok(count)
}

fn shown(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) if number.is_finite() => json!(number),
        ValueRef::Real(number) => json!({ "real": number.to_string() }),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => text.into(),
            Err(_) => json!({ "text": dalsegno_format::hex(text) }),
        },
        ValueRef::Blob(blob) => json!({ "blob": dalsegno_format::hex(blob) }),
    }
}
