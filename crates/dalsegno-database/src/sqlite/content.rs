use dalsegno_format::hex;
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3;

use super::connection::Source;
use super::header;
use super::pages::Pages;
use crate::{DatabaseError, Result, Watch};

/// SHA-256, in hexadecimal, of what a database holds.
///
/// It covers every page in order; of the header, the change counter, the schema cookie, the journal
/// mode and the library's own marks count as zero, and the page count as the true one, so that a
/// live database equals the backup it was restored from. The page that holds the lock bytes, in
/// files beyond 1 GiB, counts as zeros.
pub fn content_hash(source: Source<'_>, watch: &mut dyn Watch) -> Result<String> {
    let connection = source.open()?;
    let mut hash = Sha256::new();
    let pages = Pages::open(&connection, source.path())?;
    let count = pages.count();
    let mut failure = Ok(());
    pages.each(|number, page| {
        if watch.cancelled() {
            failure = Err(DatabaseError::Cancelled);
            return false;
        }
        watch.bytes(page.len() as u64);
        if number == 1 {
            let mut first = page.to_vec();
            header::mask(&mut first, count);
            hash.update(&first);
        } else {
            hash.update(page);
        }
        true
    })?;
    failure?;
    Ok(hex(&hash.finalize()))
}

/// A quick digest of the same content as [`content_hash`]: tells whether a database changed, but
/// does not stand against an attacker.
pub(super) struct Fingerprint(Xxh3);

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self(Xxh3::new())
    }

    /// Takes the first bytes of a database of `pages` pages, at least its header.
    pub(super) fn start(&mut self, start: &[u8], pages: u32) {
        let mut masked = start.to_vec();
        header::mask(&mut masked, pages);
        self.0.update(&masked);
    }

    /// Takes the bytes that follow.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(&self) -> String {
        format!("{:032x}", self.0.digest128())
    }
}
