//! The live folder that a restore replaces, and where its staged and kept trees lie.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, fsync, mkdirat};
use rustix::io::Errno;

use super::mounts::{is_mount_point, mounted_below};
use super::staged::{StageOptions, StagedTree};
use crate::MediaError;
use crate::capture::open_root;
use crate::error::io_error;
use crate::leftover::{self, Role, valid_id};

/// Links followed to find the real root, as the kernel's own limit.
const LINKS: usize = 40;

/// A storage's live folder (which may not exist) and the id of one restore of it.
#[derive(Debug, Clone)]
pub struct Target {
    live: PathBuf,
    id: String,
    mounted: bool,
}

impl Target {
    /// Resolves `live_root`, following a symbolic link there. The folder may be missing; the one
    /// above it may not. `restore_id` becomes part of file names: 1 to 64 letters, digits, `-`, `_`.
    pub fn new(live_root: &Path, restore_id: &str) -> Result<Self, MediaError> {
        assert!(valid_id(restore_id.as_bytes()), "ids are made by this program");
        let live = resolve(live_root)?;
        match std::fs::symlink_metadata(&live) {
            Ok(found) if !found.is_dir() => return Err(MediaError::RootNotFolder { path: live }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("look at", &live)(error));
            }
            _ => {}
        }
        let mounted = is_mount_point(&live)? || !same_device(&live)?;
        Ok(Self { live, id: restore_id.to_owned(), mounted })
    }

    /// The live folder, resolved.
    pub fn live(&self) -> &Path {
        &self.live
    }

    /// Whether the live folder is a mount point, so that its entries are exchanged one by one.
    pub fn is_mount_point(&self) -> bool {
        self.mounted
    }

    /// The folder whose filesystem takes the staged tree: the live folder's parent, or the live
    /// folder itself where that is a mount point.
    pub fn staging_filesystem(&self) -> &Path {
        if self.mounted { &self.live } else { self.parent() }
    }

    /// Makes an empty staged tree: a folder of mode 0700 beside the live one, or inside it where it
    /// is a mount point or the folder above cannot be written.
    pub fn begin(&self, options: StageOptions) -> Result<StagedTree, MediaError> {
        self.refuse_mount_inside()?;
        for place in [Place::Beside, Place::Inside] {
            for role in [Role::Staged, Role::Kept, Role::Undone, Role::Journal] {
                let path = self.path(place, role);
                if path.symlink_metadata().is_ok() {
                    return Err(MediaError::Leftover { path });
                }
            }
        }
        let first = if self.mounted { Place::Inside } else { Place::Beside };
        let place = match self.make(first) {
            Err(Errno::ACCESS | Errno::PERM | Errno::ROFS)
                if first == Place::Beside && self.live.exists() =>
            {
                let place = Place::Inside;
                self.make(place).map_err(io_error("create", self.path(place, Role::Staged)))?;
                place
            }
            made => {
                made.map_err(io_error("create", self.path(first, Role::Staged)))?;
                first
            }
        };
        StagedTree::new(self.clone(), place, options)
    }

    /// An error where something is mounted below the live folder: it could be neither kept nor
    /// exchanged.
    pub fn refuse_mount_inside(&self) -> Result<(), MediaError> {
        match mounted_below(&self.live)? {
            Some(mounted) => Err(MediaError::MountInside { root: self.live.clone(), mounted }),
            None => Ok(()),
        }
    }

    fn make(&self, place: Place) -> rustix::io::Result<()> {
        mkdirat(CWD, self.path(place, Role::Staged), Mode::RWXU)
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn parent(&self) -> &Path {
        self.live.parent().unwrap_or(&self.live)
    }

    /// The folder in which a place's names lie.
    pub(super) fn folder(&self, place: Place) -> &Path {
        match place {
            Place::Beside => self.parent(),
            Place::Inside => &self.live,
        }
    }

    pub(super) fn path(&self, place: Place, role: Role) -> PathBuf {
        let beside = match place {
            Place::Beside => self.live.file_name(),
            Place::Inside => None,
        };
        self.folder(place).join(leftover::name(beside, &self.id, role))
    }
}

/// Whether a folder and the one above it lie on one device; sub-volumes do not. A missing one does.
fn same_device(live: &Path) -> Result<bool, MediaError> {
    use std::os::unix::fs::MetadataExt as _;
    let Some(parent) = live.parent() else { return Ok(false) };
    let above = parent.metadata().map_err(io_error("look at", parent))?.dev();
    Ok(live.metadata().map_or(true, |live| live.dev() == above))
}

/// Where the trees of a restore lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the folder that holds the live one.
    Beside,
    /// In the live folder.
    Inside,
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), MediaError> {
    fsync(open_root(folder)?).map_err(io_error("write to disk", folder))
}

/// The live folder without links on the way: also when it does not exist, as long as the folder
/// above it does.
pub(crate) fn resolve(live_root: &Path) -> Result<PathBuf, MediaError> {
    let mut path = std::path::absolute(live_root).map_err(io_error("look at", live_root))?;
    for _ in 0..LINKS {
        let Some(name) = path.file_name().map(OsString::from) else {
            return path.canonicalize().map_err(io_error("look at", live_root));
        };
        let parent = path.parent().unwrap_or(Path::new("/"));
        let parent = parent.canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => MediaError::ParentMissing { path: parent.to_path_buf() },
            _ => io_error("look at", parent)(error),
        })?;
        path = parent.join(name);
        match std::fs::read_link(&path) {
            Ok(target) => path = parent.join(target),
            Err(_) if path.file_name().is_some() => return Ok(path),
            Err(_) => {}
        }
    }
    Err(io_error("look at", live_root)(io::Error::from(Errno::LOOP)))
}
