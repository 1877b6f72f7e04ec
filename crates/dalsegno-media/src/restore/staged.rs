//! A tree being restored.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use dalsegno_format::{Entry, EntryKind, Timestamp, TreePath};
use rustix::fs::{AtFlags, FileType, Mode, fstat, linkat, mkdirat, statat, symlinkat};
use rustix::io::Errno;

use super::attributes::Attributes;
use super::content::{Content, Failure, Shape, create};
use super::early_sync::EarlySync;
use super::sealed::time_of;
use super::target::{Place, Target};
use super::writers::{Folder, Writers, failed, release};
use super::{OwnerPolicy, SealedTree, Strategy};
use crate::capture::open_root;
use crate::changes::path_order;
use crate::error::io_error;
use crate::leftover::is_leftover;
use crate::listing::open_folder;
use crate::meta::Meta;
use crate::walk::stays_below;
use crate::{Cancel, MediaError, Selection};

/// How to stage.
#[derive(Debug, Clone, Copy)]
pub struct StageOptions {
    /// Whose files are.
    pub owner: OwnerPolicy,
    /// Threads that create small files, at least one.
    pub workers: usize,
}

impl Default for StageOptions {
    fn default() -> Self {
        Self { owner: OwnerPolicy::for_this_user(), workers: 2 }
    }
}

/// A tree being filled. Entries come in ascending order of their paths, which are relative to the
/// root; each folder before what it holds. Nothing that exists is ever overwritten or followed.
///
/// After an error, [`StagedTree::abandon`] it. Dropping it leaves the folder for
/// [`crate::leftovers`].
pub struct StagedTree {
    target: Target,
    place: Place,
    path: PathBuf,
    root: Arc<Folder>,
    root_entry: Option<Entry>,
    /// Folders from the root's child down to the one being filled.
    stack: Vec<(TreePath, Arc<Folder>)>,
    last: Option<TreePath>,
    writers: Writers,
    early: EarlySync,
    attributes: Arc<Attributes>,
    begun: Timestamp,
}

impl StagedTree {
    pub(super) fn new(
        target: Target,
        place: Place,
        options: StageOptions,
    ) -> Result<Self, MediaError> {
        let path = target.path(place, crate::leftover::Role::Staged);
        let shown = if target.live().exists() { target.live() } else { target.parent() };
        let look = fstat(open_root(shown)?).map_err(io_error("look at", shown))?;
        let look = Meta::from(look);
        let attributes = Arc::new(Attributes::new(options.owner, (look.uid, look.gid)));
        let fd = open_root(&path)?;
        // A set-group-id bit of the folder above would be handed down to every folder.
        rustix::fs::fchmod(&fd, Mode::RWXU).map_err(io_error("set the mode of", &path))?;
        let writers = Writers::start(options.workers, &attributes, &path)?;
        let early = EarlySync::start(&fd, &path)?;
        let root = Arc::new(Folder { fd, path: path.clone(), entry: None });
        let (root_entry, stack, last) = (None, Vec::new(), None);
        // A second less: the clock that stamps files lags behind.
        let begun = time_of(SystemTime::now() - Duration::from_secs(1));
        Ok(Self {
            target,
            place,
            path,
            root,
            root_entry,
            stack,
            last,
            writers,
            early,
            attributes,
            begun,
        })
    }

    /// Where the tree is being staged.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes mode, owner and time of the root from a folder's entry, whatever its path. Without this
    /// call the root keeps those of the live root, or gets mode 0755.
    pub fn root(&mut self, entry: &Entry) {
        self.root_entry = Some(entry.clone());
    }

    /// Makes a folder.
    pub fn folder(&mut self, entry: &Entry) -> Result<(), MediaError> {
        if entry.kind != EntryKind::Directory {
            return Err(wrong_kind(entry, "a folder"));
        }
        let parent = self.parent(entry)?;
        let name = entry.path.name();
        let path = parent.path.join(OsStr::from_bytes(name));
        mkdirat(&parent.fd, name, Mode::RWXU).map_err(|error| taken(error, entry, &path))?;
        let fd = open_folder(&parent.fd, name).map_err(io_error("open the folder", &path))?;
        let folder = Folder { fd, path, entry: Some(entry.clone()) };
        self.stack.push((entry.path.clone(), Arc::new(folder)));
        Ok(())
    }

    /// Makes a symbolic link. One that leaves the root is refused.
    pub fn symlink(&mut self, entry: &Entry) -> Result<(), MediaError> {
        let EntryKind::Symlink { target } = &entry.kind else {
            return Err(wrong_kind(entry, "a symbolic link"));
        };
        if !stays_below(entry.path.as_bytes(), target) {
            return Err(MediaError::LinkTarget {
                path: entry.path.to_string(),
                target: String::from_utf8_lossy(target).into_owned(),
            });
        }
        let parent = self.parent(entry)?;
        let name = entry.path.name();
        let path = parent.path.join(OsStr::from_bytes(name));
        symlinkat(&target[..], &parent.fd, name).map_err(|error| taken(error, entry, &path))?;
        self.attributes
            .set_link(&parent.fd, name, entry)
            .map_err(io_error("set the owner of", &path))
    }

