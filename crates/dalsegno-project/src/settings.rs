//! The `BACKUP_*` settings, read once and typed.
//!
//! A value comes from the Django settings (or the configuration file), else from the environment
//! variable of the same name, else from its default. Options of a command come before all of
//! them; that is the engine's business.

mod name;
mod value;

use std::path::{Path, PathBuf};

use dalsegno_format::ByteSize;
use serde::Serialize;
use serde_json::Value;

use crate::Secret;
use crate::descriptor::Descriptor;
use crate::error::ProjectError;
use value::Values;

pub use crate::descriptor::SettingOrigin;
pub use name::{SETTING_NAMES, UnknownSetting, nearest_name};

/// Every setting, with defaults filled in. Paths are absolute; relative ones start at the
/// project's folder, `~/` at the home folder.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BackupSettings {
    /// `BACKUP_DIR`: `<project>/backups`.
    pub dir: PathBuf,
    /// `BACKUP_ROOT`: `<project>/backups_data`.
    pub root: PathBuf,
    /// `BACKUP_ARCHIVE_ROOT`: `BACKUP_ROOT/archives`.
    pub archive_root: PathBuf,
    /// `BACKUP_DATABASE_ROOT`: `BACKUP_ROOT/database`.
    pub database_root: PathBuf,
    /// `BACKUP_MEDIA_ROOT`: `BACKUP_ROOT/media`.
    pub media_root: PathBuf,
    /// `BACKUP_ROOT/temp`, for spools and scratch.
    pub temp: PathBuf,
    /// `BACKUP_RETENTION_DAYS`; `None` where it is None: no limit by age.
    pub retention_days: Option<u32>,
    /// `BACKUP_RETENTION_COUNT`; `None` where it is None: no limit by count.
    pub retention_count: Option<u32>,
    /// `BACKUP_MAX_FILE_SIZE`; `None` where it is 0 or None: no limit.
    #[serde(serialize_with = "bytes")]
    pub max_file_size: Option<ByteSize>,
    /// `BACKUP_USE_COMPRESSION`.
    pub use_compression: bool,
    /// `BACKUP_FILE_PERMISSIONS`: mode bits, `0o600`.
    pub file_permissions: u32,
    /// `BACKUP_USE_ENCRYPTION`.
    pub use_encryption: bool,
    /// `BACKUP_ENCRYPTION_KEY`: a passphrase.
    pub encryption_key: Option<Secret>,
    /// `BACKUP_CHUNK_SIZE`: rows read at a time.
    pub chunk_size: u32,
    /// `BACKUP_MEDIA_EXCLUDE`: patterns of file names that are left out.
    pub media_exclude: Vec<String>,
    /// `BACKUP_SFTP_*`.
    pub sftp: SftpSettings,
    /// `BACKUP_CATALOG_URL`.
    pub catalog_url: Option<Secret>,
    /// `BACKUP_DESTINATIONS`, as it stands; holds secrets.
    #[serde(skip)]
    pub destinations: Option<Hidden>,
    /// `BACKUP_SCHEDULES`, as it stands.
    #[serde(skip)]
    pub schedules: Option<Hidden>,
    /// `BACKUP_NOTIFICATIONS`, as it stands; holds secrets.
    #[serde(skip)]
    pub notifications: Option<Hidden>,
    /// Names that begin with `BACKUP_` and mean nothing.
    pub unknown: Vec<UnknownSetting>,
}

/// `BACKUP_SFTP_*`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SftpSettings {
    /// `_ENABLED`
    pub enabled: bool,
    /// `_HOST`
    pub host: Option<String>,
    /// `_PORT`: 22.
    pub port: u16,
    /// `_USER`
    pub user: Option<String>,
    /// `_PASSWORD`
    pub password: Option<Secret>,
    /// `_DIRECTORY`: `/backups`, on the server.
    pub directory: String,
    /// `_KEY_FILE`
    pub key_file: Option<PathBuf>,
    /// `_KNOWN_HOSTS`: `~/.ssh/known_hosts`; `None` where there is no home folder.
    pub known_hosts: Option<PathBuf>,
}

