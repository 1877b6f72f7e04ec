//! What was captured, and whether that is all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ManifestError, parse, pretty};
use crate::BackupId;

/// `backup_complete.json`: counts, hashes, outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// Version of the tree.
    pub format: u32,
    /// The backup's id again.
    pub id: BackupId,
    /// UTC, RFC 3339 with microseconds.
    pub finished_at: String,
    /// From start to the writing of this record.
    pub duration_ms: u64,
    /// Whether all of it is there.
    pub outcome: Outcome,
    /// Databases by alias.
    pub databases: BTreeMap<String, DatabaseCompletion>,
    /// Storages by alias.
    pub storages: BTreeMap<String, StorageCompletion>,
    /// Project fixtures; `None` when not asked for.
    #[serde(default)]
    pub fixtures: Option<FixtureCompletion>,
    /// Files named by rows against files captured; `None` when not both were captured.
    #[serde(default)]
    pub references: Option<References>,
    /// Members in the tree, this one included.
    pub members: u64,
    /// Bytes of all files in the tree but this one.
    pub bytes: u64,
    /// SHA-256 of the two lists.
    pub digests: ListDigests,
    /// What the operator should know; none of it makes the backup partial.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What makes the backup partial.
    #[serde(default)]
    pub problems: Vec<Problem>,
}

/// Whether a backup holds all it was meant to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All of it.
    Complete,
    /// Something could not be captured; `problems` says what.
    Partial,
}

impl Outcome {
    /// The name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Partial => "partial",
        }
    }
}

/// What was captured of one database.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseCompletion {
    /// Bytes of its files in the tree.
    pub bytes: u64,
    /// Rows of each table in the captured snapshot.
    pub tables: Vec<TableRows>,
    /// Facts of the engine's own (for SQLite: page size, journal mode, encoding, …).
    #[serde(default)]
    pub facts: Map<String, Value>,
}

impl DatabaseCompletion {
    /// All counted rows.
    pub fn rows(&self) -> u64 {
        self.tables.iter().filter_map(|table| table.rows).sum()
    }
}

/// The rows of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// Name of the table.
    pub name: String,
    /// Rows in the captured snapshot; `None` when they could not be counted.
    pub rows: Option<u64>,
    /// Why not, or that rows were left out on request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What was captured of one storage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageCompletion {
    /// Regular files, hard links to files already counted included.
    pub files: u64,
    /// Folders, the root not counted.
    pub folders: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Files left out by `BACKUP_MEDIA_EXCLUDE`, `--exclude-media` or a `CACHEDIR.TAG`.
    pub left_out: u64,
    /// Files that vanished before they were opened.
    pub vanished: u64,
}

/// What was captured of the project's fixtures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixtureCompletion {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where each folder of `fixtures/` came from.
    #[serde(default)]
    pub folders: BTreeMap<String, String>,
}

/// Files named by rows (file and image fields) against files captured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// Distinct paths named by rows.
    pub referenced: u64,
    /// Paths named by rows for which no file was captured.
    pub missing: u64,
    /// Paths named by rows whose files a rule left out of the backup; not counted as missing.
    #[serde(default)]
    pub left_out: u64,
    /// Captured files no row names.
    pub orphaned: u64,
    /// Some of the missing, with the column that names them.
    #[serde(default)]
    pub missing_examples: Vec<String>,
    /// Some of the orphaned.
    #[serde(default)]
    pub orphaned_examples: Vec<String>,
}

/// SHA-256, in hexadecimal, of the two lists of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListDigests {
    /// Of `entries.tsv`.
    pub entries: String,
    /// Of `checksums.sha256`.
    pub checksums: String,
}

/// Something that could not be captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What: For example `storage default: photos/a.jpg`.
    pub subject: String,
    /// Why.
    pub reason: String,
}

impl Completion {
    /// The bytes of `backup_complete.json`.
    pub fn to_json(&self) -> Vec<u8> {
        pretty(self)
    }

    /// Reads `backup_complete.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        parse(bytes, "/format", |completion: &Self| completion.format)
    }
}
