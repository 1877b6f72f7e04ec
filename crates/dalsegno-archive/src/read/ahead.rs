//! The tar stream of an archive, frames decompressed ahead by several threads.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::frames::{BadFrame, read_frame};
use super::tar_file::TarFile;
use super::walk::Mode;
use super::{Progress, Watch};
use crate::codec::Decoder;
use crate::tar::Source;
use crate::{ArchiveError, Damage, thread};

#[derive(Default)]
struct Buffers {
    stored: Vec<u8>,
    out: Vec<u8>,
}

struct Done {
    index: usize,
    buffers: Buffers,
    result: Result<(), BadFrame>,
}

/// Frames in order, decompressed by threads that run a bounded number of frames ahead.
struct Ahead {
    jobs: Option<Sender<(usize, Buffers)>>,
    done: Receiver<Done>,
    waiting: BTreeMap<usize, Done>,
    next: usize,
    sent: usize,
    total: usize,
    threads: Vec<JoinHandle<()>>,
}

impl Ahead {
    fn start(tar: &Arc<TarFile>, total: usize, workers: usize) -> Result<Self, ArchiveError> {
        let workers = workers.max(1);
        let (jobs, queue) = unbounded::<(usize, Buffers)>();
        let (finished, done) = unbounded();
        let threads = (0..workers)
            .map(|_| {
                let decoder = tar.decoder()?;
                let (tar, queue, finished) = (Arc::clone(tar), queue.clone(), finished.clone());
                thread::start(&tar.path.clone(), move || work(&tar, decoder, &queue, &finished))
            })
            .collect::<Result<_, ArchiveError>>()?;
        let jobs = Some(jobs);
        let waiting = BTreeMap::new();
        let mut ahead = Self { jobs, done, waiting, next: 0, sent: 0, total, threads };
        for _ in 0..=workers * 2 {
            ahead.send(Buffers::default());
        }
        Ok(ahead)
    }

    fn send(&mut self, buffers: Buffers) {
        if self.sent < self.total
            && let Some(jobs) = &self.jobs
            && jobs.send((self.sent, buffers)).is_ok()
        {
            self.sent += 1;
        }
    }

