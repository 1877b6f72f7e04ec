//! Folders walked component by component, never through a symbolic link.

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use dalsegno_format::TreePath;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

/// An open folder, and the one below it that was used last.
pub(crate) struct Folder {
    root: Arc<OwnedFd>,
    last: Option<(TreePath, Arc<OwnedFd>)>,
}

const FLAGS: OFlags =
    OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC).union(OFlags::RDONLY);

impl Folder {
    /// Opens the root, which may be reached through links, but may be none itself.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let root = rustix::fs::open(path, FLAGS, Mode::empty())?;
        Ok(Self { root: Arc::new(root), last: None })
    }

    pub(crate) fn root(&self) -> &Arc<OwnedFd> {
        &self.root
    }

    /// A folder of the tree.
    pub(crate) fn folder(&mut self, path: &TreePath) -> Result<Arc<OwnedFd>, Errno> {
        if let Some((last, fd)) = &self.last {
            if last == path {
                return Ok(Arc::clone(fd));
            }
            if path.parent().as_ref() == Some(last) {
                let fd = Arc::new(openat(fd.as_fd(), path.name(), FLAGS, Mode::empty())?);
                self.last = Some((path.clone(), Arc::clone(&fd)));
                return Ok(fd);
            }
        }
        let mut at = Arc::clone(&self.root);
        for name in path.components() {
            at = Arc::new(openat(at.as_fd(), name, FLAGS, Mode::empty())?);
        }
        self.last = Some((path.clone(), Arc::clone(&at)));
        Ok(at)
    }

    /// The folder a member lies in.
    pub(crate) fn parent(&mut self, path: &TreePath) -> Result<Arc<OwnedFd>, Errno> {
        match path.parent() {
            Some(parent) => self.folder(&parent),
            None => Ok(Arc::clone(&self.root)),
        }
    }

    /// A regular file, opened for reading. `ELOOP` when it is a link, `EBADF` when it is neither a
    /// link nor a file: a pipe is never waited for.
    pub(crate) fn file(&mut self, path: &TreePath) -> Result<std::fs::File, Errno> {
        let parent = self.parent(path)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let fd = openat(parent.as_fd(), path.name(), flags, Mode::empty()).map_err(|error| {
            // A socket, or a device without a driver.
            if error == Errno::NXIO { Errno::BADF } else { error }
        })?;
        let stat = rustix::fs::fstat(&fd)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
            return Err(Errno::BADF);
        }
        Ok(std::fs::File::from(fd))
    }
}
