use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Uid};

use crate::{DatabaseError, Result};

/// What SQLite writes beside a database, by suffix.
pub(super) const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A live database, there or not, that one restore is to replace.
///
/// Everything the restore leaves lies beside it, named `.{name}.dalsegno-{id}.` and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    live: PathBuf,
    restore_id: String,
}

impl Target {
    /// The database at `live` (a symlink is followed once and for all) and a restore of this id:
    /// letters, digits, `-` and `_`.
    pub fn new(live: &Path, restore_id: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if restore_id.is_empty() || !restore_id.chars().all(plain) {
            return Err(DatabaseError::BadName {
                name: restore_id.to_owned(),
                reason: "a restore id has letters, digits, `-` and `_` only",
            });
        }
        Ok(Self { live: followed(live)?, restore_id: restore_id.to_owned() })
    }

    /// The live database, links resolved.
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// The id of the restore.
    pub fn restore_id(&self) -> &str {
        &self.restore_id
    }

    /// The copy that is checked before the switch.
    pub fn staged(&self) -> PathBuf {
        self.beside("staged")
    }

    /// The complete old database; there from just before the switch until it is discarded.
    pub fn kept(&self) -> PathBuf {
        self.beside("kept")
    }

    /// The old database while it is being copied.
    pub(super) fn part(&self) -> PathBuf {
        self.beside("kept.part")
    }

    /// What a forced rollback found and kept.
    pub fn present(&self) -> PathBuf {
        self.beside("present")
    }

    fn beside(&self, what: &str) -> PathBuf {
        let mut name = prefix(&self.live);
        name.push(format!("{}.{what}", self.restore_id));
        self.live.with_file_name(name)
    }
}

/// Files that restores of the database at `live` left beside it, sorted: kept copies of restores
/// that were neither rolled back nor discarded, and whatever a killed process could not remove.
pub fn leftovers(live: &Path) -> Result<Vec<PathBuf>> {
    let live = followed(live)?;
    let folder = folder(&live);
    let prefix = prefix(&live);
    let entries = fs::read_dir(folder).map_err(DatabaseError::io("list", folder))?;
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(DatabaseError::io("list", folder))?;
        if entry.file_name().as_bytes().starts_with(prefix.as_bytes()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The database that this is a sidecar of, by name.
pub(super) fn sidecar_of(path: &Path) -> Option<PathBuf> {
    let name = path.as_os_str().as_bytes();
    let database = SIDECARS.iter().find_map(|suffix| name.strip_suffix(suffix.as_bytes()))?;
    Some(PathBuf::from(OsStr::from_bytes(database)))
}

fn prefix(live: &Path) -> OsString {
    let mut name = OsString::from(".");
    name.push(live.file_name().unwrap_or_else(|| OsStr::new("db")));
    name.push(".dalsegno-");
    name
}

pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The path with links resolved, also where the file itself does not exist.
fn followed(live: &Path) -> Result<PathBuf> {
    let look = |error| DatabaseError::io("find", live)(error);
    match fs::canonicalize(live) {
        Ok(path) => return Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(look(error)),
    }
    let place = match fs::read_link(live) {
        Ok(link) => folder(live).join(link),
        Err(_) => live.to_owned(),
    };
    let name =
        place.file_name().ok_or_else(|| DatabaseError::NotAFile { path: live.to_owned() })?;
    Ok(fs::canonicalize(folder(&place)).map_err(look)?.join(name))
}

/// `path` with `suffix` appended to its name.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A new file that only we can read; nothing existing is opened, no link is followed.
pub(super) fn create_new(path: &Path) -> Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDWR;
    match rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)) {
        Ok(descriptor) => Ok(File::from(descriptor)),
        Err(rustix::io::Errno::EXIST) => Err(DatabaseError::Exists { path: path.to_owned() }),
        Err(error) => Err(DatabaseError::io("create", path)(error.into())),
    }
}

/// Gives `file` the owner and mode of the live database; without one, the owner of its folder, so
/// that a restore by root leaves a file the site can write, and mode 0600.
///
/// A user who may not give files away keeps them: the mode is set all the same.
pub(super) fn dress(file: &File, path: &Path, live: &Path) -> Result<()> {
    let (owner, mode) = match fs::metadata(live) {
        Ok(live) => {
            let mode = live.mode() & 0o7777;
            (live, mode)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (fs::metadata(folder(live)).map_err(DatabaseError::io("look at", folder(live)))?, 0o600)
        }
        Err(error) => return Err(DatabaseError::io("look at", live)(error)),
    };
    let failed =
        |error: rustix::io::Errno| DatabaseError::io("set the owner of", path)(error.into());
    match give(file, &owner) {
        Ok(()) | Err(rustix::io::Errno::PERM) => {}
        Err(error) => return Err(failed(error)),
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).map_err(failed)
}

fn give(file: &File, owner: &Metadata) -> rustix::io::Result<()> {
    let stat = rustix::fs::fstat(file)?;
    if (stat.st_uid, stat.st_gid) == (owner.uid(), owner.gid()) {
        return Ok(());
    }
    rustix::fs::fchown(file, Some(Uid::from_raw(owner.uid())), Some(Gid::from_raw(owner.gid())))
}

/// Makes names in the folder of `path` durable.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    let folder = folder(path);
    File::open(folder).and_then(|f| f.sync_all()).map_err(DatabaseError::io("sync", folder))
}

/// Removes a file that may be gone already.
pub(super) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DatabaseError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes a database and its sidecars, which may be gone already.
pub(super) fn remove_all(path: &Path) -> Result<()> {
    for suffix in SIDECARS {
        remove(&suffixed(path, suffix))?;
    }
    remove(path)
}

/// Whether something stands at `path`; a dangling link does.
pub(super) fn exists(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(DatabaseError::io("look at", path)(error)),
    }
}

/// Whether two names are links to one file.
pub(super) fn same_file(a: &Path, b: &Path) -> bool {
    let key = |path| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
    key(a).is_some() && key(a) == key(b)
}
