//! Digests of whole files, computed by threads while a walk goes on. Members come out in the order
//! in which they came in, each once its digest is known.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};
use dalsegno_format::{Entry, Sha256 as Digest};
use sha2::{Digest as _, Sha256};

use crate::{ArchiveError, thread};

/// Bytes that may wait for their digests or for their turn.
const LIMIT: usize = 8 << 20;

/// Members that may wait.
const WAITING: usize = 256;

/// A member on its way through.
pub(crate) struct Passing {
    pub(crate) entry: Entry,
    /// All its bytes, and whether their digest is the expected one; `None` for what is no file.
    pub(crate) content: Option<(Vec<u8>, bool)>,
    /// Whether somebody is to be given it.
    pub(crate) handed: bool,
}

struct Hashed {
    number: u64,
    bytes: Vec<u8>,
    right: bool,
}

enum Waiting {
    /// To be matched with what the threads give back.
    File(u64),
    Other,
}

/// The threads and the members that wait for them. Dropped, it throws away what waits.
pub(crate) struct Digests {
    /// The backup; errors name it.
    path: PathBuf,
    workers: usize,
    /// `None` until there is something to hash.
    threads: Option<Threads>,
    queue: VecDeque<(Entry, bool, Waiting)>,
    hashed: BTreeMap<u64, Hashed>,
    next: u64,
    held: usize,
    spare: Vec<Vec<u8>>,
}

struct Threads {
    jobs: Option<Sender<(u64, Vec<u8>, Digest)>>,
    done: Receiver<Hashed>,
    handles: Vec<JoinHandle<()>>,
}

impl Digests {
    pub(crate) fn new(workers: usize, path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            workers: workers.max(1),
            threads: None,
            queue: VecDeque::new(),
            hashed: BTreeMap::new(),
            next: 0,
            held: 0,
            spare: Vec::new(),
        }
    }

    /// An empty buffer.
    pub(crate) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// Takes back a buffer that nobody needs.
    pub(crate) fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.spare.len() < 16 {
            buffer.clear();
            self.spare.push(buffer);
        }
    }

    /// Adds a file whose bytes must have this digest.
    pub(crate) fn file(
        &mut self,
        entry: Entry,
        bytes: Vec<u8>,
        expected: Digest,
        handed: bool,
    ) -> Result<(), ArchiveError> {
        let threads = match &mut self.threads {
            Some(threads) => threads,
            none => none.insert(Threads::start(self.workers, &self.path)?),
        };
        self.held += bytes.len();
        let number = self.next;
        self.next += 1;
        if let Some(jobs) = &threads.jobs {
            // The threads live as long as the sender.
            let _ = jobs.send((number, bytes, expected));
        }
        self.queue.push_back((entry, handed, Waiting::File(number)));
        Ok(())
    }

    /// Adds a member without content.
    pub(crate) fn other(&mut self, entry: Entry) {
        self.queue.push_back((entry, true, Waiting::Other));
    }

    /// The next member in order, if it is ready; waits for it when too much is held, or when `all`
    /// are wanted.
    pub(crate) fn next(&mut self, all: bool) -> Option<Passing> {
        let wait = all || self.held > LIMIT || self.queue.len() > WAITING;
        let content = match self.queue.front()?.2 {
            Waiting::Other => None,
            Waiting::File(number) => {
                let Hashed { bytes, right, .. } = self.hashed(number, wait)?;
                self.held -= bytes.len();
                Some((bytes, right))
            }
        };
        let (entry, handed, _) = self.queue.pop_front()?;
        Some(Passing { entry, content, handed })
    }

    fn hashed(&mut self, number: u64, wait: bool) -> Option<Hashed> {
        let threads = self.threads.as_ref()?;
        loop {
            while let Ok(hashed) = threads.done.try_recv() {
                self.hashed.insert(hashed.number, hashed);
            }
            if let Some(hashed) = self.hashed.remove(&number) {
                return Some(hashed);
            }
            if !wait {
                return None;
            }
            let hashed = threads.done.recv().expect("a hashing thread has ended unexpectedly");
            self.hashed.insert(hashed.number, hashed);
        }
    }
}

impl Threads {
    fn start(workers: usize, path: &Path) -> Result<Self, ArchiveError> {
        let (jobs, queue) = unbounded::<(u64, Vec<u8>, Digest)>();
        let (finished, done) = unbounded();
        let handles = (0..workers)
            .map(|_| {
                let (queue, finished) = (queue.clone(), finished.clone());
                thread::start(path, move || {
                    for (number, bytes, expected) in queue {
                        let right = Digest::from(Sha256::digest(&bytes)) == expected;
                        if finished.send(Hashed { number, bytes, right }).is_err() {
                            return;
                        }
                    }
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { jobs: Some(jobs), done, handles })
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.jobs = None;
        // What is still queued is thrown away by threads that find nobody listening.
        self.done = unbounded().1;
        for thread in self.handles.drain(..) {
            let _ = thread.join();
        }
    }
}
