//! What is known when a backup begins.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ManifestError, parse, pretty};
use crate::{BackupId, Form};

/// `backup_metadata.json`: what was known when the backup began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// Version of the tree, see [`FORMAT_VERSION`](super::FORMAT_VERSION).
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