    /// The next frame, and the buffers of the last one given back for another.
    fn next(&mut self, used: Buffers) -> Option<Done> {
        self.send(used);
        if self.next == self.total {
            return None;
        }
        loop {
            if let Some(done) = self.waiting.remove(&self.next) {
                self.next += 1;
                return Some(done);
            }
            let done = self.done.recv().ok()?;
            self.waiting.insert(done.index, done);
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.jobs = None;
        // What is still queued is taken and thrown away by threads that find nobody listening.
        self.done = unbounded().1;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn work(
    tar: &TarFile,
    mut decoder: Decoder,
    jobs: &Receiver<(usize, Buffers)>,
    done: &Sender<Done>,
) {
    for (index, mut buffers) in jobs {
        let frame = tar.tables().ok().and_then(|tables| tables.frames.get(index));
        let result = match frame {
            Some((offset, _, frame)) => {
                let Buffers { stored, out } = &mut buffers;
                read_frame(&tar.file, &mut decoder, offset, &frame, stored, out)
            }
            None => Err(BadFrame { what: "the index does not know it".to_owned(), usable: false }),
        };
        if done.send(Done { index, buffers, result }).is_err() {
            return;
        }
    }
}

/// The tar stream, first byte to last. A damaged frame is noted; where its bytes are lost,
/// as many zeros come instead, so that a reader can go on behind it.
pub(crate) struct Stream<'a, 'w> {
    tar: &'a TarFile,
    ahead: Ahead,
    watch: &'a mut Watch<'w>,
    pub(crate) progress: Progress,
    current: Buffers,
    at: usize,
    /// Offset of the next byte in the tar.
    pub(crate) offset: u64,
    /// Frames found damaged since somebody took them.
    pub(crate) damage: Vec<Damage>,
    /// Up to this offset in the tar all is zeros in place of lost bytes.
    pub(crate) lost_until: u64,
    /// Up to this offset in the tar the bytes come from frames found damaged.
    pub(crate) bad_until: u64,
    mode: Mode,
    /// Whether the watch has asked to stop.
    pub(crate) cancelled: bool,
}

impl<'a, 'w> Stream<'a, 'w> {
    pub(crate) fn new(
        tar: &'a Arc<TarFile>,
        workers: usize,
        watch: &'a mut Watch<'w>,
        mode: Mode,
    ) -> Result<Self, ArchiveError> {
        let tables = tar
            .tables()
            .map_err(|damage| ArchiveError::Damaged { path: tar.path.clone(), damage })?;
        let ahead = Ahead::start(tar, tables.frames.len(), workers)?;
        let progress = Progress { stored_total: tar.trailer.file_len, ..Progress::default() };
        Ok(Self {
            tar,
            ahead,
            watch,
            progress,
            current: Buffers::default(),
            at: 0,
            offset: 0,
            damage: Vec::new(),
            lost_until: 0,
            bad_until: 0,
            mode,
            cancelled: false,
        })
    }

    pub(crate) fn canceller(&self) -> &'w (dyn Fn() -> bool + 'w) {
        self.watch.cancelled
    }

    /// Tells the watch how far it is.
    pub(crate) fn tell(&mut self) -> io::Result<()> {
        (self.watch.progress)(self.progress);
        if (self.watch.cancelled)() {
            self.cancelled = true;
            return Err(io::Error::other("cancelled"));
        }
        Ok(())
    }

    fn load(&mut self) -> io::Result<()> {
        while self.at == self.current.out.len() {
            let used = std::mem::take(&mut self.current);
            self.at = 0;
            let Some(done) = self.ahead.next(used) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            self.current = done.buffers;
            let place = self.tar.tables().ok().and_then(|tables| tables.frames.get(done.index));
            let Some((offset, _, frame)) = place else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            if let Err(bad) = done.result {
                let subject = format!("frame {} at byte {offset}", done.index);
                self.damage.push(Damage::new(subject, bad.what.clone()));
                if self.mode == Mode::Strict {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, bad.what));
                }
                self.bad_until = self.offset + u64::from(frame.length);
                if !bad.usable {
                    self.current.out.clear();
                    self.current.out.resize(frame.length as usize, 0);
                    self.lost_until = self.bad_until;
                }
            }
            self.progress.stored = offset + u64::from(frame.stored);
            self.tell()?;
        }
        Ok(())
    }

    /// Up to `most` of the next bytes, at least one.
    pub(crate) fn some(&mut self, most: u64) -> io::Result<&[u8]> {
        self.load()?;
        let rest = self.current.out.len() - self.at;
        let most = rest.min(usize::try_from(most).unwrap_or(usize::MAX));
        let start = self.at;
        self.at += most;
        self.offset += most as u64;
        Ok(&self.current.out[start..start + most])
    }

    /// The same for bytes of a content: where damage is tolerated, lost ones are an error and not
    /// zeros that somebody could take for them.
    pub(crate) fn content(&mut self, most: u64) -> io::Result<&[u8]> {
        self.load()?;
        if self.mode == Mode::Tolerate && self.offset < self.lost_until {
            let what = "it lies in a damaged frame";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        self.some(most)
    }

    /// Passes over bytes up to this offset in the tar.
    pub(crate) fn skip_to(&mut self, offset: u64) -> io::Result<()> {
        while self.offset < offset {
            let left = offset - self.offset;
            self.some(left)?;
        }
        Ok(())
    }
}

impl Source for Stream<'_, '_> {
    fn fill(&mut self, mut out: &mut [u8]) -> io::Result<()> {
        while !out.is_empty() {
            let some = self.some(out.len() as u64)?;
            let (now, later) = out.split_at_mut(some.len());
            now.copy_from_slice(some);
            out = later;
        }
        Ok(())
    }
}
