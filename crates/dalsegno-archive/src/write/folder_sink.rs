//! Members into a folder, by several threads.

mod file;

use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use dalsegno_format::{Entry, EntryKind, Timestamp, TreePath};
use rustix::fs::{AtFlags, Mode};

use self::file::{Current, Job, full_path, times, work};
use super::flusher::Flusher;
use super::pipeline::{PanicGuard, Shared};
use crate::ArchiveError;
use crate::folder::Folder;
use crate::thread;

/// Bytes up to which a file is handed to a worker whole. Larger ones are written as their bytes
/// come: several threads that write to one file only wait for each other.
const CHUNK: usize = 1 << 20;

/// So many files and folders are synced one by one; of more, the whole filesystem.
const SYNC_EACH: usize = 256;

/// Finished files whose early syncs may still be running.
const FLUSHING: usize = 4;

/// A folder being written.
pub(crate) struct FolderSink {
    path: PathBuf,
    folder: Folder,
    shared: Arc<Shared>,
    jobs: Option<Sender<Job>>,
    buffers: Receiver<Vec<u8>>,
    back: Sender<Vec<u8>>,
    workers: Vec<JoinHandle<()>>,
    sent: u64,
    bytes: u64,
    max_size: Option<u64>,
    current: Option<Current>,
    /// Finished files that the disk may still be taking.
    flushing: VecDeque<(TreePath, Flusher)>,
    /// Made since the last mark, to be removed by a rewind.
    made: Option<Vec<(TreePath, bool)>>,
    /// What to sync, while it is little.
    unsynced: Vec<(TreePath, bool)>,
    many: bool,
}

/// A place in the folder.
pub(crate) struct FolderMark {
    bytes: u64,
}

impl FolderSink {
    pub(crate) fn create(path: &Path, options: &super::WriteOptions) -> Result<Self, ArchiveError> {
        let failed = |error: rustix::io::Errno| ArchiveError::io("create", path)(error.into());
        rustix::fs::mkdir(path, Mode::RWXU).map_err(failed)?;
        let folder = Folder::open(path).map_err(failed)?;
        // With the mode of an archive file, nobody but root could go in to write the members.
        rustix::fs::fchmod(folder.root(), Mode::from_raw_mode(options.file_mode) | Mode::RWXU)
            .map_err(failed)?;
        let workers = options.workers.max(1);
        let shared = Arc::new(Shared::default());
        let (jobs, queue) = bounded::<Job>(workers * 2);
        let (back, buffers) = unbounded();
        let workers = (0..workers)
            .map(|_| {
                let (queue, back) = (queue.clone(), back.clone());
                let guard = PanicGuard(Arc::clone(&shared));
                let root = path.to_owned();
                thread::start(path, move || work(&root, &queue, &back, &guard))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            path: path.to_owned(),
            folder,
            shared,
            jobs: Some(jobs),
            buffers,
            back,
            workers,
            sent: 0,
            bytes: 0,
            max_size: options.max_size,
            current: None,
            flushing: VecDeque::new(),
            made: None,
            unsynced: Vec::new(),
            many: false,
        })
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.bytes
    }

    /// Begins a member; all of it, when it is no file.
    pub(crate) fn start(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        self.shared.check()?;
        let full = self.full_path(&entry.path);
        let failed = |error: rustix::io::Errno| ArchiveError::io("create", &full)(error.into());
        let parent = self.folder.parent(&entry.path).map_err(failed)?;
        let name = entry.path.name();
        match &entry.kind {
            EntryKind::Directory => {
                rustix::fs::mkdirat(parent.as_fd(), name, Mode::RWXU).map_err(failed)?;
            }
            EntryKind::Symlink { target } => {
                rustix::fs::symlinkat(&target[..], parent.as_fd(), name).map_err(failed)?;
            }
            EntryKind::HardLink { target } => {
                self.shared.wait(self.sent)?;
                let from = Folder::parent(&mut self.folder, target).map_err(failed)?;
                let flags = AtFlags::empty();
                rustix::fs::linkat(from.as_fd(), target.name(), parent.as_fd(), name, flags)
                    .map_err(failed)?;
            }
            EntryKind::File { size, extents } => {
                let mut current = Current {
                    path: entry.path.clone(),
                    mtime: entry.mtime,
                    parent,
                    buffer: self.buffers.try_recv().unwrap_or_default(),
                    offset: 0,
                    extents: None,
                    file: None,
                    flusher: Flusher::default(),
                };
                if let Some(extents) = extents {
                    let file = current.open(&self.path)?;
                    file.set_len(*size).map_err(ArchiveError::io("extend", &full))?;
                    current.extents = Some(extents.iter().rev().copied().collect());
                }
                self.current = Some(current);
            }
        }
        let is_folder = entry.kind == EntryKind::Directory;
        if let Some(made) = &mut self.made {
            made.push((entry.path.clone(), is_folder));
        }
        if self.unsynced.len() == SYNC_EACH {
            self.many = true;
        } else if !matches!(entry.kind, EntryKind::Symlink { .. } | EntryKind::HardLink { .. }) {
            self.unsynced.push((entry.path.clone(), is_folder));
        }
        Ok(())
    }

