use std::error::Error;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};

use crate::sqlite::Facts;
use crate::{Result, postgres};

/// Receives the files of one captured database.
pub trait FileSink {
    /// Takes one file whole.
    ///
    /// `name` is relative to the folder of the database's alias, `size` is the exact number of
    /// bytes that `data` yields. Returns the SHA-256 of these bytes. A sink that stops early
    /// without an error is an error of the capture.
    fn file(
        &mut self,
        name: &str,
        size: u64,
        data: &mut dyn Read,
    ) -> std::result::Result<[u8; 32], Box<dyn Error + Send + Sync>>;

    /// Whether files are stored as they are, on a disk of this machine: [`FileSink::stored`] then
    /// says where. A capture that needs a private copy does without one, and holds the site's lock
    /// for as long as the disk takes.
    fn stores_files(&self) -> bool {
        false
    }

    /// Where a file taken before lies, with all its bytes; asked only of a sink that stores files.
    fn stored(&mut self, name: &str) -> std::result::Result<PathBuf, Box<dyn Error + Send + Sync>> {
        Err(format!("`{name}` is not stored as a file").into())
    }
}

/// Sees the progress of long work and may stop it; asked at every chunk.
pub trait Watch {
    /// `n` more bytes are done.
    fn bytes(&mut self, n: u64);
    /// Whether the work shall stop; it then ends with [`crate::DatabaseError::Cancelled`].
    fn cancelled(&self) -> bool;

    /// A flag that is set as soon as [`Watch::cancelled`] says so, if there is one: for a thread
    /// that must hear of it while the watch is with a sink that has got stuck.
    fn flag(&self) -> Option<Arc<AtomicBool>> {
        None
    }
}

/// A [`Watch`] that shows nothing and never stops anything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Watch for Quiet {
    fn bytes(&mut self, _: u64) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// One consistent view of one live database, held open until it is dropped.
pub trait Snapshot {
    /// Bytes that [`Snapshot::write`] hands to its sink; fewer where rows are left out.
    fn estimate(&self) -> u64;

    /// Writes the whole database into `sink` and counts its rows, all from this one view.
    fn write(&mut self, sink: &mut dyn FileSink, watch: &mut dyn Watch) -> Result<Captured>;

    /// To be called after [`Snapshot::write`] where writers wait for the snapshot; after a failed
    /// one, this fails too. Calls `found` once for each distinct value of each column, NULL and the empty text left
    /// out, with the column's place in `columns`.
    ///
    /// Returns the columns that could not be read, with the reason; the others are complete.
    fn file_references(
        &mut self,
        columns: &[FileColumn],
        found: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<Vec<Unreadable>>;
}

/// A column whose values name files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileColumn {
    /// The table, unquoted.
    pub table: String,
    /// The column, unquoted.
    pub column: String,
}

/// A column that [`Snapshot::file_references`] could not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its place in the columns asked for.
    pub column: usize,
    /// Why: the engine's own words.
    pub reason: String,
}

/// How many rows a table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableCount {
    /// The table, unquoted.
    pub name: String,
    /// Its rows; `None` where they cannot be counted, `note` then says why.
    pub rows: Option<u64>,
    /// What an operator should know about this table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether `note` tells of pages that are damaged, not of what is merely unknown here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
}

/// What a capture found; goes into the manifest as `databases.<alias>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// The engine in Django's word: `sqlite`.
    pub vendor: String,
    /// Version of the server, or of the library where there is no server.
    pub server_version: String,
    /// Text encoding of the database in the engine's own word.
    pub encoding: String,
    /// Bytes written into the sink.
    pub size: u64,
    /// Every table with its rows, ordered by name.
    pub tables: Vec<TableCount>,
    /// Tables that were captured without their rows.
    pub excluded: Vec<String>,
    /// SHA-256, in hexadecimal, of the sorted schema texts, each followed by a NUL.
    pub fingerprint: String,
    /// Rows whose foreign key points nowhere; `None` where nobody looked.
    pub foreign_key_violations: Option<u64>,
    /// Whether the data went through a private copy before they were written.
    pub spooled: bool,
    /// What only an SQLite database has; its fields stand beside the others.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub sqlite: Option<Facts>,
    /// What only a `PostgreSQL` database has; its fields stand beside the others.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<postgres::Facts>,
}
