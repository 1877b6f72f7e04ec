//! The local folder as a store.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::leftover::{CLAIM, PARTIAL, REMOVED, remove_any};
use crate::{Hold, Listing, ObjectName, Owner, Store, StoreError, create_folders, sync_folder};

/// Objects as files (or folders) of one folder. Names that start with a dot are work in progress.
#[derive(Debug)]
pub struct LocalFolder {
    root: PathBuf,
    options: FolderOptions,
    owner: Owner,
}

/// How a local folder keeps its objects.
#[derive(Debug, Clone, Copy)]
pub struct FolderOptions {
    /// Mode of stored files.
    pub file_mode: u32,
    /// Mode of the folder, when it is made.
    pub folder_mode: u32,
}

impl Default for FolderOptions {
    fn default() -> Self {
        Self { file_mode: 0o600, folder_mode: 0o750 }
    }
}

/// A name reserved for work in progress: a path beside the object's, that does not exist yet, and
/// the [`Hold`] that proves somebody works on it.
/// Dropped without [`LocalFolder::publish`], whatever lies there is removed.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
    published: bool,
    _hold: Hold,
}

impl Staged {
    /// Where to build the object: a file or a folder of this path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.published {
            let _ = remove_any(&self.path);
        }
    }
}

impl LocalFolder {
    /// Opens a folder, making it when it is missing.
    pub fn open(root: &Path, options: FolderOptions) -> Result<Self, StoreError> {
        create_folders(root, options.folder_mode)?;
        Ok(Self { root: root.to_owned(), options, owner: Owner::of(root)? })
    }

    /// Where an object lies.
    pub fn path(&self, name: &ObjectName) -> PathBuf {
        self.root.join(name.as_str())
    }

    /// Whether an object of this name exists.
    pub fn contains(&self, name: &ObjectName) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    /// A place beside the object's final name to build it in, held until it is dropped.
    pub fn stage(&self, name: &ObjectName) -> Result<Staged, StoreError> {
        loop {
            let path = self.aside(name, PARTIAL);
            if path.symlink_metadata().is_ok() {
                continue;
            }
            if let Some(hold) = Hold::take(&path, self.owner)? {
                return Ok(Staged { path, published: false, _hold: hold });
            }
        }
    }

    /// Claims a name for objects to come, whatever their endings; `None` when somebody does or did.
    pub fn claim(&self, stem: &str) -> Result<Option<Hold>, StoreError> {
        Hold::take(&self.root.join(format!(".{stem}{CLAIM}")), self.owner)
    }

    /// A name beside the object's that no other call of this process gives.
    fn aside(&self, name: &ObjectName, ending: &str) -> PathBuf {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        self.root.join(format!(".{name}.{}-{number}{ending}", std::process::id()))
    }

    /// Gives a finished object its name, at once and durably, or refuses when the name is taken.
    /// The object's own bytes must be durable already. It stays held until `staged` is dropped.
    pub fn publish(&self, staged: &mut Staged, name: &ObjectName) -> Result<PathBuf, StoreError> {
        self.owner.give_all(&staged.path)?;
        let path = self.path(name);
        rename_new(&staged.path, &path)?;
        staged.published = true;
        sync_folder(&self.root)?;
        Ok(path)
    }
}

impl Store for LocalFolder {
    fn put(&self, name: &ObjectName, body: &mut dyn Read) -> Result<u64, StoreError> {
        let mut staged = self.stage(name)?;
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(self.options.file_mode)
            .open(staged.path())
            .map_err(|e| StoreError::io("create", staged.path(), e))?;
        let size = io::copy(body, &mut file)
            .and_then(|size| {
                file.set_permissions(fs::Permissions::from_mode(self.options.file_mode))?;
                file.sync_all().map(|()| size)
            })
            .map_err(|e| StoreError::io("write", staged.path(), e))?;
        self.publish(&mut staged, name)?;
        Ok(size)
    }

    fn get(&self, name: &ObjectName) -> Result<Box<dyn Read + Send>, StoreError> {
        let path = self.path(name);
        File::open(&path)
            .map(|file| Box::new(file) as Box<dyn Read + Send>)
            .map_err(|e| StoreError::io("read", &path, e))
    }

    fn list(&self) -> Result<Vec<Listing>, StoreError> {
        let failed = |e| StoreError::io("list", &self.root, e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Some(name) = entry.file_name().to_str().and_then(|n| ObjectName::new(n).ok())
            else {
                continue;
            };
            // Gone since the folder was read: not an object any more.
            let Ok(meta) = entry.metadata() else { continue };
            let modified = meta.modified().map_err(failed)?;
            found.push(Listing { name, size: meta.len(), modified });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    /// Renames the object aside first: an object half deleted by a crash has no name any more, and
    /// [`crate::sweep`] removes the rest of it.
    fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        let path = self.path(name);
        let aside = loop {
            let aside = self.aside(name, REMOVED);
            match rename_new(&path, &aside) {
                Err(StoreError::Exists { .. }) => {}
                done => break done.map(|()| aside),
            }
        };
        let aside = match aside {
            Err(StoreError::Absent { .. }) => return Ok(()),
            Err(StoreError::Io { source, .. }) => {
                return Err(StoreError::Io { action: "delete", path, source });
            }
            aside => aside?,
        };
        sync_folder(&self.root)?;
        remove_any(&aside).map_err(|e| StoreError::io("delete", &path, e))
    }

    fn describe(&self) -> String {
        self.root.display().to_string()
    }
}

/// Renames to a name that must be free. File systems without `RENAME_NOREPLACE` get a check and a
/// rename, the best they offer.
fn rename_new(from: &Path, to: &Path) -> Result<(), StoreError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => match to.symlink_metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => fs::rename(from, to),
            Err(e) => Err(e),
            Ok(_) => return Err(StoreError::Exists { path: to.to_owned() }),
        }
        .map_err(|e| StoreError::io("publish", to, e)),
        Err(rustix::io::Errno::EXIST) => Err(StoreError::Exists { path: to.to_owned() }),
        done => done.map_err(|e| StoreError::io("publish", to, e.into())),
    }
}
