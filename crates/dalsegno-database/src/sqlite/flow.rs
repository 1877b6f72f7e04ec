//! Captured bytes on their way into a sink: one thread reads them, another takes them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::header::{self, Header, JOURNAL};
use super::pages::{Pages, Reading};
use crate::{DatabaseError, Result, Watch};

/// Bytes handed over at once: few enough to stay in the processor's cache on their way.
const CHUNK: usize = 256 << 10;

/// Chunks that go round.
const CHUNKS: usize = 4;

/// How often the watch is asked while nothing comes.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// How long the site's writers are held up by a sink that takes nothing. They themselves wait for
/// five seconds unless told otherwise, and a busy disk may well take one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the bytes of a flow come from.
pub(super) enum Source {
    /// From the thread that reads the database, which waits when nobody takes them.
    Chunks(Chunks),
    /// From a spool, as far as it is filled.
    Spool(SpoolReader),
}

/// What a source has to give.
enum Given {
    Bytes(usize),
    NothingYet,
    /// The thread behind it has ended before its last byte.
    Ended,
}

/// A [`Read`] over the bytes of one capture. It fails early when the watch says so or the thread
/// that reads the database has failed.
pub(super) struct Flow<'s> {
    source: Source,
    watch: &'s mut dyn Watch,
    left: u64,
    cancelled: bool,
}

impl<'s> Flow<'s> {
    pub(super) fn new(source: Source, size: u64, watch: &'s mut dyn Watch) -> Self {
        Self { source, watch, left: size, cancelled: false }
    }

    /// Bytes not taken, and whether the watch put an end to it. The thread behind it stops.
    pub(super) fn finish(self) -> (u64, bool) {
        (self.left, self.cancelled)
    }
}

impl Read for Flow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        loop {
            self.cancelled = self.cancelled || self.watch.cancelled();
            if self.cancelled {
                return Err(io::Error::other("the capture was stopped"));
            }
            if most == 0 {
                return Ok(0);
            }
            let given = match &mut self.source {
                Source::Chunks(chunks) => chunks.give(&mut buffer[..most]),
                Source::Spool(spool) => spool.give(&mut buffer[..most])?,
            };
            match given {
                Given::Bytes(n) => {
                    self.left -= n as u64;
                    self.watch.bytes(n as u64);
                    return Ok(n);
                }
                Given::NothingYet => {}
                Given::Ended => {
                    // The thread may have heard of a cancellation first.
                    self.cancelled = self.watch.cancelled();
                    return Err(io::Error::other("the database cannot be read"));
                }
            }
        }
    }
}

/// The receiving end of chunks.
pub(super) struct Chunks {
    full: Receiver<Vec<u8>>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    at: usize,
}

/// The sending end: pages are gathered into chunks.
pub(super) struct Gather {
    full: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    cancelled: Option<Arc<AtomicBool>>,
    /// How long to wait for a chunk to be taken; for ever where nobody waits for the reader.
    patience: Option<Duration>,
}

/// A way for chunks from one thread to another; memory does not grow. `cancelled` ends it for the
/// reading thread, whatever the other one is doing.
pub(super) fn chunks(cancelled: Option<Arc<AtomicBool>>) -> (Gather, Chunks) {
    let (full, taken) = sync_channel(CHUNKS);
    let (give_back, empty) = channel();
    for _ in 1..CHUNKS {
        // The receiver is held right here.
        let _ = give_back.send(Vec::new());
    }
    let chunk = Vec::with_capacity(CHUNK);
    let gather = Gather { full, empty, chunk, cancelled, patience: None };
    (gather, Chunks { full: taken, empty: give_back, chunk: Vec::new(), at: 0 })
}

/// Whether a chunk was taken.
enum Taken {
    Yes,
    /// Nobody wants any more.
    Unwanted,
    /// Nobody took one for too long.
    Stalled,
}

impl Gather {
    /// The same for a reader of a locked database: it does not wait for ever.
    pub(super) fn impatient(self) -> Self {
        Self { patience: Some(PATIENCE), ..self }
    }

    /// Reads all pages that the transaction of `connection` sees.
    pub(super) fn read(mut self, connection: &Connection, path: &Path) -> Result<Reading> {
        let pages = Pages::open(connection, path)?;
        let count = pages.count();
        let mut taken = Taken::Yes;
        pages.each(|number, page| {
            taken = if number == 1 && Header::of(page).is_some() {
                let mut first = page.to_vec();
                header::set_pages(&mut first, count);
                self.push(&first)
            } else {
                self.push(page)
            };
            matches!(taken, Taken::Yes)
        })?;
        if matches!(taken, Taken::Yes) && !self.chunk.is_empty() {
            taken = self.send();
        }
        match taken {
            Taken::Yes => Ok(Reading::Whole),
            Taken::Unwanted => Ok(Reading::Stopped),
            Taken::Stalled => {
                let waited = self.patience.unwrap_or_default();
                Err(DatabaseError::Stalled { path: path.to_owned(), waited })
            }
        }
    }