    /// Data of the file begun last.
    pub(crate) fn data(&mut self, mut bytes: &[u8]) -> Result<(), ArchiveError> {
        self.bytes += bytes.len() as u64;
        if let Some(limit) = self.max_size
            && self.bytes > limit
        {
            return Err(ArchiveError::TooLarge { limit });
        }
        let Some(mut current) = self.current.take() else {
            return Err(ArchiveError::Sequence { reason: "content without a member" });
        };
        while !bytes.is_empty() {
            if current.extents.is_none() && current.file.is_some() {
                // `buffer` is empty: it was written when the file was opened.
                current.write(&self.path, bytes)?;
                break;
            }
            let mut room = CHUNK - current.buffer.len();
            if let Some(extents) = &mut current.extents {
                let Some(extent) = extents.last_mut() else {
                    return Err(ArchiveError::Sequence { reason: "content beyond its extents" });
                };
                if current.buffer.is_empty() {
                    current.offset = extent.offset;
                }
                room = room.min(usize::try_from(extent.length).unwrap_or(usize::MAX));
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            current.buffer.extend_from_slice(now);
            bytes = later;
            let mut ended = current.buffer.len() == CHUNK;
            if let Some(extents) = &mut current.extents
                && let Some(extent) = extents.last_mut()
            {
                extent.offset += now.len() as u64;
                extent.length -= now.len() as u64;
                if extent.length == 0 {
                    extents.pop();
                    ended = true;
                }
            }
            if ended && (current.file.is_some() || !bytes.is_empty()) {
                current.write_buffer(&self.path)?;
            }
        }
        self.current = Some(current);
        Ok(())
    }

    /// The file begun last, once its data are written as they come and nothing waits.
    pub(crate) fn written(&self) -> Option<&File> {
        let current = self.current.as_ref().filter(|current| current.extents.is_none())?;
        current.file.as_ref().map(|open| &open.file)
    }

    /// Ends the member begun last.
    pub(crate) fn end(&mut self) -> Result<(), ArchiveError> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        if current.file.is_some() {
            current.write_buffer(&self.path)?;
            let _ = self.back.send(current.buffer);
            self.flushing.push_back((current.path, current.flusher));
            return self.flushed(FLUSHING);
        }
        let Current { path, parent, buffer: data, mtime, .. } = current;
        self.send(Job { path, parent, data, mtime })
    }

    /// Waits until the disk has taken what was pushed to it of all files but the last `most`.
    fn flushed(&mut self, most: usize) -> Result<(), ArchiveError> {
        while self.flushing.len() > most
            && let Some((path, mut flusher)) = self.flushing.pop_front()
        {
            flusher.finish().map_err(ArchiveError::io("sync", &self.full_path(&path)))?;
        }
        Ok(())
    }

    /// Where a finished file lies.
    pub(crate) fn stored(&mut self, path: &TreePath) -> Result<PathBuf, ArchiveError> {
        self.shared.wait(self.sent)?;
        Ok(self.full_path(path))
    }

    fn send(&mut self, job: Job) -> Result<(), ArchiveError> {
        self.shared.check()?;
        self.sent += 1;
        match &self.jobs {
            Some(jobs) if jobs.send(job).is_ok() => Ok(()),
            _ => Err(ArchiveError::Sequence { reason: "a writing thread has ended" }),
        }
    }

    fn full_path(&self, path: &TreePath) -> PathBuf {
        full_path(&self.path, path)
    }

    pub(crate) fn mark(&mut self) -> FolderMark {
        self.made = Some(Vec::new());
        FolderMark { bytes: self.bytes }
    }

    pub(crate) fn rewind(&mut self, mark: &FolderMark) -> Result<(), ArchiveError> {
        self.current = None;
        self.shared.wait(self.sent)?;
        for (path, is_folder) in std::mem::take(&mut self.made).unwrap_or_default().iter().rev() {
            let full = self.full_path(path);
            let failed = |error: rustix::io::Errno| ArchiveError::io("remove", &full)(error.into());
            let parent = self.folder.parent(path).map_err(failed)?;
            let flags = if *is_folder { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            match rustix::fs::unlinkat(parent.as_fd(), path.name(), flags) {
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(failed(error)),
            }
            self.unsynced.retain(|(known, _)| known != path);
            self.flushing.retain(|(known, _)| known != path);
        }
        self.made = Some(Vec::new());
        self.bytes = mark.bytes;
        Ok(())
    }

    /// Makes everything durable. Returns the bytes of all files.
    pub(crate) fn finish(mut self, mtime: Timestamp) -> Result<u64, ArchiveError> {
        self.shared.wait(self.sent)?;
        self.stop();
        self.shared.check()?;
        self.flushed(0)?;
        let root = Arc::clone(self.folder.root());
        rustix::fs::futimens(root.as_fd(), &times(mtime))
            .map_err(|error| ArchiveError::io("set the time of", &self.path)(error.into()))?;
        self.sync(root.as_fd())?;
        Ok(self.bytes)
    }

    fn sync(&mut self, root: std::os::fd::BorrowedFd<'_>) -> Result<(), ArchiveError> {
        let failed = |error: rustix::io::Errno| ArchiveError::io("sync", &self.path)(error.into());
        if self.many {
            return rustix::fs::syncfs(root).map_err(failed);
        }
        for (path, is_folder) in &self.unsynced {
            if *is_folder {
                let folder = self.folder.folder(path).map_err(failed)?;
                rustix::fs::fsync(folder.as_fd()).map_err(failed)?;
            } else {
                let file = self.folder.file(path).map_err(failed)?;
                rustix::fs::fsync(&file).map_err(failed)?;
            }
        }
        rustix::fs::fsync(root).map_err(failed)
    }

    fn stop(&mut self) {
        self.jobs = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}

impl Drop for FolderSink {
    fn drop(&mut self) {
        self.shared.failed.store(true, Ordering::Release);
        self.stop();
    }
}
