//! The rows of one table, for people and programs.

use std::io::{BufRead, BufReader, Read, Write};

use serde_json::{Map, Value, json};

use super::{StoredFiles, tables, through_django};
use crate::{DatabaseError, Result, Watch, fixtures};

/// Writes the rows of a captured table as JSON lines, one object each, columns in their order.
///
/// Values are the server's own text, or null; what is not UTF-8 is `{"text": "<hex>"}`. Returns the
/// number of rows.
pub fn rows(
    vendor: &str,
    files: &mut dyn StoredFiles,
    table: &str,
    out: &mut dyn Write,
    watch: &mut dyn Watch,
) -> Result<u64> {
    if through_django(vendor) {
        return fixtures::rows(files, table, out, watch);
    }
    let found = tables(vendor, files)?.into_iter().find(|stored| stored.promised.name == table);
    let stored = found.ok_or_else(|| DatabaseError::NoStoredTable { table: table.to_owned() })?;
    let mut written = 0;
    // A row may begin in one part and end in the next.
    let mut rest = Vec::new();
    for part in &stored.parts {
        let failed = |source| DatabaseError::StoredFile { name: part.clone(), source };
        let file = files.open(part).map_err(failed)?;
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        loop {
            if watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            let limit = u64::try_from(super::rows::LONGEST).unwrap_or(u64::MAX);
            let mut taken = Read::by_ref(&mut reader).take(limit);
            let read = taken.read_until(b'\n', &mut rest).map_err(|error| failed(error.into()))?;
            if read == 0 {
                break;
            }
            if rest.last() != Some(&b'\n') {
                continue;
            }
            rest.pop();
            write_row(&stored.columns, &rest, out)
                .map_err(DatabaseError::io("write", std::path::Path::new("the output")))?;
            written += 1;
            rest.clear();
        }
    }
    Ok(written)
}

/// Bytes read at a time while a row goes on.
const LONGEST: usize = 1 << 20;

fn write_row(columns: &[String], line: &[u8], out: &mut dyn Write) -> std::io::Result<()> {
    let mut row = Map::new();
    if !columns.is_empty() {
        for (column, field) in columns.iter().zip(line.split(|byte| *byte == b'\t')) {
            row.insert(column.clone(), value(field));
        }
    }
    serde_json::to_writer(&mut *out, &Value::Object(row))?;
    out.write_all(b"\n")
}

/// A field of a line: `\N` is null, a backslash begins what could not stand as it is.
fn value(field: &[u8]) -> Value {
    if field == b"\\N" {
        return Value::Null;
    }
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.iter();
    while let Some(&byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'b') => 8,
            Some(b'f') => 12,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 11,
            Some(b'0') => 0,
            Some(b'Z') => 0x1a,
            Some(&other) => other,
            None => b'\\',
        });
    }
    match String::from_utf8(bytes) {
        Ok(text) => Value::String(text),
        Err(error) => json!({ "text": dalsegno_format::hex(error.as_bytes()) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_server_wrote_them() {
        for (field, expected) in [
            (&b"plain"[..], json!("plain")),
            (b"\\N", Value::Null),
            (b"\\\\N", json!("\\N")),
            (b"", json!("")),
            (b"a\\tb\\nc\\rd\\0e\\Zf", json!("a\tb\nc\rd\0e\u{1a}f")),
            (b"caf\xc3\xa9", json!("café")),
            (b"\xff", json!({ "text": "ff" })),
        ] {
            assert_eq!(value(field), expected);
        }
        let mut out = Vec::new();
        let columns = ["id".to_owned(), "title".to_owned()];
        write_row(&columns, b"1\tone", &mut out).unwrap();
        write_row(&[], b"", &mut out).unwrap();
        assert_eq!(out, b"{\"id\":\"1\",\"title\":\"one\"}\n{}\n");
    }
}
