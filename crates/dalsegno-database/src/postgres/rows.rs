//! The rows of one table: a `COPY` that writes text, and what is known of its lines.

use std::io::{self, BufRead};

use super::catalog::{RowsTaken, Table};
use super::connection::{Session, quoted};
use super::failure::{Failure, refused};
use crate::{DatabaseError, Place, Result, RowSum};

/// Pages of a table from the first to before the second; without an end, all that follow.
pub(super) type Pages = (u64, Option<u64>);

/// The statement that writes the rows of `table`, or of some of its pages, in the encoding of the
/// database.
pub(super) fn statement(table: &Table, pages: Option<Pages>, encoding: &str) -> String {
    let name = format!("{}.{}", quoted(&table.schema), quoted(&table.name));
    let columns: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
    let columns = columns.join(", ");
    let condition = match (&table.rows, pages) {
        (RowsTaken::Where(condition), _) => condition.clone(),
        (_, Some((from, Some(to)))) => {
            format!("WHERE ctid >= '({from},0)' AND ctid < '({to},0)'")
        }
        (_, Some((from, None))) => format!("WHERE ctid >= '({from},0)'"),
        (_, None) => String::new(),
    };
    let source = match (condition.is_empty(), columns.is_empty()) {
        // No column, or generated ones alone: an empty line for each row.
        (true, true) => name,
        (true, false) => format!("{name} ({columns})"),
        (false, _) => format!("(SELECT {columns} FROM ONLY {name} {condition})"),
    };
    format!("COPY {source} TO STDOUT WITH (FORMAT text, ENCODING '{encoding}')")
}

/// The statement that takes the lines of a table back, on one line whatever the names.
pub(super) fn loading(table: &Table, encoding: &str) -> String {
    let columns: Vec<String> = table.columns.iter().map(|it| on_one_line(&it.name)).collect();
    let columns = columns.join(", ");
    let columns = if columns.is_empty() { String::new() } else { format!(" ({columns})") };
    let (schema, name) = (on_one_line(&table.schema), on_one_line(&table.name));
    format!("COPY {schema}.{name}{columns} FROM stdin WITH (FORMAT text, ENCODING '{encoding}');")
}

/// A quoted name; line ends and other control characters as numbers.
fn on_one_line(name: &str) -> String {
    use std::fmt::Write as _;
    if !name.chars().any(char::is_control) {
        return quoted(name);
    }
    let mut text = "U&\"".to_owned();
    for c in name.chars() {
        match c {
            '"' => text.push_str("\"\""),
            '\\' => text.push_str("\\\\"),
            c if c.is_control() => {
                // Writing to a text cannot fail.
                let _ = write!(text, "\\{:04X}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text + "\""
}

/// Runs a `COPY` and calls `take` with each line and its end.
pub(super) fn copy(
    session: &mut Session,
    action: &str,
    statement: &str,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let place = session.place().clone();
    let mut lines = session.client.copy_out(statement).map_err(refused(action, &place))?;
    loop {
        // The server sends each row as one message.
        let line = lines.fill_buf().map_err(|error| broken(error, action, &place))?;
        if line.is_empty() {
            return Ok(());
        }
        let length = line.len();
        if line[length - 1] != b'\n' {
            return Err(cut(action, &place));
        }
        take(line)?;
        lines.consume(length);
    }
}

/// Rows of `table`, read to their end.
pub(super) fn sum(session: &mut Session, table: &Table, encoding: &str) -> Result<RowSum> {
    let mut sum = RowSum::default();
    let action = reading(table);
    copy(session, &action, &statement(table, None, encoding), |line| {
        sum.add(&line[..line.len() - 1]);
        Ok(())
    })?;
    Ok(sum)
}

/// What is attempted, for errors.
pub(super) fn reading(table: &Table) -> String {
    format!("read the rows of `{}`", table.shown())
}

impl Table {
    /// The name that people see: with its schema where that is not `public`.
    pub fn shown(&self) -> String {
        if self.schema == "public" {
            self.name.clone()
        } else {
            format!("{}.{}", self.schema, self.name)
        }
    }
}

fn broken(error: io::Error, action: &str, place: &Place) -> DatabaseError {
    let said = error.to_string();
    let inner = error.into_inner();
    let Some(inner) = inner else { return dropped(action, place, said) };
    match inner.downcast::<postgres::Error>() {
        Ok(error) => refused(action, place)(*error),
        Err(_) => dropped(action, place, said),
    }
}

fn cut(action: &str, place: &Place) -> DatabaseError {
    dropped(action, place, "a row has no end".to_owned())
}

fn dropped(action: &str, place: &Place, said: String) -> DatabaseError {
    let cause = super::failure::Cause::Dropped;
    Failure::Refused { action: action.to_owned(), place: place.clone(), cause, said }.into()
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{Column, TableKind};
    use super::*;

    #[test]
    fn sums_do_not_depend_on_order_and_equal_rows_do_not_cancel() {
        let sum = |rows: &[&str]| {
            let mut sum = RowSum::default();
            for row in rows {
                sum.add(row.as_bytes());
            }
            sum
        };
        assert_eq!(sum(&["a", "b", ""]), sum(&["", "b", "a"]));
        assert_ne!(sum(&["a", "a"]).hash(), sum(&["b", "b"]).hash());
        let mut parts = sum(&["a", "c"]);
        parts.join(sum(&["b"]));
        assert_eq!(parts, sum(&["a", "b", "c"]));
        assert_eq!((parts.rows, parts.bytes, parts.hash().len()), (3, 6, 32));
    }

    #[test]
    fn statements_name_every_column_and_quote_every_name() {
        let column = |name: &str| Column { name: name.to_owned(), type_name: "int".to_owned() };
        let mut table = Table {
            id: 1,
            schema: "a.b".to_owned(),
            name: "say \"x\"".to_owned(),
            kind: TableKind::Table,
            rows: RowsTaken::All,
            unlogged: false,
            columns: vec![column("id"), column("Order")],
            format: "copy".to_owned(),
            partition_of: None,
            size: 0,
        };
        let back = |table: &Table| loading(table, "UTF8");
        assert_eq!(
            back(&table),
            r#"COPY "a.b"."say ""x""" ("id", "Order") FROM stdin WITH (FORMAT text, ENCODING 'UTF8');"#
        );
        let odd = Table { name: "a\nb\"\\".to_owned(), columns: Vec::new(), ..table.clone() };
        assert_eq!(
            back(&odd),
            r#"COPY "a.b".U&"a\000Ab""\\" FROM stdin WITH (FORMAT text, ENCODING 'UTF8');"#
        );
        let end = "TO STDOUT WITH (FORMAT text, ENCODING 'UTF8')";
        let name = r#""a.b"."say ""x""""#;
        assert_eq!(
            statement(&table, None, "UTF8"),
            format!(r#"COPY {name} ("id", "Order") {end}"#)
        );
        assert_eq!(
            statement(&table, Some((8, None)), "UTF8"),
            format!(r#"COPY (SELECT "id", "Order" FROM ONLY {name} WHERE ctid >= '(8,0)') {end}"#)
        );
        table.columns.clear();
        assert_eq!(statement(&table, None, "UTF8"), format!("COPY {name} {end}"));
    }
}
