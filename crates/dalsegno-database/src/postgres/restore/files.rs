use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use serde::de::DeserializeOwned;

use super::content::Known;
use super::loader::{Taken, label};
use crate::error::DatabaseError;
use crate::postgres::catalog::{Catalog, Rows, RowsTaken, Table};
use crate::postgres::connection::literal;
use crate::{CapturedFile, Place, Result};

/// The whole text of a file.
pub(super) fn text(file: &CapturedFile<'_>, data: &mut dyn Read) -> Result<String> {
    let mut text = String::new();
    data.read_to_string(&mut text)
        .map_err(|source| DatabaseError::Unreadable { name: file.name.to_owned(), source })?;
    Ok(text)
}

/// What a JSON file says.
pub(super) fn parse<T: DeserializeOwned>(
    file: &CapturedFile<'_>,
    data: &mut dyn Read,
    place: &Place,
) -> Result<T> {
    let text = text(file, data)?;
    serde_json::from_str(&text).map_err(|error| DatabaseError::DamagedBackup {
        place: place.clone(),
        problem: format!("`{}` cannot be understood: {error}", file.name),
    })
}

/// What was read and loaded against what was captured; an error says what is wrong. `large` are
/// the parts of the large objects that came.
pub(super) fn compare(
    catalog: &Catalog,
    rows: &Rows,
    taken: &BTreeMap<u32, Taken>,
    large: u64,
) -> Result<(), String> {
    let captured: HashMap<u32, _> = rows.tables.iter().map(|it| (it.id, it)).collect();
    for table in &catalog.tables {
        let none = || (0, format!("{:032x}", 0), 0, 0);
        let (rows, hash, bytes, parts) = captured
            .get(&table.id)
            .map_or_else(none, |it| (it.rows, it.hash.clone(), it.bytes, it.parts));
        let wrong = match taken.get(&table.id) {
            None if parts == 0 && rows == 0 => continue,
            None => format!("the rows of {} are missing", label(table)),
            Some(it) if !it.sum.is_whole() => {
                format!("the rows of {} end inside a row", label(table))
            }
            Some(it) if it.parts != parts => {
                format!("{} has {} parts instead of {parts}", label(table), it.parts)
            }
            Some(it) if it.sum.ended().rows != rows => {
                format!("{} has {} rows instead of {rows}", label(table), it.sum.ended().rows)
            }
            Some(it) if it.sum.ended().hash() != hash || it.sum.ended().bytes != bytes => {
                format!("the rows of {} are not those that were captured", label(table))
            }
            Some(it) if it.confirmed != rows => {
                format!("the server took {} of {rows} rows of {}", it.confirmed, label(table))
            }
            Some(_) => continue,
        };
        return Err(wrong);
    }
    if large != u64::from(rows.large.parts) {
        let expected = rows.large.parts;
        return Err(format!("{large} of {expected} parts of the large objects are there"));
    }
    Ok(())
}

/// Settings that decide what a text means as a value; all others are this machine's own.
const MEANING: &[&str] = &[
    "bytea_output",
    "client_encoding",
    "datestyle",
    "extra_float_digits",
    "intervalstyle",
    "lc_monetary",
    "standard_conforming_strings",
    "timezone",
    "xmloption",
];

/// The statements after which rows mean what they meant when they were captured.
pub(super) fn settings(catalog: &Catalog) -> String {
    let set = |name: &str, value: &str| {
        format!("SELECT pg_catalog.set_config({}, {}, false)", literal(name), literal(value))
    };
    let mut sql = vec![set("client_encoding", &catalog.database.encoding)];
    let pinned = catalog.settings.iter();
    let pinned = pinned.filter(|(name, _)| MEANING.contains(&name.to_ascii_lowercase().as_str()));
    sql.extend(pinned.map(|(name, value)| set(name, value)));
    sql.join("; ")
}

/// The table and the part in `4-data/000017.000001.copy`.
pub(super) fn data_part(name: &str) -> Option<(u32, u32)> {
    let (table, part) = name.strip_prefix("4-data/")?.strip_suffix(".copy")?.split_once('.')?;
    Some((table.parse().ok()?, part.parse().ok()?))
}

pub(super) fn drain(file: &CapturedFile<'_>, data: &mut dyn Read) -> Result<()> {
    std::io::copy(data, &mut std::io::sink())
        .map_err(|source| DatabaseError::Unreadable { name: file.name.to_owned(), source })
        .map(drop)
}

/// Tables whose rows were hashed on their way in.
pub(super) fn known(catalog: &Catalog, rows: &Rows) -> Known {
    let hashes: HashMap<u32, _> = rows.tables.iter().map(|it| (it.id, it)).collect();
    let whole = catalog.tables.iter().filter(|it| !matches!(it.rows, RowsTaken::Where(_)));
    whole
        .map(|table: &Table| {
            let columns = table.columns.iter().map(|column| column.name.clone()).collect();
            let key = (table.schema.clone(), table.name.clone(), columns);
            let none = || (0, format!("{:032x}", 0));
            (key, hashes.get(&table.id).map_or_else(none, |it| (it.rows, it.hash.clone())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_part_tells_its_table() {
        assert_eq!(data_part("4-data/000017.000002.copy"), Some((17, 2)));
        for name in ["4-data/17.copy", "data/x.1.copy", "5-large/000001.sql", "4-data/1.1.tsv"] {
            assert_eq!(data_part(name), None, "{name}");
        }
    }
}
