//! The digest of a file while it is written, by a thread of its own where the file is large.
//!
//! Who writes may be holding a lock that others wait for, and hashing takes several times as long
//! as writing where the processor has no instructions for it. So nobody waits for a digest before
//! its end where the bytes can be read back: what the thread has no buffer for it takes from the
//! file just written, which is still in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use dalsegno_format::{Extent, Sha256 as Digest};

use crate::ArchiveError;
use crate::hash::ContentHash;
use crate::thread;

/// Bytes of one buffer.
pub(super) const CHUNK: usize = 256 * 1024;

/// Buffers that go round between the writer and the hashing thread.
const BUFFERS: usize = 4;

/// From this size on a thread pays: hashing 735 MB takes one core 0.4 s, as long as reading or
/// writing them.
const LARGE: u64 = 4 << 20;

/// The digest of one file whose bytes come in buffers.
pub(super) enum Hashing {
    Here(Box<ContentHash<'static>>, Option<Vec<u8>>),
    Beside(Beside),
}

/// What is to be hashed next.
enum Piece {
    Bytes(Vec<u8>, usize),
    /// Where bytes lie that are given as [`Piece::Written`].
    From(File),
    /// So many bytes, where the pieces before end in the file.
    Written(usize),
}

/// A thread that hashes. Dropped, it ends.
pub(super) struct Beside {
    /// Unbounded: what is read back is a word each, and there are only so many buffers.
    pieces: Option<Sender<Piece>>,
    empty: Receiver<Vec<u8>>,
    /// Whether the thread can read back what is written.
    reads_back: bool,
    /// A buffer of which the thread gets no more than the length.
    spare: Option<Vec<u8>>,
    spare_is_out: bool,
    given_up: Arc<AtomicBool>,
    /// Nothing comes from it; it ends with the thread.
    ended: Receiver<()>,
    /// Gives the digest if all bytes came.
    thread: Option<JoinHandle<io::Result<Option<Digest>>>>,
}

impl Hashing {
    /// Of a file of `size` bytes, `announced` of which will come, for the backup at `path`.
    pub(super) fn start(
        size: u64,
        extents: Option<&[Extent]>,
        announced: u64,
        path: &Path,
    ) -> Result<Self, ArchiveError> {
        if announced < LARGE {
            let hash = ContentHash::new(size, extents);
            let most = usize::try_from(announced).map_or(CHUNK, |n| (n + 1).min(CHUNK));
            return Ok(Self::Here(Box::new(hash), Some(vec![0; most])));
        }
        let (pieces, to_hash) = unbounded();
        let (done, empty) = bounded(BUFFERS);
        for _ in 0..BUFFERS {
            let _ = done.send(vec![0; CHUNK]);
        }
        let extents = extents.map(<[Extent]>::to_vec);
        let given_up = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&given_up);
        let (alive, ended) = bounded(0);
        let thread = thread::start(path, move || {
            let _alive: Sender<()> = alive;
            let hash = ContentHash::new(size, extents.as_deref());
            hash_all(hash, &to_hash, &done, &stop, announced)
        })?;
        Ok(Self::Beside(Beside {
            pieces: Some(pieces),
            empty,
            reads_back: false,
            spare: None,
            spare_is_out: false,
            given_up,
            ended,
            thread: Some(thread),
        }))
    }

    /// From now on what is taken lies in `file`, at its place: no call waits for the thread any
    /// more, however slow it is.
    pub(super) fn read_back(&mut self, file: &File) -> io::Result<()> {
        if let Self::Beside(beside) = self
            && !beside.reads_back
        {
            beside.send(Piece::From(file.try_clone()?));
            beside.reads_back = true;
        }
        Ok(())
    }

