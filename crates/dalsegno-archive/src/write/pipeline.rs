//! Blocks in, frames out: workers compress, one thread writes in order. Memory is bounded by the
//! number of slots that go round.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use dalsegno_format::Form;

use super::flusher::Flusher;
use crate::ArchiveError;
use crate::codec::{Block, Encoder, Frame, block_size};
use crate::thread;

/// Buffers of one block on its way.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) block: Block,
    stored: Vec<u8>,
    frames: Vec<Frame>,
}

struct Job {
    number: u64,
    slot: Slot,
    /// Whether this is the first block since a mark.
    marked: bool,
    failed: Option<io::Error>,
}

enum ToWriter {
    Done(Job),
    Rewind,
}

/// What has been written, known to all threads.
#[derive(Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    pub(crate) bytes: AtomicU64,
    pub(crate) failed: AtomicBool,
}

#[derive(Default)]
struct State {
    /// Blocks written, or passed over after a failure.
    done: u64,
    error: Option<ArchiveError>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fail(&self, error: ArchiveError) {
        self.lock().error.get_or_insert(error);
        self.failed.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    pub(crate) fn step(&self) {
        self.lock().done += 1;
        self.changed.notify_all();
    }

    /// Fails when any thread has.
    pub(crate) fn check(&self) -> Result<(), ArchiveError> {
        if !self.failed.load(Ordering::Acquire) {
            return Ok(());
        }
        let again = ArchiveError::Sequence { reason: "an earlier write has failed" };
        Err(self.lock().error.take().unwrap_or(again))
    }

    /// Waits until `count` steps are done.
    pub(crate) fn wait(&self, count: u64) -> Result<(), ArchiveError> {
        let mut state = self.lock();
        while state.done < count && !self.failed.load(Ordering::Acquire) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.check()
    }
}

/// Tells the others when a thread ends by a panic, so that nobody waits for it.
pub(crate) struct PanicGuard(pub(crate) Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0
                .fail(ArchiveError::Sequence { reason: "a writing thread has ended unexpectedly" });
        }
    }
}

/// What the writing thread leaves behind.
pub(crate) struct Output {
    pub(crate) file: File,
    pub(crate) offset: u64,
    pub(crate) frames: Vec<Frame>,
}

/// The threads behind a tar.
pub(crate) struct Pipeline {
    jobs: Option<Sender<Job>>,
    to_writer: Option<Sender<ToWriter>>,
    free: Receiver<Slot>,
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    writer: Option<JoinHandle<Output>>,
    next: u64,
    marked: bool,
}

