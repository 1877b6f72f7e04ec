//! What tells later whether a live database was written to.

use sha2::{Digest, Sha256};

use crate::TableHash;

/// SHA-256, in hexadecimal, of texts, each followed by a NUL.
pub(super) fn digest_of(texts: &[String]) -> String {
    let mut digest = Sha256::new();
    for text in texts {
        digest.update(text.as_bytes());
        digest.update([0]);
    }
    dalsegno_format::hex(&digest.finalize())
}

/// A digest of the rows of tables. A table that cannot be read is like no other: then nobody can
/// say that nothing was written.
pub(super) fn rows_digest(tables: &[TableHash]) -> String {
    let mut texts: Vec<String> = tables
        .iter()
        .map(|table| match (&table.rows, &table.hash) {
            (Some(rows), Some(hash)) => format!("{}\t{rows}\t{hash}", table.name),
            _ => format!("{}\tunreadable\t{}", table.name, table.note.as_deref().unwrap_or("")),
        })
        .collect();
    texts.sort();
    digest_of(&texts)
}

/// Rows and objects together.
pub(super) fn content(rows: &str, objects: &str) -> String {
    format!("{rows}-{objects}")
}
