//! The manifest: `backup_metadata.json`, known when a backup begins, and `backup_complete.json`,
//! written last. Unknown keys are ignored, so that a newer writer's manifest can be read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{BackupId, Form};

/// The version of the tree this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Both halves of the manifest. Its bytes lie in the index and in the sidecar of an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `backup_metadata.json`.
    pub metadata: Metadata,
    /// `backup_complete.json`.
    pub completion: Completion,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not the JSON of a manifest.
    #[error("the manifest cannot be read: {0}")]
    Json(String),
    /// It was made by a newer Dalsegno.
    #[error("the backup has format version {found}; this program reads up to {FORMAT_VERSION}")]
    Newer {
        /// The version in the manifest.
        found: u32,
    },
    /// The two halves are of different backups.
    #[error("metadata and completion record belong to different backups")]
    Ids,
}

/// `backup_metadata.json`: what was known when the backup began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of the tree, see [`FORMAT_VERSION`].
    pub format: u32,
    /// The backup's id.
    pub id: BackupId,
    /// The backup's name; several backups may have the same.
    pub name: String,
    /// The top folder of its tree in tar forms: the file name it was made with, without ending.
    pub folder: String,
    /// Text the operator gave.
    #[serde(default)]
    pub description: String,
    /// Labels the operator gave.
    #[serde(default)]
    pub tags: Vec<String>,
    /// UTC, RFC 3339 with microseconds.
    pub created_at: String,
    /// The same moment in the project's time zone: naive ISO 8601 with microseconds.
    pub backup_timestamp: String,
    /// IANA name of that zone.
    pub time_zone: String,
    /// What was asked for: everything, databases or media.
    #[serde(rename = "type")]
    pub backup_type: BackupType,
    /// How databases were captured.
    pub capture: CaptureKind,
    /// The form it was written in.
    pub form: Form,
    /// Django's version; `None` for a project without Django.
    pub django_version: Option<String>,
    /// The four options every reader of older backups knows.
    pub backup_options: BackupOptions,
    /// Bare class name of the default storage.
    pub storage_backend: Option<String>,
    /// Dotted path of the default database's engine.
    pub database_engine: Option<String>,
    /// Versions of what made it.
    pub versions: Versions,
    /// Whose backup it is.
    pub project: ProjectIdentity,
    /// Where it was made.
    pub host: Host,
    /// All options as they were in force.
    pub options: Options,
    /// Databases in the backup, by alias.
    pub databases: BTreeMap<String, DatabaseMetadata>,
    /// Storages in the backup, by alias.
    pub storages: BTreeMap<String, StorageMetadata>,
    /// What the project has and the backup does not hold.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Migrations applied when the backup was made, by database alias.
    #[serde(default)]
    pub migrations: BTreeMap<String, Vec<Migration>>,
}

/// What a backup is meant to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupType {
    /// Databases and media.
    Full,
    /// Databases only.
    Database,
    /// Media only.
    Media,
}

impl BackupType {
    /// The name in options and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Database => "database",
            Self::Media => "media",
        }
    }
}

/// How databases were captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptureKind {
    /// Every table, constraint and index, in the engine's own terms.
    Native,
    /// Django fixtures.
    Models,
}

/// The options older backup scripts record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BackupOptions {
    /// Whether media are included.
    pub include_files: bool,
    /// Whether databases are left out.
    pub skip_db: bool,
    /// Whether the form is compressed.
    pub compress: bool,
    /// `"all"`, or the list of models.
    pub models: Value,
}

/// Versions of the programs that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Dalsegno.
    pub dalsegno: String,
    /// Django.
    pub django: Option<String>,
    /// The project's Python.
    pub python: Option<String>,
}

/// Whose backup it is: two projects with the same identity are taken for the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectIdentity {
    /// Name of the project.
    pub name: String,
    /// Dotted path of its settings; `None` without Django.
    pub settings_module: Option<String>,
}