impl Pipeline {
    pub(crate) fn start(
        file: File,
        path: &Path,
        form: Form,
        level: Option<u32>,
        workers: usize,
        max_size: Option<u64>,
    ) -> Result<Self, ArchiveError> {
        let workers = workers.max(1);
        let shared = Arc::new(Shared::default());
        let (jobs, job_queue) = bounded::<Job>(workers);
        let (to_writer, done) = unbounded();
        let (free_slots, free) = unbounded();
        for _ in 0..workers * 2 + 2 {
            let mut slot = Slot::default();
            slot.block.bytes.reserve(block_size(form));
            let _ = free_slots.send(slot);
        }
        let threads = (0..workers)
            .map(|_| {
                let encoder =
                    Encoder::new(form, level).map_err(ArchiveError::io("compress", path))?;
                let (queue, done) = (job_queue.clone(), to_writer.clone());
                let guard = PanicGuard(Arc::clone(&shared));
                thread::start(path, move || work(encoder, &queue, &done, &guard))
            })
            .collect::<Result<Vec<_>, ArchiveError>>()?;
        let writer = Writer {
            path: path.to_owned(),
            output: Output { file, offset: 0, frames: Vec::new() },
            shared: Arc::clone(&shared),
            free: free_slots,
            max_size,
            mark: None,
        };
        let writer = thread::start(path, move || writer.run(&done))?;
        Ok(Self {
            jobs: Some(jobs),
            to_writer: Some(to_writer),
            free,
            shared,
            workers: threads,
            writer: Some(writer),
            next: 0,
            marked: false,
        })
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// An empty slot; waits for one.
    pub(crate) fn slot(&self) -> Result<Slot, ArchiveError> {
        self.shared.check()?;
        self.free.recv().map_err(|_| self.broken())
    }

    /// Sends a block on its way.
    pub(crate) fn submit(&mut self, slot: Slot) -> Result<(), ArchiveError> {
        self.shared.check()?;
        let marked = std::mem::take(&mut self.marked);
        let job = Job { number: self.next, slot, marked, failed: None };
        self.next += 1;
        match &self.jobs {
            Some(jobs) if jobs.send(job).is_ok() => Ok(()),
            _ => Err(self.broken()),
        }
    }

    fn broken(&self) -> ArchiveError {
        let ended = ArchiveError::Sequence { reason: "a writing thread has ended" };
        self.shared.check().err().unwrap_or(ended)
    }

    /// Number of blocks sent; what comes from now on can be taken back.
    pub(crate) fn mark(&mut self) -> u64 {
        self.marked = true;
        self.next
    }

    /// Takes back all blocks since the mark, the last one set.
    pub(crate) fn rewind(&mut self, mark: u64) -> Result<(), ArchiveError> {
        self.shared.wait(self.next)?;
        if self.next > mark {
            if let Some(to_writer) = &self.to_writer {
                let _ = to_writer.send(ToWriter::Rewind);
            }
            self.next += 1;
            self.shared.wait(self.next)?;
        }
        self.marked = false;
        Ok(())
    }

    /// Waits for everything and hands over the file.
    pub(crate) fn finish(mut self) -> Result<Output, ArchiveError> {
        self.shared.wait(self.next)?;
        let output = self.stop().ok_or_else(|| self.broken())?;
        // The last thing the writing thread does is to hear whether the disk took it all.
        self.shared.check()?;
        Ok(output)
    }

    fn stop(&mut self) -> Option<Output> {
        self.jobs = None;
        self.to_writer = None;
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
        self.writer.take()?.join().ok()
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // Blocks still on their way need not be written.
        self.shared.failed.store(true, Ordering::Release);
        self.stop();
    }
}

fn work(mut encoder: Encoder, jobs: &Receiver<Job>, done: &Sender<ToWriter>, guard: &PanicGuard) {
    for mut job in jobs {
        let slot = &mut job.slot;
        slot.stored.clear();
        slot.frames.clear();
        if !guard.0.failed.load(Ordering::Acquire) {
            let result = encoder.encode(&slot.block, &mut slot.stored, &mut slot.frames);
            job.failed = result.err();
        }
        if done.send(ToWriter::Done(job)).is_err() {
            return;
        }
    }
}

struct Writer {
    path: PathBuf,
    output: Output,
    shared: Arc<Shared>,
    free: Sender<Slot>,
    max_size: Option<u64>,
    /// Offset and number of frames when the first block since the mark came.
    mark: Option<(u64, usize)>,
}

impl Writer {
    fn run(mut self, done: &Receiver<ToWriter>) -> Output {
        let guard = PanicGuard(Arc::clone(&self.shared));
        let mut flusher = Flusher::default();
        let mut waiting = BTreeMap::new();
        let mut next = 0;
        for message in done {
            match message {
                ToWriter::Done(job) => {
                    waiting.insert(job.number, job);
                }
                ToWriter::Rewind => {
                    if let Err(error) = self.rewind() {
                        self.shared.fail(error);
                    }
                    next += 1;
                    self.shared.step();
                }
            }
            while let Some(job) = waiting.remove(&next) {
                next += 1;
                self.take(job);
                flusher.written(&self.output.file, self.output.offset);
            }
        }
        if let Err(error) = flusher.finish() {
            self.shared.fail(ArchiveError::io("sync", &self.path)(error));
        }
        drop(guard);
        self.output
    }

    fn take(&mut self, mut job: Job) {
        if let Some(error) = job.failed.take() {
            self.shared.fail(ArchiveError::io("compress", &self.path)(error));
        }
        if !self.shared.failed.load(Ordering::Acquire)
            && let Err(error) = self.write(&job)
        {
            self.shared.fail(error);
        }
        job.slot.block.clear();
        let _ = self.free.send(job.slot);
        self.shared.step();
    }

    fn write(&mut self, job: &Job) -> Result<(), ArchiveError> {
        if job.marked {
            self.mark = Some((self.output.offset, self.output.frames.len()));
        }
        let slot = &job.slot;
        let bytes = if slot.stored.is_empty() { &slot.block.bytes } else { &slot.stored };
        let length = bytes.len() as u64;
        if let Some(limit) = self.max_size
            && self.output.offset + length > limit
        {
            return Err(ArchiveError::TooLarge { limit });
        }
        write_at(&self.output.file, &self.path, bytes, self.output.offset)?;
        self.output.offset += length;
        self.output.frames.extend_from_slice(&slot.frames);
        self.shared.bytes.store(self.output.offset, Ordering::Release);
        Ok(())
    }

    fn rewind(&mut self) -> Result<(), ArchiveError> {
        let Some((offset, frames)) = self.mark.take() else {
            return Err(ArchiveError::Sequence { reason: "there is no mark to return to" });
        };
        self.output.file.set_len(offset).map_err(ArchiveError::io("truncate", &self.path))?;
        self.output.offset = offset;
        self.output.frames.truncate(frames);
        self.shared.bytes.store(offset, Ordering::Release);
        Ok(())
    }
}

/// Writes all bytes, telling a full filesystem from other errors.
pub(crate) fn write_at(
    file: &File,
    path: &Path,
    bytes: &[u8],
    offset: u64,
) -> Result<(), ArchiveError> {
    file.write_all_at(bytes, offset).map_err(|error| match ArchiveError::io("write", path)(error) {
        ArchiveError::NoSpace { path, .. } => {
            ArchiveError::NoSpace { path, needed: bytes.len() as u64 }
        }
        other => other,
    })
}
