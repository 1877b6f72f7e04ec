//! The live site, as the verbs see it: its databases, its media, its folders of backups.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dalsegno_database::{Database, Place, fixtures, sqlite};
use dalsegno_format::{Host, ProjectIdentity};
use dalsegno_media::{MediaError, Selection};
use dalsegno_project::descriptor::{DatabaseDescriptor, Vendor};
use dalsegno_project::{BackupSettings, Descriptor, Project};

use crate::EngineError;
use crate::django::DjangoPeer;
use crate::server::Access;

/// A project and where its things lie.
#[derive(Debug)]
pub struct Site {
    /// The project, as it described itself.
    pub project: Project,
}

/// A database of the site that this version can back up and restore.
#[derive(Debug, Clone)]
pub struct LiveDatabase {
    /// Its alias.
    pub alias: String,
    /// Dotted path of its engine; `None` without Django.
    pub engine: Option<String>,
    /// The database itself; it need not exist.
    pub database: Arc<dyn Database>,
}

impl LiveDatabase {
    /// Where it is.
    pub fn place(&self) -> Place {
        self.database.place()
    }

    /// Its file, where it is one.
    pub fn file(&self) -> Option<PathBuf> {
        self.place().file().map(Path::to_owned)
    }
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

    /// The folder of the project, links resolved.
    pub(crate) fn real_base_dir(&self) -> PathBuf {
        real(self.base_dir())
    }

    /// The files of its databases and the folders of its media.
    pub(crate) fn places(&self) -> Vec<Place> {
        let aliases = self.aliases();
        let databases = aliases.iter().filter_map(|a| self.database(a, "restore").ok());
        let media = self.media_roots().into_iter().map(|root| Place::File(root.location));
        databases.map(|database| database.place()).chain(media).collect()
    }

    /// The database that a record speaks of: on a server of the site's own, or a file anywhere.
    pub(crate) fn database_at(
        &self,
        alias: &str,
        place: &Place,
    ) -> Result<Arc<dyn Database>, EngineError> {
        if let Some(path) = place.file() {
            return Ok(Arc::new(sqlite::Location::new(path)));
        }
        let own = self.aliases().into_iter().filter_map(|a| self.database(&a, "restore").ok());
        let mut there: Vec<LiveDatabase> = own.filter(|own| own.place() == *place).collect();
        if !there.is_empty() {
            // Two aliases may be one database; what was done through one goes on through it.
            let same = there.iter().position(|own| own.alias == alias).unwrap_or(0);
            return Ok(there.swap_remove(same).database);
        }
        let found = self.servers().into_iter().find_map(|access| match (access.place(), place) {
            (Place::Server { server, .. }, Place::Server { server: theirs, database })
                if server == *theirs =>
            {
                Some(access.of_database(database).database())
            }
            _ => None,
        });
        found.ok_or_else(|| EngineError::ElsewhereNow {
            alias: alias.to_owned(),
            place: place.clone(),
        })
    }