/// Where a backup was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// Operating system and kernel, as `uname` names them.
    pub system: String,
}

/// Options in force.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Compression level; `None` for forms without compression.
    pub compression_level: Option<u32>,
    /// File name patterns left out of media.
    #[serde(default)]
    pub media_exclude: Vec<String>,
    /// Path patterns left out of media by `--exclude-media`.
    #[serde(default)]
    pub exclude_media: Vec<String>,
    /// Models whose rows were left out by `--exclude-data`.
    #[serde(default)]
    pub exclude_data: Vec<String>,
    /// Whether project fixtures are included.
    #[serde(default)]
    pub include_fixtures: bool,
}

/// One database, as it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatabaseMetadata {
    /// Django's word for the engine's family: `sqlite`, `postgresql`, `mysql`.
    pub vendor: String,
    /// Dotted path of the engine; `None` without Django.
    pub engine: Option<String>,
    /// Name or path of the database.
    pub name: String,
    /// Its folder in the tree.
    pub folder: String,
}

/// One storage, as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageMetadata {
    /// Dotted path of the storage's class; `None` without Django.
    pub backend: Option<String>,
    /// Its folder on the machine that made the backup.
    pub location: String,
    /// Its folder in the tree.
    pub folder: String,
}

/// Something of the project that a backup does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// `database`, `storage`, …
    pub what: String,
    /// Its alias or name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// One applied migration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Migration {
    /// App label.
    pub app: String,
    /// Name of the migration.
    pub name: String,
    /// Whether the code had a file for it when the backup was made: rows of removed apps and of
    /// squashed migrations have none, and never count as "unknown to the code".
    #[serde(default = "yes")]
    pub in_code: bool,
}

fn yes() -> bool {
    true
}

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

impl Metadata {
    /// The bytes of `backup_metadata.json`.
    pub fn to_json(&self) -> Vec<u8> {
        pretty(self)
    }

    /// Reads `backup_metadata.json`.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        parse(bytes, "/format", |metadata: &Self| metadata.format)
    }
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

impl Manifest {
    /// The bytes of the manifest in index and sidecar: one line, since lists read many of them.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("manifests have string keys only");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a manifest and checks that its halves belong together.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest = parse(bytes, "/metadata/format", |m: &Self| m.metadata.format)?;
        if manifest.metadata.id == manifest.completion.id {
            Ok(manifest)
        } else {
            Err(ManifestError::Ids)
        }
    }
}

fn pretty(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("manifests have string keys only");
    bytes.push(b'\n');
    bytes
}

/// Reads one document. A newer version is told as such, even where its shape is no longer ours: only
/// a document that cannot be read is parsed a second time to find out, since a list of a thousand
/// backups spends most of its time here.
fn parse<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    version: &str,
    format: impl Fn(&T) -> u32,
) -> Result<T, ManifestError> {
    match serde_json::from_slice::<T>(bytes) {
        Ok(value) if format(&value) > FORMAT_VERSION => {
            Err(ManifestError::Newer { found: format(&value) })
        }
        Ok(value) => Ok(value),
        Err(error) => {
            let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
            match document.pointer(version).and_then(Value::as_u64) {
                Some(found) if found > u64::from(FORMAT_VERSION) => {
                    Err(ManifestError::Newer { found: u32::try_from(found).unwrap_or(u32::MAX) })
                }
                _ => Err(ManifestError::Json(error.to_string())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_document_is_told_as_such_whatever_its_shape() {
        for (json, newer) in [
            (r#"{"format": 2, "id": 7}"#, true),
            (r#"{"format": 1, "id": 7}"#, false),
            (r#"{"id": 7}"#, false),
            ("{", false),
        ] {
            let error = Completion::from_json(json.as_bytes()).unwrap_err();
            assert_eq!(matches!(error, ManifestError::Newer { found: 2 }), newer, "{json}");
        }
    }
}
