//! What a manifest says of a captured database, in the words of its engine.

use dalsegno_database::{Captured, TableCount};
use dalsegno_format::DatabaseCompletion;
use serde_json::Value;

/// From a manifest. One whose end is missing says little, but never nothing.
pub(crate) fn captured(held: Option<&DatabaseCompletion>, vendor: &str) -> Captured {
    let tables = held.map(|held| &held.tables[..]).unwrap_or_default();
    let tables: Vec<TableCount> = tables
        .iter()
        .map(|table| TableCount {
            name: table.name.clone(),
            rows: table.rows,
            note: table.note.clone(),
            damaged: false,
        })
        .collect();
    let facts = held.map(|held| held.facts.clone()).unwrap_or_default();
    let mut facts: serde_json::Map<String, Value> = facts.into_iter().collect();
    facts.insert("tables".to_owned(), Value::Array(Vec::new()));
    match serde_json::from_value::<Captured>(Value::Object(facts)) {
        Ok(captured) => Captured { tables, ..captured },
        Err(_) => Captured {
            vendor: vendor.to_owned(),
            server_version: String::new(),
            encoding: String::new(),
            size: held.map_or(0, |held| held.bytes),
            tables,
            excluded: Vec::new(),
            fingerprint: String::new(),
            foreign_key_violations: None,
            spooled: false,
            sqlite: None,
            postgres: None,
        },
    }
}
