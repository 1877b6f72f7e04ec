//! Positions of sequences.
//!
//! They belong to no snapshot. Read after the rows, they are never behind a number that a row has.

use super::connection::{Session, literal, quoted};
use crate::Result;

/// Sequences read by one statement, whose locks are gone after it.
const BATCH: usize = 100;

/// A statement a line that puts each sequence where it is now; the session is in no transaction.
pub(super) fn positions(session: &mut Session, names: &[(String, String)]) -> Result<String> {
    let mut lines = Vec::with_capacity(names.len() + 1);
    for batch in names.chunks(BATCH) {
        let names: Vec<String> = batch
            .iter()
            .map(|(schema, name)| format!("{}.{}", quoted(schema), quoted(name)))
            .collect();
        let selects: Vec<String> = names
            .iter()
            .enumerate()
            .map(|(n, name)| format!("SELECT {n}::int4, last_value, is_called FROM {name}"))
            .collect();
        let sql = selects.join(" UNION ALL ");
        let mut rows = session.rows("read the positions of the sequences", &sql, &[])?;
        rows.sort_by_key(|row| row.get::<_, i32>(0));
        lines.extend(names.iter().zip(rows).map(|(name, row)| {
            let (value, called): (i64, bool) = (row.get(1), row.get(2));
            format!("SELECT pg_catalog.setval({}, {value}, {called});\n", literal(name))
        }));
    }
    Ok(lines.concat())
}
