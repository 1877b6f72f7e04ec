//! The digest of a file's content, holes read as zeros.

use dalsegno_format::{Extent, Sha256 as Digest};
use sha2::{Digest as _, Sha256};

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Hashes the bytes of the extents as they come, and zeros for what lies between them.
pub(crate) struct ContentHash<'a> {
    /// Asked while holes are hashed, which may be far larger than anything stored.
    cancelled: Option<&'a dyn Fn() -> bool>,
    hash: Sha256,
    at: u64,
    size: u64,
    /// Ranges still to come, last first; `None` for a file without holes.
    extents: Option<Vec<Extent>>,
}

impl<'a> ContentHash<'a> {
    pub(crate) fn new(size: u64, extents: Option<&[Extent]>) -> Self {
        let extents = extents.map(|extents| extents.iter().rev().copied().collect());
        Self { cancelled: None, hash: Sha256::new(), at: 0, size, extents }
    }

    /// The same, given up when `cancelled` says so; the digest is then of no use.
    pub(crate) fn cancellable(mut self, cancelled: &'a dyn Fn() -> bool) -> Self {
        self.cancelled = Some(cancelled);
        self
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut most = bytes.len();
            if let Some(extents) = &mut self.extents
                && let Some(mut extent) = extents.pop()
            {
                self.zeros(extent.offset);
                most = most.min(usize::try_from(extent.length).unwrap_or(usize::MAX));
                extent.offset += most as u64;
                extent.length -= most as u64;
                if extent.length > 0
                    && let Some(extents) = &mut self.extents
                {
                    extents.push(extent);
                }
            }
            self.hash.update(&bytes[..most]);
            self.at += most as u64;
            bytes = &bytes[most..];
        }
    }

    fn zeros(&mut self, until: u64) {
        while self.at < until {
            if self.at % (64 << 20) < ZEROS.len() as u64
                && self.cancelled.is_some_and(|cancelled| cancelled())
            {
                return;
            }
            let most = usize::try_from(until - self.at).unwrap_or(ZEROS.len()).min(ZEROS.len());
            self.hash.update(&ZEROS[..most]);
            self.at += most as u64;
        }
    }

    pub(crate) fn finish(mut self) -> Digest {
        if self.extents.is_some() {
            self.zeros(self.size);
        }
        self.hash.finalize().into()
    }
}
