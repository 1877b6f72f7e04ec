//! The digest of a file while it is written, by a thread of its own where the file is large.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded};
use dalsegno_format::{Extent, Sha256 as Digest};

use crate::hash::ContentHash;

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

/// A thread that hashes. Dropped, it ends.
pub(super) struct Beside {
    full: Option<Sender<(Vec<u8>, usize)>>,
    empty: Receiver<Vec<u8>>,
    /// Gives the digest if all bytes came.
    thread: Option<JoinHandle<Option<Digest>>>,
}

impl Hashing {
    /// Of a file of `size` bytes, `announced` of which will come.
    pub(super) fn start(size: u64, extents: Option<&[Extent]>, announced: u64) -> Self {
        if announced < LARGE {
            let hash = ContentHash::new(size, extents);
            let most = usize::try_from(announced).map_or(CHUNK, |n| (n + 1).min(CHUNK));
            return Self::Here(Box::new(hash), Some(vec![0; most]));
        }
        let (full, to_hash) = bounded::<(Vec<u8>, usize)>(BUFFERS);
        let (done, empty) = bounded(BUFFERS);
        for _ in 0..BUFFERS {
            let _ = done.send(vec![0; CHUNK]);
        }
        let extents = extents.map(<[Extent]>::to_vec);
        let thread = std::thread::spawn(move || {
            let mut hash = ContentHash::new(size, extents.as_deref());
            let mut left = announced;
            for (buffer, length) in to_hash {
                hash.update(&buffer[..length]);
                left = left.saturating_sub(length as u64);
                // Nobody may be left to fill it.
                let _ = done.send(buffer);
            }
            (left == 0).then(|| hash.finish())
        });
        Self::Beside(Beside { full: Some(full), empty, thread: Some(thread) })
    }

    /// A buffer to fill; to be given back by [`Hashing::take`].
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        match self {
            Self::Here(_, buffer) => buffer.take().unwrap_or_else(|| vec![0; CHUNK]),
            // A thread that is gone has panicked: `finish` says so.
            Self::Beside(beside) => beside.empty.recv().unwrap_or_else(|_| vec![0; CHUNK]),
        }
    }

    /// Takes the first `length` bytes of a buffer.
    pub(super) fn take(&mut self, buffer: Vec<u8>, length: usize) {
        match self {
            Self::Here(hash, spare) => {
                hash.update(&buffer[..length]);
                *spare = Some(buffer);
            }
            Self::Beside(Beside { full: Some(full), .. }) => {
                let _ = full.send((buffer, length));
            }
            Self::Beside(_) => {}
        }
    }

    /// The digest, once all bytes came.
    pub(super) fn finish(self) -> Digest {
        match self {
            Self::Here(hash, _) => hash.finish(),
            Self::Beside(mut beside) => {
                beside.full = None;
                let thread = beside.thread.take().expect("it is joined once");
                match thread.join() {
                    Ok(digest) => digest.expect("all bytes were given to it"),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.full = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
