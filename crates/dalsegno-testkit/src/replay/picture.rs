//! A folder as it is to be: on paper, and laid out on disk.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use xxhash_rust::xxh3::Xxh3;

use super::inodes;
use super::log::Look;
use super::world::{Key, World};

/// Everything below a folder by its path; the folder itself is the empty one.
#[derive(Debug, Clone, Default)]
pub(super) struct Picture {
    pub(super) items: BTreeMap<Vec<u8>, Item>,
}

#[derive(Debug, Clone)]
pub(super) struct Item {
    /// Equal for the names of one file.
    pub(super) key: Key,
    pub(super) look: Look,
    pub(super) content: Content,
}

#[derive(Debug, Clone)]
pub(super) enum Content {
    Folder,
    File { bytes: Rc<Vec<u8>>, written: u64 },
    Link(Vec<u8>),
}

impl Picture {
    /// Equal for equal pictures.
    pub(super) fn digest(&self) -> u128 {
        let mut hasher = Xxh3::new();
        let mut first: HashMap<Key, usize> = HashMap::new();
        let mut put = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        for (index, (path, item)) in self.items.iter().enumerate() {
            put(path);
            put(&first.entry(item.key).or_insert(index).to_le_bytes());
            put(format!("{:?}", item.look).as_bytes());
            match &item.content {
                Content::Folder => put(b"folder"),
                Content::File { bytes, .. } => put(bytes),
                Content::Link(target) => put(target),
            }
        }
        hasher.digest128()
    }

    /// Paths that differ, with a word on how. What SQLite maps is not compared, nor are times that
    /// nobody set.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let paths = self.items.keys().chain(other.items.keys());
        let mut paths: Vec<&Vec<u8>> = paths.filter(|path| !path.ends_with(b"-shm")).collect();
        paths.sort();
        paths.dedup();
        let differ = |path: &Vec<u8>| {
            let shown = String::from_utf8_lossy(path).into_owned();
            match (self.items.get(path), other.items.get(path)) {
                (Some(a), Some(b)) => a.differs(b).map(|how| format!("`{shown}`: {how}")),
                (a, _) => {
                    let side = if a.is_some() { "first" } else { "second" };
                    Some(format!("`{shown}`: only in the {side}"))
                }
            }
        };
        paths.into_iter().filter_map(differ).collect()
    }

    /// Makes a folder be so. It stays itself, and so does a mount point in it. Inode numbers in the
    /// program's own files are made true (see [`inodes`]).
    pub(super) fn lay_out(&self, world: &World, root: &Path) {
        empty(root);
        let mut made: HashMap<Key, PathBuf> = HashMap::new();
        for (path, item) in &self.items {
            let path = root.join(OsStr::from_bytes(path));
            match (&item.content, made.get(&item.key)) {
                (Content::Folder, _) => match fs::create_dir(&path) {
                    Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                        panic!("{e}: {}", path.display())
                    }
                    _ => {}
                },
                (_, Some(first)) => fs::hard_link(first, &path).expect("links can be made"),
                (Content::File { bytes, .. }, None) => {
                    fs::write(&path, &**bytes).expect("files can be made");
                }
                (Content::Link(target), None) => {
                    symlink(OsStr::from_bytes(target), &path).expect("links can be made");
                }
            }
            made.entry(item.key).or_insert(path);
        }
        for (path, item) in self.items.iter().rev() {
            item.dress(&root.join(OsStr::from_bytes(path)));
        }
        let inode = |key: Key| {
            let path = made.get(&key)?;
            Some(path.symlink_metadata().expect("it was just made").ino())
        };
        for (path, item) in &self.items {
            let Content::File { bytes, written } = &item.content else { continue };
            let now = |old| world.with_inode(old, *written).and_then(inode).unwrap_or(0);
            if let Some(bytes) = inodes::translated(path, bytes, &now) {
                fs::write(root.join(OsStr::from_bytes(path)), bytes).expect("it can be written");
            }
        }
    }
}

impl Item {
    fn differs(&self, other: &Self) -> Option<&'static str> {
        let (a, b) = (self.look, other.look);
        if (a.mode, a.uid, a.gid) != (b.mode, b.uid, b.gid) {
            return Some("mode or owner");
        }
        match (&self.content, &other.content) {
            (Content::Folder, Content::Folder) => None,
            (Content::Link(a), Content::Link(b)) => (a != b).then_some("target"),
            (Content::File { bytes, .. }, Content::File { bytes: others, .. }) => {
                let times = a.mtime.is_some() && b.mtime.is_some() && a.mtime != b.mtime;
                let content = (bytes != others).then_some("content");
                content.or(times.then_some("time"))
            }
            _ => Some("kind"),
        }
    }

    fn dress(&self, path: &Path) {
        let Look { mode, uid, gid, mtime } = self.look;
        let meta = path.symlink_metadata().expect("it was just made");
        if (meta.uid(), meta.gid()) != (uid, gid) {
            lchown(path, Some(uid), Some(gid)).expect("root may");
        }
        if meta.is_symlink() {
            return;
        }
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("modes can be set");
        if let Some((secs, nanos)) = mtime {
            File::open(path)
                .and_then(|file| file.set_times(FileTimes::new().set_modified(time(secs, nanos))))
                .expect("times can be set");
        }
    }
}

fn time(secs: i64, nanos: u32) -> SystemTime {
    let whole = Duration::from_secs(secs.unsigned_abs());
    let at = if secs < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
    at + Duration::from_nanos(nanos.into())
}

/// Removes what a folder holds; a mount point stays, empty.
fn empty(folder: &Path) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let path = entry.path();
        if entry.file_type().expect("it has a type").is_dir() {
            empty(&path);
            match fs::remove_dir(&path) {
                Err(e) if e.kind() != ErrorKind::ResourceBusy => panic!("{e}: {}", path.display()),
                _ => {}
            }
        } else {
            fs::remove_file(&path).expect("what the test made can be removed");
        }
    }
}

/// What lies on disk, to compare with.
impl From<&World> for Picture {
    fn from(world: &World) -> Self {
        world.after(super::Loss::Nothing)
    }
}
