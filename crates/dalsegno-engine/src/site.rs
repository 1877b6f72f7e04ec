//! The live site, as the verbs see it: its databases, its media, its folders of backups.

use std::path::{Path, PathBuf};

use dalsegno_format::{Host, ProjectIdentity};
use dalsegno_project::descriptor::Vendor;
use dalsegno_project::{BackupSettings, Descriptor, Project};

use crate::EngineError;

/// A project and where its things lie.
#[derive(Debug)]
pub struct Site {
    /// The project, as it described itself.
    pub project: Project,
}

/// A database of the site that this version can back up and restore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDatabase {
    /// Its alias.
    pub alias: String,
    /// Django's word for its engine.
    pub vendor: String,
    /// Dotted path of its engine; `None` without Django.
    pub engine: Option<String>,
    /// Its file, absolute; it need not exist.
    pub path: PathBuf,
}

/// A folder of media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRoot {
    /// Alias of its storage; for a field with a storage of its own the field, `app.Model.field`.
    pub alias: String,
    /// Dotted path of the storage's class.
    pub backend: Option<String>,
    /// The folder, absolute; it need not exist.
    pub location: PathBuf,
}

/// A storage of the site that cannot be captured, or need not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherStorage {
    /// Its alias.
    pub alias: String,
    /// Why it is not captured.
    pub reason: String,
    /// Whether media may be lost by that: the backup is then partial.
    pub matters: bool,
}

impl Site {
    /// A site from its project.
    pub fn new(project: Project) -> Self {
        Self { project }
    }

    /// The descriptor.
    pub fn descriptor(&self) -> &Descriptor {
        &self.project.descriptor
    }

    /// The settings.
    pub fn settings(&self) -> &BackupSettings {
        &self.project.settings
    }

    /// The folder of the project.
    pub fn base_dir(&self) -> &Path {
        &self.descriptor().project.base_dir
    }

    /// The zone its backups are named in.
    pub fn time_zone(&self) -> &str {
        self.descriptor().time_zone.as_deref().unwrap_or("UTC")
    }

    /// Whose backups these are.
    pub fn identity(&self) -> ProjectIdentity {
        let project = &self.descriptor().project;
        ProjectIdentity {
            name: project.name.clone(),
            settings_module: project.settings_module.clone(),
        }
    }

    /// This machine.
    pub fn host() -> Host {
        let name = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Host {
            name: text(name.nodename()),
            system: format!("{} {}", text(name.sysname()), text(name.release())),
        }
    }

    /// The folders that `list`, `latest` and ids search.
    pub fn folders(&self) -> Vec<PathBuf> {
        let settings = self.settings();
        let mut folders: Vec<PathBuf> = Vec::new();
        for folder in [
            &settings.dir,
            &settings.root,
            &settings.archive_root,
            &settings.database_root,
            &settings.media_root,
        ] {
            if !folders.contains(folder) {
                folders.push(folder.clone());
            }
        }
        folders
    }

    /// The folder for scratch copies, made when it is missing.
    pub(crate) fn scratch(&self) -> Result<&Path, EngineError> {
        let settings = self.settings();
        dalsegno_store::create_folders(&settings.root, 0o750)?;
        dalsegno_store::create_folders(&settings.temp, 0o700)?;
        Ok(&settings.temp)
    }

    /// All database aliases, in order.
    pub fn aliases(&self) -> Vec<String> {
        self.descriptor().databases.keys().cloned().collect()
    }

    /// The database of an alias, ready for `verb` (`back up` or `restore`).
    pub fn database(&self, alias: &str, verb: &'static str) -> Result<LiveDatabase, EngineError> {
        let Some(described) = self.descriptor().databases.get(alias) else {
            return Err(EngineError::UnknownAlias {
                what: "database",
                alias: alias.to_owned(),
                known: self.aliases(),
            });
        };
        let alias = alias.to_owned();
        match &described.vendor {
            None => {
                let reason =
                    described.reason.clone().unwrap_or_else(|| "Django cannot load it".into());
                return Err(EngineError::BrokenAlias { alias, reason });
            }
            Some(Vendor::Sqlite) => {}
            Some(other) => {
                return Err(EngineError::Vendor { alias, vendor: other.to_string(), verb });
            }
        }
        let location = described.sqlite_location(self.base_dir());
        let Some(path) = location.as_ref().and_then(|l| l.path()) else {
            return Err(EngineError::InMemory { alias });
        };
        Ok(LiveDatabase {
            alias,
            vendor: Vendor::Sqlite.name().to_owned(),
            engine: self.descriptor().django.is_some().then(|| described.engine.clone()),
            path: path.to_owned(),
        })
    }

    /// The folders of media to capture: each local storage that is not for static files, once, and
    /// the folders of fields that have a local storage of their own.
    pub fn media_roots(&self) -> Vec<MediaRoot> {
        let mut roots: Vec<MediaRoot> = Vec::new();
        for storage in self.descriptor().media_storages() {
            let Some(location) = storage.location.clone().filter(|_| storage.local) else {
                continue;
            };
            if storage.same_location_as.is_none() && !self.is_site_itself(&location) {
                let backend = Some(storage.backend.clone());
                roots.push(MediaRoot { alias: storage.alias.clone(), backend, location });
            }
        }
        for model in self.descriptor().models() {
            for (field, _, file) in model.file_columns() {
                let Some(location) = file.location.as_ref().filter(|_| file.local) else {
                    continue;
                };
                let known = roots.iter().any(|root| location.starts_with(&root.location));
                if !known && !self.is_site_itself(location) {
                    roots.push(MediaRoot {
                        alias: format!("{}.{}", model.label, field.name),
                        backend: file.backend.clone(),
                        location: location.clone(),
                    });
                }
            }
        }
        roots
    }

    /// Storages that are not captured, with the reason.
    pub fn other_storages(&self) -> Vec<OtherStorage> {
        let mut others = Vec::new();
        for storage in self.descriptor().media_storages() {
            let (reason, matters) = if let Some(error) = &storage.error {
                (format!("Django cannot build it: {error}"), true)
            } else if !storage.local {
                (
                    format!(
                        "`{}` is not a local folder, and this version captures only those",
                        storage.backend
                    ),
                    true,
                )
            } else if let Some(other) = &storage.same_location_as {
                (format!("it is the same folder as storage `{other}`"), false)
            } else {
                match &storage.location {
                    None => {
                        (storage.reason.clone().unwrap_or_else(|| "it has no folder".into()), false)
                    }
                    Some(location) if self.is_site_itself(location) => {
                        (format!("`{}` holds the site itself", location.display()), true)
                    }
                    Some(_) => continue,
                }
            };
            others.push(OtherStorage { alias: storage.alias.clone(), reason, matters });
        }
        others
    }

    /// Whether a folder is the project's own or one above it: no storage may be replaced there.
    pub fn is_site_itself(&self, folder: &Path) -> bool {
        self.base_dir().starts_with(folder)
    }
}
