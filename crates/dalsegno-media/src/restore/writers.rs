//! Threads that create small files.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Sender, bounded};
use dalsegno_format::Entry;

use super::attributes::Attributes;
use super::content::{Content, Failure, Shape, create};
use crate::MediaError;
use crate::budget::Budget;
use crate::error::io_error;

/// Files that wait for a thread.
const WAITING: usize = 64;

/// A staged folder, open. Whoever lets go of it last sets its attributes: only then do no more files
/// come into it, so that its time stays as set, and a folder without write permission can be filled.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) fd: OwnedFd,
    pub(super) path: PathBuf,
    /// `None` for the root, whose attributes are set when the tree is sealed.
    pub(super) entry: Option<Entry>,
}

/// Lets go of a folder.
pub(super) fn release(folder: Arc<Folder>, attributes: &Attributes) -> Result<(), MediaError> {
    let Some(folder) = Arc::into_inner(folder) else { return Ok(()) };
    let Some(entry) = &folder.entry else { return Ok(()) };
    attributes.set(&folder.fd, entry).map_err(io_error("set mode and owner of", &folder.path))
}

/// The threads, and what they have to do.
pub(super) struct Writers {
    jobs: Option<Sender<Job>>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Job {
    folder: Arc<Folder>,
    entry: Entry,
    shape: Shape,
    data: Vec<u8>,
}

struct Shared {
    attributes: Arc<Attributes>,
    budget: Budget,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Default)]
struct Progress {
    pending: usize,
    failed: Option<MediaError>,
}

impl Writers {
    pub(super) fn start(
        workers: usize,
        attributes: &Arc<Attributes>,
        root: &Path,
    ) -> Result<Self, MediaError> {
        let (jobs, queue) = bounded::<Job>(WAITING);
        let shared = Arc::new(Shared {
            attributes: Arc::clone(attributes),
            budget: Budget::default(),
            progress: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut writers = Self { jobs: Some(jobs), shared, threads: Vec::new() };
        for _ in 0..workers.max(1) {
            let (queue, shared) = (queue.clone(), Arc::clone(&writers.shared));
            let work = move || {
                for job in queue {
                    shared.run(job);
                }
            };
            let thread = std::thread::Builder::new().name("media-write".to_owned()).spawn(work);
            writers.threads.push(thread.map_err(io_error("start a thread for", root))?);
        }
        Ok(writers)
    }

    /// Hands over a file; an error of an earlier one may come back instead.
    pub(super) fn write(
        &self,
        folder: &Arc<Folder>,
        entry: Entry,
        shape: Shape,
        data: Vec<u8>,
    ) -> Result<(), MediaError> {
        self.check()?;
        self.shared.budget.take(data.len() as u64);
        self.shared.lock().pending += 1;
        let job = Job { folder: Arc::clone(folder), entry, shape, data };
        let jobs = self.jobs.as_ref().expect("open until the writers are dropped");
        jobs.send(job).expect("the threads live as long as the sender");
        Ok(())
    }

    /// The first error of a thread, once.
    pub(super) fn check(&self) -> Result<(), MediaError> {
        self.shared.lock().failed.take().map_or(Ok(()), Err)
    }

    /// Waits until everything handed over is written.
    pub(super) fn wait(&self) -> Result<(), MediaError> {
        let progress = self.shared.lock();
        let mut progress = self
            .shared
            .changed
            .wait_while(progress, |progress| progress.pending > 0)
            .unwrap_or_else(PoisonError::into_inner);
        progress.failed.take().map_or(Ok(()), Err)
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join()
                && !std::thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, job: Job) {
        let bytes = job.data.len() as u64;
        let Job { folder, entry, shape, data } = job;
        let written = create(&folder.fd, &entry, &shape, Content::Bytes(&data), &self.attributes)
            .map_err(|failure| failed(failure, &folder, &entry, &shape));
        drop(data);
        let released = release(folder, &self.attributes);
        self.budget.give_back(bytes);
        let mut progress = self.lock();
        progress.pending -= 1;
        if let Err(error) = written.and(released) {
            progress.failed.get_or_insert(error);
        }
        drop(progress);
        self.changed.notify_all();
    }
}

/// The error of a file that could not be created.
pub(super) fn failed(
    failure: Failure,
    folder: &Folder,
    entry: &Entry,
    shape: &Shape,
) -> MediaError {
    use std::os::unix::ffi::OsStrExt as _;
    let path = entry.path.to_string();
    match failure {
        Failure::Length => MediaError::Length { path, expected: shape.data() },
        Failure::Io(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            MediaError::Order { path }
        }
        Failure::Io(error) => {
            let name = std::ffi::OsStr::from_bytes(entry.path.name());
            io_error("write", folder.path.join(name))(error)
        }
    }
}
