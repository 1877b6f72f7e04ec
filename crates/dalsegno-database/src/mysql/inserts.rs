//! `INSERT` statements of many rows, for servers that take no `LOAD DATA LOCAL`.

use super::catalog::{Form, Table};
use super::part::lines;
use super::quote;

/// Cuts rows into statements of about this many bytes: one larger row makes a larger statement.
pub(super) struct Inserts<'a, L> {
    lines: L,
    table: &'a Table,
    head: String,
    limit: usize,
    next: Option<String>,
}

/// The statements for the rows of one data file, into the table `into`, which is a name as a
/// statement takes it.
pub(super) fn inserts<'a>(
    table: &'a Table,
    into: &str,
    data: &'a [u8],
    limit: usize,
) -> Inserts<'a, impl Iterator<Item = &'a [u8]>> {
    let columns: Vec<String> = table.columns.iter().map(|c| quote::identifier(&c.name)).collect();
    let head = format!("INSERT INTO {into} ({}) VALUES ", columns.join(", "));
    Inserts { lines: lines(data), table, head, limit, next: None }
}

impl<'a, L: Iterator<Item = &'a [u8]>> Iterator for Inserts<'a, L> {
    /// A statement, and its rows.
    type Item = (String, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let mut sql = self.head.clone();
        let mut rows = 0;
        loop {
            let row = match self.next.take() {
                Some(row) => row,
                None => match self.lines.next() {
                    Some(line) => row_of(self.table, line.strip_suffix(b"\n").unwrap_or(line)),
                    None => break,
                },
            };
            if rows > 0 && sql.len() + row.len() > self.limit {
                self.next = Some(row);
                break;
            }
            if rows > 0 {
                sql.push(',');
            }
            sql.push_str(&row);
            rows += 1;
        }
        (rows > 0).then_some((sql, rows))
    }
}

/// A row between parentheses. A field too many is handed on: the server refuses it.
fn row_of(table: &Table, line: &[u8]) -> String {
    let mut sql = String::with_capacity(2 * line.len() + 16);
    sql.push('(');
    if !table.columns.is_empty() {
        for (at, field) in fields(line).enumerate() {
            if at > 0 {
                sql.push(',');
            }
            let form = table.columns.get(at).map_or(Form::Bytes, |column| column.form);
            push_value(&mut sql, &field, form);
        }
    }
    sql.push(')');
    sql
}

fn push_value(sql: &mut String, field: &Field, form: Form) {
    let Field::Value(bytes) = field else {
        sql.push_str("NULL");
        return;
    };
    let (before, after) = match form {
        Form::Bytes => ("", ""),
        Form::Text => ("CONVERT(", " USING utf8mb4)"),
        Form::Number => ("", "+0"),
    };
    sql.push_str(before);
    // Without the introducer, digits in a literal of bytes would be taken for a number.
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\'' | b'\\');
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.iter().all(plain) => {
            sql.push_str("_binary'");
            sql.push_str(text);
        }
        _ => {
            sql.push_str("_binary X'");
            sql.push_str(&dalsegno_format::hex(bytes));
        }
    }
    sql.push('\'');
    sql.push_str(after);
}

/// A field of a data file.
#[derive(Debug, PartialEq, Eq)]
enum Field {
    Null,
    Value(Vec<u8>),
}

/// The fields of a line, as `LOAD DATA` would read them.
fn fields(line: &[u8]) -> impl Iterator<Item = Field> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        if let Some(after) = text.strip_prefix(b"\\N")
            && matches!(after.first(), None | Some(b'\t'))
        {
            rest = after.get(1..);
            return Some(Field::Null);
        }
        let mut value = Vec::with_capacity(text.len().min(64));
        let mut at = 0;
        loop {
            match text.get(at) {
                None => {
                    rest = None;
                    break;
                }
                Some(b'\t') => {
                    rest = Some(&text[at + 1..]);
                    break;
                }
                Some(b'\\') => {
                    value.extend(text.get(at + 1).map(|byte| unescaped(*byte)));
                    at += 2;
                }
                Some(byte) => {
                    value.push(*byte);
                    at += 1;
                }
            }
        }
        Some(Field::Value(value))
    })
}

/// What a byte after a backslash stands for: the list is that of `LOAD DATA` in the manual.
fn unescaped(byte: u8) -> u8 {
    match byte {
        b'0' => 0,
        b'b' => 8,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'Z' => 0x1a,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mysql::catalog::{Column, Rows};

    fn table(forms: &[Form]) -> Table {
        let column = |(at, form): (usize, &Form)| Column { name: format!("c{at}"), form: *form };
        Table {
            id: 1,
            name: "t".to_owned(),
            engine: "InnoDB".to_owned(),
            rows: Rows::Captured,
            columns: forms.iter().enumerate().map(column).collect(),
            history: false,
            data_length: 0,
        }
    }

    fn all(forms: &[Form], data: &[u8], limit: usize) -> Vec<(String, u64)> {
        inserts(&table(forms), "`t`", data, limit).collect()
    }

    #[test]
    fn fields_are_what_load_data_would_read() {
        let read: Vec<Field> = fields(b"\\N\t\\\\N\tN\\t\\n\\0\\Z\t\t\\\t\\N").collect();
        let value = |bytes: &[u8]| Field::Value(bytes.to_vec());
        // An escaped tab does not part fields; `\N` inside of a value is an N.
        let wanted = [Field::Null, value(b"\\N"), value(b"N\t\n\0\x1a"), value(b""), value(b"\tN")];
        assert_eq!(read, wanted);
    }

    #[test]
    fn bytes_stay_bytes_and_numbers_numbers() {
        let one =
            all(&[Form::Bytes, Form::Text, Form::Number], b"it's\t{}\t3\n1\t\\N\t0\n", 1 << 20);
        let sql = "INSERT INTO `t` (`c0`, `c1`, `c2`) VALUES \
                   (_binary X'69742773',CONVERT(_binary'{}' USING utf8mb4),_binary'3'+0),\
                   (_binary'1',NULL,_binary'0'+0)";
        assert_eq!(one, [(sql.to_owned(), 2)]);
    }

    #[test]
    fn statements_end_at_the_limit_and_a_larger_row_stands_alone() {
        let long = format!("{}\n", "x".repeat(100));
        let data = format!("1\n2\n{long}3\n");
        let rows: Vec<u64> =
            all(&[Form::Bytes], data.as_bytes(), 80).into_iter().map(|s| s.1).collect();
        assert_eq!(rows, [2, 1, 1]);
        assert_eq!(all(&[], b"\n\n", 80), [("INSERT INTO `t` () VALUES (),()".to_owned(), 2)]);
    }
}