    /// Adds a page.
    fn push(&mut self, page: &[u8]) -> Taken {
        if !self.chunk.is_empty()
            && self.chunk.len() + page.len() > CHUNK
            && let not_taken @ (Taken::Unwanted | Taken::Stalled) = self.send()
        {
            return not_taken;
        }
        self.chunk.extend_from_slice(page);
        Taken::Yes
    }

    fn send(&mut self) -> Taken {
        let start = Instant::now();
        // As many chunks as there are fit into the way: only for an empty one is there a wait.
        let mut empty = loop {
            if self.cancelled.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
                return Taken::Unwanted;
            }
            match self.empty.recv_timeout(LOOK) {
                Ok(empty) => break empty,
                Err(RecvTimeoutError::Disconnected) => return Taken::Unwanted,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.patience.is_some_and(|patience| start.elapsed() >= patience) {
                return Taken::Stalled;
            }
        };
        empty.clear();
        empty.reserve(CHUNK);
        match self.full.send(std::mem::replace(&mut self.chunk, empty)) {
            Ok(()) => Taken::Yes,
            Err(_) => Taken::Unwanted,
        }
    }
}

impl Chunks {
    fn give(&mut self, buffer: &mut [u8]) -> Given {
        if self.at == self.chunk.len() {
            match self.full.recv_timeout(LOOK) {
                Ok(chunk) => {
                    // The thread may have read its last page and be gone.
                    let _ = self.empty.send(std::mem::replace(&mut self.chunk, chunk));
                    self.at = 0;
                }
                Err(RecvTimeoutError::Timeout) => return Given::NothingYet,
                Err(RecvTimeoutError::Disconnected) => return Given::Ended,
            }
        }
        let n = buffer.len().min(self.chunk.len() - self.at);
        buffer[..n].copy_from_slice(&self.chunk[self.at..self.at + n]);
        self.at += n;
        Given::Bytes(n)
    }
}

/// Reads a spool behind the thread that fills it.
pub(super) struct SpoolReader {
    file: File,
    /// How many bytes are in it, ever more.
    filled: Receiver<u64>,
    until: u64,
    at: u64,
    /// Journal mode that the header shall say, see [`JOURNAL`].
    journal: Option<[u8; 2]>,
}

impl SpoolReader {
    pub(super) fn new(file: File, filled: Receiver<u64>, journal: Option<[u8; 2]>) -> Self {
        Self { file, filled, until: 0, at: 0, journal }
    }

    fn give(&mut self, buffer: &mut [u8]) -> io::Result<Given> {
        if self.at == self.until {
            match self.filled.recv_timeout(LOOK) {
                Ok(until) => self.until = until,
                Err(RecvTimeoutError::Timeout) => return Ok(Given::NothingYet),
                Err(RecvTimeoutError::Disconnected) => return Ok(Given::Ended),
            }
        }
        while let Ok(until) = self.filled.try_recv() {
            self.until = until;
        }
        let most = usize::try_from(self.until - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let n = self.file.read_at(&mut buffer[..most], self.at)?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.correct(&mut buffer[..n]);
        self.at += n as u64;
        Ok(Given::Bytes(n))
    }

    /// Puts the journal mode into the header as it goes by.
    fn correct(&self, bytes: &mut [u8]) {
        let Some(journal) = self.journal else { return };
        for (place, byte) in (JOURNAL..).zip(journal) {
            let at = place.checked_sub(self.at).and_then(|at| usize::try_from(at).ok());
            if let Some(found) = at.and_then(|at| bytes.get_mut(at)) {
                *found = byte;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_database_does_not_wait_for_ever_for_a_sink_that_takes_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(3000000))")
            .unwrap();
        let (gather, _untaken) = chunks(None);
        let waited = Duration::from_millis(100);
        let gather = Gather { patience: Some(waited), ..gather };
        let error = gather.read(&connection, Path::new("db")).unwrap_err();
        assert!(matches!(error, DatabaseError::Stalled { .. }), "{error}");
        assert!(chunks(None).0.impatient().patience.is_some());
    }
}
