//! The descriptor: what a project says of itself.
//!
//! Made by `dalsegno/describe` inside the project's own Django, or from a configuration where there is
//! none. Readers ignore keys they do not know and fill in those that are missing, so that an
//! engine and a helper of different ages understand each other. Whatever only a database can tell
//! is `None` where it did not answer; nothing is guessed.
//!
//! Serializing a descriptor masks its secrets.

mod connection;
mod database;
mod model;
mod setting;
mod storage;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use connection::{Address, Connection, Reach, TlsFiles, TlsMode};
pub use database::{AppliedMigrations, DatabaseDescriptor, Migration, MigrationKey, Vendor};
pub use model::{
    AppDescriptor, FieldDescriptor, FileField, ModelDescriptor, Relation, RelationKind,
};
pub use setting::{DatabaseOptions, SettingOrigin, SettingValue, SettingValues};
pub use storage::StorageDescriptor;

/// The version of the descriptor that this engine writes.
pub const DESCRIPTOR_VERSION: u32 = 1;

/// A project as the engine sees it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Descriptor {
    /// [`DESCRIPTOR_VERSION`] of its maker.
    pub descriptor_version: u32,
    /// Its name and place.
    pub project: ProjectIdentity,
    /// The version of Python; `None` where there is none.
    #[serde(default)]
    pub python: Option<String>,
    /// The version of Django; `None` where there is none, and then no model is known.
    #[serde(default)]
    pub django: Option<String>,
    /// `TIME_ZONE`, an IANA name.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// `USE_TZ`.
    #[serde(default)]
    pub use_tz: bool,
    /// Databases by alias.
    #[serde(default)]
    pub databases: BTreeMap<String, DatabaseDescriptor>,
    /// Every migration on disk, in Django's order of apps; `None` where they cannot be loaded or
    /// there is no Django.
    #[serde(default)]
    pub migrations: Option<Vec<Migration>>,
    /// Storages in the order of `STORAGES`.
    #[serde(default)]
    pub storages: Vec<StorageDescriptor>,
    /// `MEDIA_ROOT`, absolute; `None` where it is empty.
    #[serde(default)]
    pub media_root: Option<PathBuf>,
    /// `MEDIA_URL`.
    #[serde(default)]
    pub media_url: Option<String>,
    /// Apps in the order of `INSTALLED_APPS`.
    #[serde(default)]
    pub apps: Vec<AppDescriptor>,
    /// Every `BACKUP_*` name found in the settings or, failing that, the environment.
    #[serde(default)]
    pub settings: SettingValues,
    /// Folders of fixtures that exist.
    #[serde(default)]
    pub fixture_dirs: Vec<FixtureDir>,
    /// `AUTH_USER_MODEL`.
    #[serde(default)]
    pub auth_user_model: Option<String>,
    /// `INSTALLED_APPS` as written.
    #[serde(default)]
    pub installed_apps: Vec<String>,
    /// Folder of an app labelled `backups` that is the site's own.
    #[serde(default)]
    pub own_backups_app: Option<PathBuf>,
    /// Sentences about what could not be described.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// Name and place of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectIdentity {
    /// The settings package, or the folder where that is a word like `config`.
    pub name: String,
    /// The folder of `manage.py`, or of the configuration.
    pub base_dir: PathBuf,
    /// `DJANGO_SETTINGS_MODULE` as it was in the end.
    #[serde(default)]
    pub settings_module: Option<String>,
    /// The interpreter that described it; `None` where there is none, or it does not know itself.
    #[serde(default)]
    pub executable: Option<PathBuf>,
}

/// A folder of fixtures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixtureDir {
    /// The app it belongs to; `None` for one of `FIXTURE_DIRS`.
    #[serde(default)]
    pub app: Option<String>,
    /// The folder, absolute.
    pub path: PathBuf,
}

impl Descriptor {
    /// The descriptor in JSON with every secret masked, to be shown.
    pub fn masked_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("a descriptor holds no map with other keys than text")
    }

    /// Every model with its app, in Django's order.
    pub fn models(&self) -> impl Iterator<Item = &ModelDescriptor> {
        self.apps.iter().flat_map(|app| &app.models)
    }

    /// The model of this label, as in `shop.Order`; case does not matter.
    pub fn model(&self, label: &str) -> Option<&ModelDescriptor> {
        self.models().find(|model| model.label.eq_ignore_ascii_case(label))
    }

    /// The storage of this alias.
    pub fn storage(&self, alias: &str) -> Option<&StorageDescriptor> {
        self.storages.iter().find(|storage| storage.alias == alias)
    }

    /// Storages that hold what users uploaded: all but those of static files.
    pub fn media_storages(&self) -> impl Iterator<Item = &StorageDescriptor> {
        self.storages.iter().filter(|storage| !storage.is_static)
    }
}
