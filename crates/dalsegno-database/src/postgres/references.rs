//! Values of columns that name files.

use std::error::Error;

use postgres::fallible_iterator::FallibleIterator;
use postgres::types::{FromSql, Type};

use super::connection::{Session, quoted};
use super::failure::{Cause, refused, said};
use super::survey::Found;
use crate::{FileColumn, Result, Unreadable};

/// Calls `found` once for each distinct value of each column, NULL and the empty text left out.
pub(super) fn distinct(
    session: &mut Session,
    tables: &[Found],
    columns: &[FileColumn],
    found: &mut dyn FnMut(usize, &[u8]),
) -> Result<Vec<Unreadable>> {
    let mut unreadable = Vec::new();
    for (number, column) in columns.iter().enumerate() {
        let Some(table) = named(tables, &column.table) else {
            let reason = format!("there is no table `{}`", column.table);
            unreadable.push(Unreadable { column: number, reason });
            continue;
        };
        // What cannot be read must not end the transaction that the others are read in.
        session.run("begin to read names of files", "SAVEPOINT names")?;
        let name = quoted(&column.column);
        let sql = format!(
            "SELECT DISTINCT {name}::text FROM {}.{} WHERE {name}::text <> ''",
            quoted(&table.table.schema),
            quoted(&table.table.name)
        );
        if let Err(error) = read(session, &sql, |value| found(number, value)) {
            if matches!(Cause::of(&error), Cause::Dropped | Cause::Cancelled) {
                let action = format!("read names of files in `{}`", column.table);
                return Err(refused(action, session.place())(error));
            }
            unreadable.push(Unreadable { column: number, reason: said(&error) });
            session.run("go on reading names of files", "ROLLBACK TO SAVEPOINT names")?;
        }
        session.run("end reading names of files", "RELEASE SAVEPOINT names")?;
    }
    Ok(unreadable)
}

fn read(
    session: &mut Session,
    sql: &str,
    mut found: impl FnMut(&[u8]),
) -> std::result::Result<(), postgres::Error> {
    let nothing: [&str; 0] = [];
    let mut rows = session.client.query_raw(sql, nothing)?;
    while let Some(row) = rows.next()? {
        found(row.try_get::<_, AnyBytes<'_>>(0)?.0);
    }
    Ok(())
}

/// The table as models call it: by its name in the usual schema, with its schema, or by its name
/// alone where no other schema has one like it.
fn named<'t>(tables: &'t [Found], name: &str) -> Option<&'t Found> {
    let shown = tables.iter().find(|found| found.table.shown() == name);
    let mut alone = tables.iter().filter(|found| found.table.name == name);
    shown.or_else(|| alone.next().filter(|_| alone.next().is_none()))
}

/// A value as it came, also where it is not valid in its encoding.
struct AnyBytes<'b>(&'b [u8]);

impl<'b> FromSql<'b> for AnyBytes<'b> {
    fn from_sql(_: &Type, raw: &'b [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
