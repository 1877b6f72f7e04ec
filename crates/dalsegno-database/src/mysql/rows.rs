//! The rows of a table, read as a stream.

use mysql::prelude::Queryable;
use mysql::{Conn, Value};

use super::catalog::{Form, TableRows};
use super::connection::{Killer, LARGEST_ROW, Session};
use super::error::ServerError;
use super::quote;
use super::survey::Reading;
use super::tsv::Lines;
use crate::Result;

/// Bytes of a part, unless a single row is larger.
const PART: usize = 16 << 20;

/// Whether whoever takes the parts wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    More,
    Nothing,
}

/// Reads all rows, hands out parts of data files with their numbers, and says what they came to.
/// `None` if nothing more was wanted.
pub(super) fn read(
    session: &mut Session,
    reading: &Reading,
    take: &mut dyn FnMut(u32, Vec<u8>) -> Wanted,
) -> Result<Option<TableRows>> {
    let killer = session.killer();
    let mut counts = TableRows {
        id: reading.table.id,
        rows: 0,
        hash: String::new(),
        bytes: 0,
        parts: 0,
        warnings: 0,
    };
    let mut lines = Lines::default();
    let pulled = pull(session.conn(), reading, &killer, &mut lines, &mut counts, take);
    match pulled {
        Ok(Wanted::More) => {}
        Ok(Wanted::Nothing) => return Ok(None),
        Err(error) => return Err(read_error(session, reading, &error)),
    }
    let (last, sum) = lines.finish();
    if !last.is_empty() && hand_out(&mut counts, last, take) == Wanted::Nothing {
        return Ok(None);
    }
    counts.rows = sum.rows;
    counts.hash = sum.hash();
    Ok(Some(counts))
}

/// Reads the stream of rows into `lines`.
fn pull(
    conn: &mut Conn,
    reading: &Reading,
    killer: &Killer,
    lines: &mut Lines,
    counts: &mut TableRows,
    take: &mut dyn FnMut(u32, Vec<u8>) -> Wanted,
) -> mysql::Result<Wanted> {
    let columns = reading.table.columns.len();
    let watched = watched_columns(reading);
    let mut stream = conn.query_iter(reading.rows())?;
    for row in stream.by_ref() {
        let row = row?;
        for at in 0..columns {
            lines.field(bytes(row.as_ref(at)));
        }
        for (at, error) in &watched {
            counts.warnings += u64::from(bytes(row.as_ref(*at)) == Some(error));
        }
        lines.end();
        if let Some(part) = lines.full(PART)
            && hand_out(counts, part, take) == Wanted::Nothing
        {
            // Dropping the stream reads what is left of it, which without this may be much.
            let _ = killer.stop_statement();
            return Ok(Wanted::Nothing);
        }
    }
    Ok(Wanted::More)
}

fn hand_out(
    counts: &mut TableRows,
    part: Vec<u8>,
    take: &mut dyn FnMut(u32, Vec<u8>) -> Wanted,
) -> Wanted {
    counts.parts += 1;
    counts.bytes += part.len() as u64;
    take(counts.parts, part)
}

/// Enumerations, with what an error's value looks like.
fn watched_columns(reading: &Reading) -> Vec<(usize, &'static [u8])> {
    let columns = reading.table.columns.iter().zip(&reading.enumerations).enumerate();
    let watched = columns.filter(|(_, (_, enumeration))| **enumeration);
    watched
        .map(|(at, (column, _))| match column.form {
            Form::Number => (at, &b"0"[..]),
            Form::Bytes | Form::Text => (at, &b""[..]),
        })
        .collect()
}

fn bytes(value: Option<&Value>) -> Option<&[u8]> {
    match value {
        Some(Value::Bytes(bytes)) => Some(bytes),
        // Answers of text have no other values.
        _ => None,
    }
}

fn read_error(session: &Session, reading: &Reading, error: &mysql::Error) -> crate::DatabaseError {
    let name = &reading.table.name;
    if matches!(error, mysql::Error::CodecError(_)) {
        let (table, row) = (name.clone(), "one that is not known by its key".to_owned());
        return ServerError::RowTooLarge { table, row, limit: LARGEST_ROW as u64 }.into();
    }
    session.failed("read the table", name, error)
}

/// Refuses a table that holds a row above the limit, by its key. Reads it only where the server's
/// estimate leaves room for one.
pub(super) fn refuse_large_rows(
    session: &mut Session,
    reading: &Reading,
    estimate: u64,
) -> Result<()> {
    if estimate < LARGEST_ROW as u64 / 2 || reading.table.columns.is_empty() {
        return Ok(());
    }
    let name = &reading.table.name;
    let sizes: Vec<String> = reading
        .table
        .columns
        .iter()
        .map(|column| format!("COALESCE(OCTET_LENGTH({}), 0)", quote::identifier(&column.name)))
        .collect();
    let size = sizes.join(" + ");
    let sql = format!(
        "SELECT k.COLUMN_NAME FROM information_schema.STATISTICS k \
         WHERE {} AND k.TABLE_NAME = {} AND k.INDEX_NAME = 'PRIMARY' ORDER BY k.SEQ_IN_INDEX",
        super::survey::here("k"),
        quote::text(name)
    );
    let key = session.ask("list the keys of", name, &sql)?;
    let key: Vec<String> = key.iter().map(|row| row.text(0)).collect();
    let names = key.iter().map(|name| quote::identifier(name));
    let list = std::iter::once(size.clone()).chain(names).collect::<Vec<_>>().join(", ");
    let limit = LARGEST_ROW as u64;
    let sql =
        format!("SELECT {list} FROM {} WHERE {size} > {limit} LIMIT 1", quote::identifier(name));
    let found = session.ask("measure the rows of", name, &sql)?;
    let Some(row) = found.first() else { return Ok(()) };
    let at = key.iter().enumerate().map(|(at, name)| format!("`{name}` = {}", row.text(at + 1)));
    let at = at.collect::<Vec<_>>().join(", ");
    let key =
        if at.is_empty() { "one without a key".to_owned() } else { format!("that with {at}") };
    let row = format!("{key} has {} bytes", row.text(0));
    Err(ServerError::RowTooLarge { table: name.clone(), row, limit }.into())
}
