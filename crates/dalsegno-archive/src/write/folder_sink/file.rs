//! One file of a folder: written whole by a worker, or as its bytes come.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::{Receiver, Sender};
use dalsegno_format::{Extent, Timestamp, TreePath};
use rustix::fs::{Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

use crate::ArchiveError;
use crate::write::flusher::Flusher;
use crate::write::pipeline::{PanicGuard, write_at};

/// The file whose data come now.
pub(super) struct Current {
    pub(super) path: TreePath,
    pub(super) mtime: Timestamp,
    pub(super) parent: Arc<OwnedFd>,
    /// Bytes waiting, and where in the file they begin.
    pub(super) buffer: Vec<u8>,
    pub(super) offset: u64,
    /// Ranges still to be filled, last first; `None` for a file without holes.
    pub(super) extents: Option<Vec<Extent>>,
    /// Opened once there is too much for a worker.
    pub(super) file: Option<OpenFile>,
    pub(super) flusher: Flusher,
}

/// A file being written; gets its time when it is let go.
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) mtime: Timestamp,
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        // The time that counts is in `entries.tsv`: this one serves those who look.
        let _ = rustix::fs::futimens(&self.file, &times(self.mtime));
    }
}

/// A file that came whole.
pub(super) struct Job {
    pub(super) path: TreePath,
    pub(super) parent: Arc<OwnedFd>,
    pub(super) data: Vec<u8>,
    pub(super) mtime: Timestamp,
}

impl Current {
    pub(super) fn open(&mut self, root: &Path) -> Result<&File, ArchiveError> {
        if self.file.is_none() {
            let file = create_file(root, &self.path, &self.parent)?;
            self.file = Some(OpenFile { file, mtime: self.mtime });
        }
        Ok(&self.file.as_ref().expect("it was just opened").file)
    }

    /// Writes what waits.
    pub(super) fn write_buffer(&mut self, root: &Path) -> Result<(), ArchiveError> {
        let waiting = std::mem::take(&mut self.buffer);
        self.write(root, &waiting)?;
        self.buffer = waiting;
        self.buffer.clear();
        Ok(())
    }

    /// Writes at the place that is next.
    pub(super) fn write(&mut self, root: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
        let path = full_path(root, &self.path);
        let offset = self.offset;
        write_at(self.open(root)?, &path, bytes, offset)?;
        self.offset += bytes.len() as u64;
        if let Some(open) = &self.file {
            self.flusher.written(&open.file, self.offset);
        }
        Ok(())
    }
}

pub(super) fn work(root: &Path, jobs: &Receiver<Job>, back: &Sender<Vec<u8>>, guard: &PanicGuard) {
    let shared = &guard.0;
    for job in jobs {
        if !shared.failed.load(Ordering::Acquire)
            && let Err(error) = perform(root, job, back)
        {
            shared.fail(error);
        }
        shared.step();
    }
}

fn perform(root: &Path, job: Job, back: &Sender<Vec<u8>>) -> Result<(), ArchiveError> {
    let Job { path, parent, mut data, mtime } = job;
    let file = OpenFile { file: create_file(root, &path, &parent)?, mtime };
    write_at(&file.file, &full_path(root, &path), &data, 0)?;
    data.clear();
    let _ = back.send(data);
    Ok(())
}

fn create_file(root: &Path, path: &TreePath, parent: &OwnedFd) -> Result<File, ArchiveError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let fd = rustix::fs::openat(parent.as_fd(), path.name(), flags, mode)
        .map_err(|error| ArchiveError::io("create", &full_path(root, path))(error.into()))?;
    Ok(File::from(fd))
}

pub(super) fn full_path(root: &Path, path: &TreePath) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    root.join(std::ffi::OsStr::from_bytes(path.as_bytes()))
}

pub(super) fn times(mtime: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.secs, tv_nsec: i64::from(mtime.nanos) },
    }
}
