//! The threads of a capture, and the order in which their results are handed out.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use dalsegno_format::{EntryKind, PathError, TreePath};

use super::large::{LargeFile, Source};
use super::links::Links;
use super::reader::{self, Read, read_small};
use super::{CaptureOptions, Found, open_root};
use crate::budget::Budget;
use crate::error::io_error;
use crate::meta::Meta;
use crate::owners::Owners;
use crate::walk::{Place, Step, Walk};
use crate::{MediaError, Selection};

/// Items that wait to be taken.
const WAITING: usize = 256;
/// The largest file that is read whole.
const SMALL: u64 = 1 << 20;

/// A running capture: an iterator of what is found. See [`super::capture()`].
pub struct Capture {
    slots: Option<Receiver<Slot>>,
    budget: Arc<Budget>,
    prefix: TreePath,
    small: u64,
    owners: Arc<Owners>,
    links: Links,
    threads: Vec<JoinHandle<()>>,
}

/// The place of one item in the order of paths.
enum Slot {
    Step(Step),
    /// A small file, being read; the bytes it holds of the budget.
    Reading {
        place: Place,
        bytes: u64,
        answer: Receiver<Read>,
    },
    /// A file to be looked at when its turn comes: large, or a further name of an earlier one.
    Later {
        place: Place,
    },
    End,
}

struct Job {
    place: Place,
    answer: Sender<Read>,
}