    /// How the servers of its databases are reached, as far as that is known.
    pub(crate) fn servers(&self) -> Vec<Access> {
        let known = self.descriptor().databases.iter();
        known.filter_map(|(alias, it)| Access::of(alias, it).ok().flatten()).collect()
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
            Some(Vendor::Other(vendor)) if self.project.helper().is_some() => {
                return Ok(self.through_django(alias, vendor, described));
            }
            Some(other) => {
                let Some(access) = Access::of(&alias, described)? else {
                    return Err(EngineError::Vendor { alias, vendor: other.to_string(), verb });
                };
                let engine = self.engine_of(described);
                return Ok(LiveDatabase { alias, engine, database: access.database() });
            }
        }
        let location = described.sqlite_location(self.base_dir());
        let Some(path) = location.as_ref().and_then(|l| l.path()) else {
            return Err(EngineError::InMemory { alias });
        };
        Ok(LiveDatabase {
            alias,
            engine: self.engine_of(described),
            database: Arc::new(sqlite::Location::new(path)),
        })
    }

    fn engine_of(&self, described: &DatabaseDescriptor) -> Option<String> {
        self.descriptor().django.is_some().then(|| described.engine.clone())
    }

    /// A database of an engine that only Django knows.
    fn through_django(
        &self,
        alias: String,
        vendor: &str,
        described: &DatabaseDescriptor,
    ) -> LiveDatabase {
        let options = self.project.helper().expect("the caller looked");
        let server = match (&described.host, &described.port) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.clone(),
            (None, _) => vendor.to_owned(),
        };
        let database = described.name.clone().unwrap_or_else(|| alias.clone());
        LiveDatabase {
            engine: Some(described.engine.clone()),
            database: Arc::new(fixtures::Live {
                alias: alias.clone(),
                vendor: vendor.to_owned(),
                server_version: described.server_version.clone().unwrap_or_default(),
                place: Place::Server { server, database },
                spool: self.settings().temp.clone(),
                peer: Arc::new(DjangoPeer::new(options)),
            }),
            alias,
        }
    }

    /// The folders of media to capture: each local storage that is not for static files, and the
    /// folders of fields that have a local storage of their own. A folder inside another is
    /// captured with that one.
    pub fn media_roots(&self) -> Vec<MediaRoot> {
        let storages = self.descriptor().media_storages().filter_map(|storage| {
            let location = storage.location.clone().filter(|_| storage.local)?;
            let backend = Some(storage.backend.clone());
            Some(MediaRoot { alias: storage.alias.clone(), backend, location })
        });
        let fields = self.descriptor().models().flat_map(|model| {
            model.file_columns().filter_map(|(field, _, file)| {
                let location = file.location.clone().filter(|_| file.local)?;
                let alias = format!("{}.{}", model.label, field.name);
                Some(MediaRoot { alias, backend: file.backend.clone(), location })
            })
        });
        let wanted = |root: &MediaRoot| {
            !self.is_site_itself(&root.location) && !self.holds_backups(&root.location)
        };
        let all: Vec<MediaRoot> = storages.chain(fields).filter(wanted).collect();
        let mut roots: Vec<MediaRoot> = Vec::new();
        for root in &all {
            let place = real(&root.location);
            let known = roots.iter().any(|other| real(&other.location) == place);
            let inside = all.iter().any(|other| {
                let other = real(&other.location);
                place != other && place.starts_with(&other)
            });
            if !known && !inside {
                roots.push(root.clone());
            }
        }
        roots
    }

    /// The storage whose folder holds this one, other than itself.
    fn outer(&self, location: &Path) -> Option<String> {
        let place = real(location);
        let holds = |root: &MediaRoot| {
            let root = real(&root.location);
            root != place && place.starts_with(&root)
        };
        self.media_roots().into_iter().find(holds).map(|root| root.alias)
    }

    /// Folders of backups, by device and inode: should one lie in a storage, it is neither captured
    /// nor replaced.
    pub(crate) fn own_folders(&self) -> Vec<(u64, u64)> {
        use std::os::unix::fs::MetadataExt;
        let folders = self.folders();
        folders.iter().filter_map(|f| f.metadata().ok()).map(|m| (m.dev(), m.ino())).collect()
    }

    /// What is left out of a storage: the patterns given, and the site's own databases, which are
    /// captured as databases. A live database file must never be copied or replaced as a file.
    /// `source` is the backup being restored: should it lie in the storage, it stays.
    pub(crate) fn selection(
        &self,
        root: &Path,
        names: &[String],
        paths: &[String],
        source: Option<&Path>,
    ) -> Result<Selection, MediaError> {
        let root = real(root);
        let mut paths = paths.to_vec();
        if let Some(below) =
            source.and_then(|s| real(s).strip_prefix(&root).ok().map(Path::to_owned))
            && let Some(below) = below.to_str()
        {
            let name = literal(below);
            paths.extend([format!("{name}{}", dalsegno_format::tree::SIDECAR), name]);
        }
        for alias in self.aliases() {
            let Ok(database) = self.database(&alias, "back up") else { continue };
            let Some(file) = database.file() else { continue };
            let Ok(below) = real(&file).strip_prefix(&root).map(Path::to_owned) else {
                continue;
            };
            let Some(below) = below.to_str() else { continue };
            let name = literal(below);
            paths.extend(["", "-wal", "-shm", "-journal"].map(|end| format!("{name}{end}")));
        }
        Selection::new(names, &paths)
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
            } else if let Some(outer) = storage.location.as_deref().and_then(|l| self.outer(l)) {
                (format!("it lies inside storage `{outer}` and is captured with it"), false)
            } else {
                match &storage.location {
                    None => {
                        (storage.reason.clone().unwrap_or_else(|| "it has no folder".into()), false)
                    }
                    Some(location) if self.is_site_itself(location) => {
                        (format!("`{}` holds the site itself", location.display()), true)
                    }
                    Some(location) if self.holds_backups(location) => {
                        let reason = format!("`{}` is a folder of backups", location.display());
                        (reason, storage.alias == "default")
                    }
                    Some(_) => continue,
                }
            };
            others.push(OtherStorage { alias: storage.alias.clone(), reason, matters });
        }
        for model in self.descriptor().models() {
            for (field, _, file) in model.file_columns() {
                let named = file.storage.is_some();
                let known = file.local && file.location.is_some();
                if named || known {
                    continue;
                }
                let backend = file.backend.as_deref().unwrap_or("a storage Django cannot build");
                others.push(OtherStorage {
                    alias: format!("{}.{}", model.label, field.name),
                    reason: format!("its own storage, `{backend}`, is not a local folder"),
                    matters: true,
                });
            }
        }
        others
    }

    /// Whether a folder is itself one of those that hold the backups: a storage for backups, as
    /// other tools want one, is no media.
    fn holds_backups(&self, folder: &Path) -> bool {
        let place = real(folder);
        self.folders().iter().any(|backups| real(backups) == place)
    }

    /// Whether a folder is the project's own or one above it: no storage may be replaced there.
    pub fn is_site_itself(&self, folder: &Path) -> bool {
        real(self.base_dir()).starts_with(real(folder))
    }
}

/// Whether the engine speaks to databases of this kind itself, and not through Django.
pub(crate) fn is_native(vendor: &str) -> bool {
    !matches!(Vendor::from(vendor.to_owned()), Vendor::Other(_))
}

/// A path with links resolved, as far as it exists.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path.to_owned(),
    })
}

/// A pattern that matches this text only.
fn literal(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '*' | '?' | '[' | ']' | '{' | '}' => format!("[{c}]"),
            '\\' => "\\\\".to_owned(),
            c => c.to_string(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_pattern_matches_itself_only() {
        for name in ["a*b?[c]{d}.sqlite3", "db!.sqlite3", "a,b", "back\\slash", "]", "[!x]"] {
            let selection = Selection::new(&[], &[literal(name)]).unwrap();
            assert!(selection.leaves_out_path(name.as_bytes()), "{name}");
            assert!(!selection.leaves_out_path(b"aXbYc{d}.sqlite3"), "{name}");
        }
    }
}