    /// Gives a file that came earlier another name.
    pub fn hard_link(&mut self, entry: &Entry) -> Result<(), MediaError> {
        let EntryKind::HardLink { target } = &entry.kind else {
            return Err(wrong_kind(entry, "a hard link"));
        };
        let no_file =
            || MediaError::LinkTarget { path: entry.path.to_string(), target: target.to_string() };
        if path_order(target.as_bytes(), entry.path.as_bytes()).is_ge() {
            return Err(no_file());
        }
        let parent = self.parent(entry)?;
        self.writers.wait()?;
        let path = parent.path.join(OsStr::from_bytes(entry.path.name()));
        let holder = self.open_parent(target).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => no_file(),
            error => io_error("open the folder of", &path)(error),
        })?;
        let found = statat(&holder, target.name(), AtFlags::SYMLINK_NOFOLLOW).map(Meta::from);
        if !found.is_ok_and(|found| found.file_type == FileType::RegularFile) {
            return Err(no_file());
        }
        linkat(&holder, target.name(), &parent.fd, entry.path.name(), AtFlags::empty())
            .map_err(|error| taken(error, entry, &path))
    }

    /// Writes a file. `content` gives the bytes of its data extents, one after the other, and then
    /// ends; with more or fewer bytes, and when reading fails, the file is removed again.
    pub fn file(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), MediaError> {
        let shape = Shape::of(entry).ok_or_else(|| wrong_kind(entry, "a file"))?;
        let parent = self.parent(entry)?;
        self.writers.check()?;
        self.early.written(shape.data());
        create(&parent.fd, entry, &shape, Content::Reader(content), &self.attributes)
            .map_err(|failure: Failure| failed(failure, &parent, entry, &shape))
    }

    /// Hands a file to the writing threads: `data` are the bytes of its data extents. An error may
    /// come back from a later call, at the latest from [`StagedTree::seal`].
    pub fn small_file(&mut self, entry: Entry, data: Vec<u8>) -> Result<(), MediaError> {
        let shape = Shape::of(&entry).ok_or_else(|| wrong_kind(&entry, "a file"))?;
        let parent = self.parent(&entry)?;
        self.early.written(shape.data());
        self.writers.write(&parent, entry, shape, data)
    }

    /// Ends staging: waits for the threads, brings over from the live tree what stays, sets what is
    /// left to set, and makes everything durable (one `syncfs` of that filesystem).
    ///
    /// `selection` and `skip` say, as in a capture, what a backup leaves out: that stays. Live files
    /// are brought over as hard links; where the filesystem refuses, as copies.
    pub fn seal(
        mut self,
        strategy: Strategy,
        selection: &Selection,
        skip: &[(u64, u64)],
        cancel: Cancel<'_>,
    ) -> Result<SealedTree, MediaError> {
        self.ascend(0)?;
        self.writers.wait()?;
        let Self {
            target, place, path, root, root_entry, writers, early, attributes, begun, ..
        } = self;
        drop(writers);
        let root = Arc::into_inner(root).expect("all other holders have ended");
        let staged = super::sealed::Staged {
            target,
            place,
            path,
            root: root.fd,
            root_entry,
            early,
            attributes,
            begun,
        };
        staged.seal(strategy, selection, skip, cancel)
    }

    /// Removes what was staged.
    pub fn abandon(self, cancel: Cancel<'_>) -> Result<(), MediaError> {
        let path = self.path.clone();
        drop(self);
        super::discard(&path, cancel)
    }

    /// Checks the order of paths, leaves the folders that are done, and gives the one that takes the
    /// entry.
    fn parent(&mut self, entry: &Entry) -> Result<Arc<Folder>, MediaError> {
        let path = &entry.path;
        if self.last.as_ref().is_some_and(|last| last >= path) {
            return Err(MediaError::Order { path: path.to_string() });
        }
        if path.components().any(is_leftover) {
            return Err(MediaError::ReservedName { path: path.to_string() });
        }
        self.last = Some(path.clone());
        let depth =
            self.stack.iter().take_while(|(folder, _)| path.below(folder).is_some()).count();
        self.ascend(depth)?;
        let (held, folder) = match self.stack.last() {
            Some((held, folder)) => (Some(held), folder),
            None => (None, &self.root),
        };
        if path.parent().as_ref() == held {
            Ok(Arc::clone(folder))
        } else {
            Err(MediaError::NoFolder { path: path.to_string() })
        }
    }

    fn ascend(&mut self, depth: usize) -> Result<(), MediaError> {
        while self.stack.len() > depth {
            if let Some((_, folder)) = self.stack.pop() {
                release(folder, &self.attributes)?;
            }
        }
        Ok(())
    }

    /// Opens the staged folder that holds a path, one component at a time, never through a link.
    fn open_parent(&self, path: &TreePath) -> rustix::io::Result<OwnedFd> {
        let mut at = rustix::io::fcntl_dupfd_cloexec(&self.root.fd, 0)?;
        if let Some(folder) = path.parent() {
            for component in folder.components() {
                at = open_folder(&at, component)?;
            }
        }
        Ok(at)
    }
}

fn wrong_kind(entry: &Entry, expected: &'static str) -> MediaError {
    MediaError::EntryKind { path: entry.path.to_string(), expected }
}

fn taken(error: Errno, entry: &Entry, path: &Path) -> MediaError {
    match error {
        Errno::EXIST => MediaError::Order { path: entry.path.to_string() },
        error => io_error("create", path)(error),
    }
}
