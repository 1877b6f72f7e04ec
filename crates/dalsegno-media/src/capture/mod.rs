//! Reading a live tree: entries and contents in the order of their paths, read in parallel, with a
//! bounded amount of memory.

mod delivery;
mod extents;
mod large;
mod links;
mod reader;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use dalsegno_format::{Entry, Sha256, TreePath};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::error::io_error;
use crate::{MediaError, Selection};

pub use delivery::Capture;
pub(crate) use extents::extents;
pub use large::LargeFile;

/// How often a file that changes while it is read is read.
const TRIES: u32 = 3;

/// How to read.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// Threads that read small files, at least one.
    pub workers: usize,
    /// Files of up to this many bytes are read whole, before they are handed out. At most 1 MiB;
    /// greater values count as that.
    pub small: usize,
    /// Folders that are not entered, by device and inode: the backup's own output below the root.
    pub skip: Vec<(u64, u64)>,
}

impl Default for CaptureOptions {
    fn default() -> Self {
        Self { workers: 2, small: 1 << 20, skip: Vec::new() }
    }
}

/// One thing found in the tree. Every path starts with the prefix given to [`capture()`].
#[derive(Debug)]
pub enum Found {
    /// A folder, a symbolic link, or a hard link to a file that came earlier.
    Entry(Entry),
    /// A file without holes that was read whole and did not change meanwhile.
    Small {
        /// Its entry, as it was when it was read.
        entry: Entry,
        /// Its content.
        data: Vec<u8>,
        /// SHA-256 of the content.
        sha256: Sha256,
    },
    /// An open file, to be read by the caller.
    Large {
        /// Its entry, as it was when it was opened.
        entry: Entry,
        /// Its data.
        file: LargeFile,
    },
    /// Left out by a rule.
    LeftOut {
        /// What is left out.
        path: TreePath,
        /// Why.
        rule: Rule,
        /// Whether it is a folder, left out with all it holds.
        folder: bool,
    },
    /// It was there when its folder was listed and gone when it was opened.
    Vanished {
        /// Where it was.
        path: TreePath,
    },
    /// It cannot be read, or changed each time it was read: the backup lacks it.
    Unreadable {
        /// The file, or a folder with all it holds.
        path: TreePath,
        /// Why.
        source: io::Error,
    },
}

/// Why something is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Its name matches a name pattern.
    Name,
    /// Its path matches a glob.
    Glob,
    /// It lies in a folder marked as a cache by a `CACHEDIR.TAG`. The folder and the tag are kept.
    /// A tag in the storage's root itself does not count.
    CacheTag,
    /// A symbolic link that is absolute or leaves the storage's root.
    LeavesRoot,
    /// A socket, fifo or device.
    Special,
    /// The backup's own output, or what a restore left.
    Own,
}

/// Captures the tree below `root`, which may be a symbolic link to a folder. Items come in strictly
/// ascending order of their paths; the first is the root itself, as a folder at `prefix`.
///
/// Memory stays flat: at most 256 items or 16 MiB of small files wait to be taken, and the names of
/// each open folder (one for each level of depth) are held.
///
/// Dropping the iterator stops all reading.
#[expect(clippy::needless_pass_by_value, reason = "options are made for one capture")]
pub fn capture(
    root: &Path,
    prefix: &TreePath,
    selection: &Selection,
    options: CaptureOptions,
) -> Result<Capture, MediaError> {
    Capture::start(root, prefix, selection, &options)
}

/// Opens a storage's root, following a link there.
pub(crate) fn open_root(root: &Path) -> Result<OwnedFd, MediaError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, root, flags, Mode::empty()).map_err(|error| match error {
        Errno::NOENT => MediaError::RootMissing { path: root.to_path_buf() },
        Errno::NOTDIR => MediaError::RootNotFolder { path: root.to_path_buf() },
        error => io_error("open the folder", root)(error),
    })
}