/// Free-form JSON that is not shown.
#[derive(Clone, PartialEq)]
pub struct Hidden(Value);

impl Hidden {
    /// The value itself.
    pub fn expose(&self) -> &Value {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(crate::MASK)
    }
}

impl BackupSettings {
    /// Reads the settings of a project. An error names the setting, and where it was made.
    pub fn from_descriptor(descriptor: &Descriptor) -> Result<Self, ProjectError> {
        let home = std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        Self::read(descriptor, home.as_deref())
    }

    fn read(descriptor: &Descriptor, home: Option<&Path>) -> Result<Self, ProjectError> {
        let base = descriptor.project.base_dir.as_path();
        let values = Values { settings: &descriptor.settings, base, home };
        let root = values.path("BACKUP_ROOT")?.unwrap_or_else(|| base.join("backups_data"));
        let below = |name: &str, folder: &str| {
            values.path(name).map(|path| path.unwrap_or_else(|| root.join(folder)))
        };
        Ok(Self {
            dir: values.path("BACKUP_DIR")?.unwrap_or_else(|| base.join("backups")),
            archive_root: below("BACKUP_ARCHIVE_ROOT", "archives")?,
            database_root: below("BACKUP_DATABASE_ROOT", "database")?,
            media_root: below("BACKUP_MEDIA_ROOT", "media")?,
            temp: root.join("temp"),
            retention_days: values.limit("BACKUP_RETENTION_DAYS", 30)?,
            retention_count: values.limit("BACKUP_RETENTION_COUNT", 10)?,
            max_file_size: values.size("BACKUP_MAX_FILE_SIZE", ByteSize(10 << 30))?,
            use_compression: values.flag("BACKUP_USE_COMPRESSION", true)?,
            file_permissions: values.mode("BACKUP_FILE_PERMISSIONS", 0o600)?,
            use_encryption: values.flag("BACKUP_USE_ENCRYPTION", false)?,
            encryption_key: values.text("BACKUP_ENCRYPTION_KEY")?.map(Secret::new),
            chunk_size: values.number("BACKUP_CHUNK_SIZE", 1000)?,
            media_exclude: values
                .list("BACKUP_MEDIA_EXCLUDE")?
                .unwrap_or_else(|| vec![".*".to_owned(), "*~".to_owned()]),
            sftp: SftpSettings::read(&values)?,
            catalog_url: values.text("BACKUP_CATALOG_URL")?.map(Secret::new),
            destinations: values.json("BACKUP_DESTINATIONS")?.map(Hidden),
            schedules: values.json("BACKUP_SCHEDULES")?.map(Hidden),
            notifications: values.json("BACKUP_NOTIFICATIONS")?.map(Hidden),
            unknown: name::unknown(&descriptor.settings),
            root,
        })
    }
}

impl SftpSettings {
    fn read(values: &Values<'_>) -> Result<Self, ProjectError> {
        Ok(Self {
            enabled: values.flag("BACKUP_SFTP_ENABLED", false)?,
            host: values.text("BACKUP_SFTP_HOST")?,
            port: values.port("BACKUP_SFTP_PORT", 22)?,
            user: values.text("BACKUP_SFTP_USER")?,
            password: values.text("BACKUP_SFTP_PASSWORD")?.map(Secret::new),
            directory: values
                .text("BACKUP_SFTP_DIRECTORY")?
                .unwrap_or_else(|| "/backups".to_owned()),
            key_file: values.path("BACKUP_SFTP_KEY_FILE")?,
            known_hosts: values
                .path("BACKUP_SFTP_KNOWN_HOSTS")?
                .or_else(|| values.home.map(|home| home.join(".ssh/known_hosts"))),
        })
    }
}

#[expect(clippy::ref_option, reason = "the signature is serde's")]
fn bytes<S: serde::Serializer>(size: &Option<ByteSize>, serializer: S) -> Result<S::Ok, S::Error> {
    size.map(|size| size.0).serialize(serializer)
}

#[cfg(test)]
mod tests;
