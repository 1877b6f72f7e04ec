//! Private copies of databases while they are captured: where they lie, and the space they take.
//!
//! A copy is made while the site waits for its lock, so it goes to a disk of this machine even
//! where the backup does not.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno_database::CaptureOptions;
use dalsegno_format::Form;

use super::request::{Scope, ScopedDatabase};
use crate::space::{free_space, require};
use crate::{EngineError, Site, workers};

/// How the databases of a backup are copied out.
#[derive(Debug)]
pub(super) struct PrivateCopies {
    /// Whether the output takes them as files on a disk of this machine, so that most need none.
    pub(super) direct: bool,
    /// Where the copy of each alias lies, if it takes one.
    folders: BTreeMap<String, PathBuf>,
    /// Bytes of those that will be made.
    sizes: BTreeMap<String, u64>,
}

impl PrivateCopies {
    /// For a backup into the folder `output`.
    pub(super) fn plan(site: &Site, scope: &Scope, output: &Path) -> Self {
        let local = is_local(output);
        let direct = scope.form == Form::Folder && local;
        let mut copies = Self { direct, folders: BTreeMap::new(), sizes: BTreeMap::new() };
        for database in &scope.databases {
            let alias = &database.live.alias;
            let size = database.live.database.size().unwrap_or(0);
            let elsewhere = || {
                let own = database.live.file()?.canonicalize().ok()?.parent()?.to_owned();
                let scratch = site.scratch().ok().map(Path::to_owned);
                fit([scratch, Some(own)].into_iter().flatten(), size, is_local)
            };
            let elsewhere = if local { None } else { elsewhere() };
            let folder = elsewhere.unwrap_or_else(|| output.to_owned());
            let options = options(database, &folder, Duration::ZERO);
            // One that cannot be opened now: the capture waits for it, or says why it cannot.
            if database.live.database.takes_private_copy(&options, direct).unwrap_or(false) {
                copies.sizes.insert(alias.clone(), size);
            }
            copies.folders.insert(alias.clone(), folder);
        }
        copies
    }

    /// Refuses when a copy has no room beside `needed` bytes of the backup itself in `output`. Only
    /// one copy is there at a time.
    pub(super) fn require_space(&self, output: &Path, needed: u64) -> Result<(), EngineError> {
        let mut beside = 0;
        for (alias, &size) in &self.sizes {
            let folder = self.folder(alias, output);
            if same_disk(folder, output) {
                beside = beside.max(size);
            } else {
                require(folder, size)?;
            }
        }
        require(output, needed.saturating_add(beside))
    }

    /// Where the copy of a database lies, if it takes one.
    pub(super) fn folder<'a>(&'a self, alias: &str, output: &'a Path) -> &'a Path {
        self.folders.get(alias).map_or(output, PathBuf::as_path)
    }
}

/// How a database of the scope is captured.
pub(super) fn options(
    database: &ScopedDatabase,
    spool_dir: &Path,
    lock_timeout: Duration,
) -> CaptureOptions {
    CaptureOptions {
        lock_timeout,
        spool_dir: spool_dir.to_owned(),
        exclude_rows_of: database.exclude_rows_of.clone(),
        workers: workers(),
    }
}

/// The first folder that takes so many bytes at the speed of a disk.
fn fit(
    mut folders: impl Iterator<Item = PathBuf>,
    size: u64,
    is_local: impl Fn(&Path) -> bool,
) -> Option<PathBuf> {
    let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    folders.find(|folder| {
        is_local(folder)
            && rustix::fs::access(folder, rights).is_ok()
            && free_space(folder).is_some_and(|free| free >= size)
    })
}

/// What cannot be told is not.
fn is_local(folder: &Path) -> bool {
    dalsegno_store::is_local(folder).unwrap_or(false)
}

fn same_disk(one: &Path, other: &Path) -> bool {
    let device = |path: &Path| rustix::fs::stat(path).map(|found| found.st_dev);
    one == other || matches!((device(one), device(other)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_goes_to_the_first_folder_of_this_machine_with_room_for_it() {
        let top = tempfile::tempdir().unwrap();
        let [far, near, missing] = ["far", "near", "missing"].map(|name| top.path().join(name));
        std::fs::create_dir(&far).unwrap();
        std::fs::create_dir(&near).unwrap();
        let chosen = |size, local: &dyn Fn(&Path) -> bool| {
            fit([missing.clone(), far.clone(), near.clone()].into_iter(), size, local)
        };
        assert_eq!(chosen(1, &|folder| folder != far), Some(near.clone()));
        assert_eq!(chosen(1, &|_| true), Some(far.clone()));
        assert_eq!(chosen(u64::MAX, &|_| true), None);
        assert_eq!(chosen(1, &|_| false), None);
        assert!(!is_local(Path::new("/proc")), "a file system of the kernel's own is no disk");
    }

    #[test]
    fn copies_on_the_disk_of_the_output_add_the_largest_of_them() {
        let top = tempfile::tempdir().unwrap();
        let free = free_space(top.path()).unwrap();
        let sizes = [("a".to_owned(), free / 2), ("b".to_owned(), free / 4)];
        let copies =
            PrivateCopies { direct: false, folders: BTreeMap::new(), sizes: BTreeMap::from(sizes) };
        assert!(copies.require_space(top.path(), 1 << 20).is_ok());
        let error = copies.require_space(top.path(), free / 4 * 3).unwrap_err();
        assert!(matches!(error, EngineError::NoSpace { .. }), "{error}");
    }
}