    /// A buffer to fill; to be given back by [`Hashing::take`].
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        match self {
            Self::Here(_, buffer) => buffer.take().unwrap_or_else(|| vec![0; CHUNK]),
            Self::Beside(beside) => beside.buffer(),
        }
    }

    /// Takes the first `length` bytes of a buffer.
    pub(super) fn take(&mut self, buffer: Vec<u8>, length: usize) {
        match self {
            Self::Here(hash, spare) => {
                hash.update(&buffer[..length]);
                *spare = Some(buffer);
            }
            Self::Beside(beside) if beside.spare_is_out => {
                beside.spare_is_out = false;
                beside.spare = Some(buffer);
                beside.send(Piece::Written(length));
            }
            Self::Beside(beside) => beside.send(Piece::Bytes(buffer, length)),
        }
    }

    /// Whether the digest is there after this time at most; all bytes have come.
    pub(super) fn is_done_within(&mut self, time: Duration) -> bool {
        match self {
            Self::Here(..) => true,
            Self::Beside(beside) => {
                beside.pieces = None;
                beside.ended.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
            }
        }
    }

    /// The digest, once all bytes came; an error when they could not be read back.
    pub(super) fn finish(self) -> io::Result<Digest> {
        match self {
            Self::Here(hash, _) => Ok(hash.finish()),
            Self::Beside(mut beside) => {
                beside.pieces = None;
                let thread = beside.thread.take().expect("it is joined once");
                match thread.join() {
                    Ok(digest) => Ok(digest?.expect("all bytes were given to it")),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
    }
}

impl Beside {
    fn buffer(&mut self) -> Vec<u8> {
        if let Ok(buffer) = self.empty.try_recv() {
            return buffer;
        }
        if self.reads_back {
            self.spare_is_out = true;
            return self.spare.take().unwrap_or_else(|| vec![0; CHUNK]);
        }
        // A thread that is gone has failed or panicked: `finish` says so.
        self.empty.recv().unwrap_or_else(|_| vec![0; CHUNK])
    }

    fn send(&self, piece: Piece) {
        if let Some(pieces) = &self.pieces {
            // A thread that is gone has failed or panicked: `finish` says so.
            let _ = pieces.send(piece);
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn hash_all(
    mut hash: ContentHash<'_>,
    pieces: &Receiver<Piece>,
    done: &Sender<Vec<u8>>,
    given_up: &AtomicBool,
    announced: u64,
) -> io::Result<Option<Digest>> {
    let (mut at, mut file, mut back) = (0, None, Vec::new());
    for piece in pieces {
        if given_up.load(Ordering::Relaxed) {
            return Ok(None);
        }
        match piece {
            Piece::Bytes(buffer, length) => {
                hash.update(&buffer[..length]);
                at += length as u64;
                // Nobody may be left to fill it.
                let _ = done.send(buffer);
            }
            Piece::From(written) => file = Some(written),
            Piece::Written(length) => {
                let Some(file) = &file else { return Ok(None) };
                back.resize(length, 0);
                file.read_exact_at(&mut back, at)?;
                hash.update(&back);
                at += length as u64;
            }
        }
    }
    Ok((at == announced).then(|| hash.finish()))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn nobody_waits_for_a_digest_that_can_be_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile_in(folder.path()).unwrap();
        let mut expected = Sha256::new();
        let chunks = 64_u64;
        let length = chunks * CHUNK as u64;
        let (pieces, to_hash) = unbounded();
        let (done, empty) = bounded(BUFFERS);
        done.send(vec![0; CHUNK]).unwrap();
        let (alive, ended) = bounded::<()>(0);
        let given_up = Arc::new(AtomicBool::new(false));
        let mut hashing = Hashing::Beside(Beside {
            pieces: Some(pieces),
            empty,
            reads_back: false,
            spare: None,
            spare_is_out: false,
            given_up,
            ended,
            thread: None,
        });
        // No thread runs yet: whoever waited for one would wait for ever.
        for number in 0..chunks {
            if number > 0 {
                hashing.read_back(&file).unwrap();
            }
            let mut buffer = hashing.buffer();
            buffer.fill(u8::try_from(number).unwrap());
            file.write_all_at(&buffer, number * CHUNK as u64).unwrap();
            expected.update(&buffer);
            hashing.take(buffer, CHUNK);
        }
        let thread = std::thread::spawn(move || {
            let _alive = alive;
            hash_all(
                ContentHash::new(length, None),
                &to_hash,
                &done,
                &AtomicBool::new(false),
                length,
            )
        });
        let Hashing::Beside(beside) = &mut hashing else { unreachable!() };
        beside.thread = Some(thread);
        assert!(hashing.is_done_within(Duration::from_secs(30)));
        assert_eq!(hashing.finish().unwrap(), Digest::from(expected.finalize()));
    }

    #[test]
    fn what_cannot_be_read_back_is_an_error_and_no_digest() {
        let file = tempfile::tempfile().unwrap();
        let mut hashing = Hashing::start(LARGE, None, LARGE, Path::new("b")).unwrap();
        hashing.read_back(&file).unwrap();
        let Hashing::Beside(beside) = &mut hashing else { unreachable!() };
        beside.spare_is_out = true;
        hashing.take(vec![0; CHUNK], CHUNK);
        assert_eq!(hashing.finish().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