impl Capture {
    pub(super) fn start(
        root: &Path,
        prefix: &TreePath,
        selection: &Selection,
        options: &CaptureOptions,
    ) -> Result<Self, MediaError> {
        let walk = Walk::new(open_root(root)?, selection, &options.skip)
            .map_err(io_error("list the folder", root))?;
        let small = u64::try_from(options.small).unwrap_or(SMALL).min(SMALL);
        let budget = Arc::new(Budget::default());
        let (slots, receiver) = bounded(WAITING);
        let (jobs, queue) = bounded::<Job>(WAITING);
        let mut capture = Self {
            slots: Some(receiver),
            budget: Arc::clone(&budget),
            prefix: prefix.clone(),
            small,
            owners: Arc::new(Owners::load()),
            links: Links::default(),
            threads: Vec::new(),
        };
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.to_owned())
                .spawn(work)
                .map_err(io_error("start a thread for", root))
        };
        for _ in 0..options.workers.max(1) {
            let queue = queue.clone();
            let work = move || {
                for job in queue {
                    // The receiver is gone when the capture was dropped.
                    let _ = job.answer.send(read_small(&job.place, small));
                }
            };
            capture.threads.push(spawn("media-read", Box::new(work))?);
        }
        let feeder = Feeder { slots, jobs, budget, small };
        capture.threads.push(spawn("media-walk", Box::new(move || feeder.run(walk)))?);
        Ok(capture)
    }

    /// Fails on paths that are too long for a backup.
    fn path(&self, below: &[u8]) -> Result<TreePath, PathError> {
        if below.is_empty() { Ok(self.prefix.clone()) } else { self.prefix.join(below) }
    }

    fn step(&self, step: Step) -> Result<Found, PathError> {
        Ok(match step {
            Step::Folder { path, meta, .. } => {
                Found::Entry(meta.entry(self.path(&path)?, EntryKind::Directory, &self.owners))
            }
            Step::Link { place, meta, target } => {
                let kind = EntryKind::Symlink { target };
                Found::Entry(meta.entry(self.path(&place.path)?, kind, &self.owners))
            }
            Step::LeftOut { place, rule, folder } => {
                Found::LeftOut { path: self.path(&place.path)?, rule, folder }
            }
            Step::Vanished { path } => Found::Vanished { path: self.path(&path)? },
            Step::Unreadable { path, source } => {
                Found::Unreadable { path: self.path(&path)?, source }
            }
            Step::File { place, .. } => self.later(place)?,
        })
    }

    /// Opens a file whose turn has come.
    fn later(&self, place: Place) -> Result<Found, PathError> {
        let path = self.path(&place.path)?;
        let read = match reader::open(&place) {
            Ok(opened) => {
                if let Some(link) = self.hard_link(&opened.meta, &path) {
                    return Ok(link);
                }
                if opened.meta.size <= self.small && opened.extents.is_none() {
                    read_small(&place, self.small)
                } else {
                    Read::Large(opened)
                }
            }
            Err(error) => Read::failed(error),
        };
        Ok(self.found(place, path, read))
    }

    fn found(&self, place: Place, path: TreePath, read: Read) -> Found {
        match read {
            Read::Whole { meta, data, sha256 } => {
                if let Some(link) = self.hard_link(&meta, &path) {
                    return link;
                }
                self.links.captured(&meta, &path);
                let kind = EntryKind::File { size: meta.size, extents: None };
                Found::Small { entry: meta.entry(path, kind, &self.owners), data, sha256 }
            }
            Read::Large(opened) => {
                if let Some(link) = self.hard_link(&opened.meta, &path) {
                    return link;
                }
                let (owners, links) = (Arc::clone(&self.owners), self.links.clone());
                let source = Source { place, path, owners, links };
                let (entry, file) = LargeFile::new(opened, source, 1);
                Found::Large { entry, file }
            }
            Read::Vanished => Found::Vanished { path },
            Read::Unreadable(source) => Found::Unreadable { path, source },
        }
    }

    fn hard_link(&self, meta: &Meta, path: &TreePath) -> Option<Found> {
        let target = self.links.earlier(meta)?;
        Some(Found::Entry(meta.entry(path.clone(), EntryKind::HardLink { target }, &self.owners)))
    }

    /// Ends the threads; a panic in one of them goes on here.
    fn join(&mut self) {
        self.slots = None;
        self.budget.close();
        for thread in self.threads.drain(..) {
            if let Err(panic) = thread.join()
                && !std::thread::panicking()
            {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Iterator for Capture {
    type Item = Result<Found, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        let slot = self.slots.as_ref()?.recv();
        let found = match slot {
            Ok(Slot::Step(step)) => self.step(step),
            Ok(Slot::Later { place }) => self.later(place),
            Ok(Slot::Reading { place, bytes, answer }) => {
                let Ok(read) = answer.recv() else {
                    self.join();
                    unreachable!("a reader ends without answer only by a panic, raised above");
                };
                self.budget.give_back(bytes);
                self.path(&place.path).map(|path| self.found(place, path, read))
            }
            Ok(Slot::End) => {
                self.join();
                return None;
            }
            Err(_) => {
                self.join();
                unreachable!("the walk ends without its last word only by a panic, raised above");
            }
        };
        Some(Ok(found.unwrap_or_else(|error| Found::Unreadable {
            path: self.prefix.clone(),
            source: std::io::Error::other(error),
        })))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.join();
    }
}

/// The walking thread: gives each thing its slot and small files to the readers.
struct Feeder {
    slots: Sender<Slot>,
    jobs: Sender<Job>,
    budget: Arc<Budget>,
    small: u64,
}

impl Feeder {
    fn run(self, walk: Walk) {
        let mut several_names = HashSet::new();
        for step in walk {
            let slot = match step {
                Step::File { place, meta }
                    if meta.size <= self.small
                        && (meta.links == 1 || several_names.insert(meta.id)) =>
                {
                    let Some(slot) = self.read(place, meta.size) else { return };
                    slot
                }
                Step::File { place, .. } => Slot::Later { place },
                step => Slot::Step(step),
            };
            if self.slots.send(slot).is_err() {
                return;
            }
        }
        let _ = self.slots.send(Slot::End);
    }

    /// `None` when the capture was dropped.
    fn read(&self, place: Place, bytes: u64) -> Option<Slot> {
        if !self.budget.take(bytes) {
            return None;
        }
        let (answer, receiver) = bounded(1);
        self.jobs.send(Job { place: place.clone(), answer }).ok()?;
        Some(Slot::Reading { place, bytes, answer: receiver })
    }
}
