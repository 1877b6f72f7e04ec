//! One member alone.

use std::io::{self, Read};

use dalsegno_format::{EntryKind, Extent, Sha256 as Digest, TreePath};
use sha2::{Digest as _, Sha256};

/// A file as a reader sees it: holes are zeros. Fails at its end when the digest is another one
/// than the expected, if any is.
pub(crate) struct VerifiedFile<R> {
    data: R,
    path: TreePath,
    at: u64,
    size: u64,
    /// Ranges still to come, last first.
    extents: Vec<Extent>,
    hash: Option<Sha256>,
    expected: Option<Digest>,
}

impl<R: Read> VerifiedFile<R> {
    /// `data` gives the bytes of the extents, or of the whole file when it has no holes.
    pub(crate) fn new(data: R, path: TreePath, kind: &EntryKind, expected: Option<Digest>) -> Self {
        let (size, extents) = match kind {
            EntryKind::File { size, extents: Some(extents) } => (*size, extents.clone()),
            EntryKind::File { size, extents: None } if *size > 0 => {
                (*size, vec![Extent { offset: 0, length: *size }])
            }
            _ => (0, Vec::new()),
        };
        let hash = Some(Sha256::new());
        let extents = extents.into_iter().rev().collect();
        Self { data, path, at: 0, size, extents, hash, expected }
    }
}

impl<R: Read> Read for VerifiedFile<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        if self.at == self.size {
            return match (self.hash.take(), self.expected) {
                (Some(hash), Some(expected))
                    if Digest::from(hash.clone().finalize()) != expected =>
                {
                    Err(invalid(format!("`{}` has not its SHA-256: it is damaged", self.path)))
                }
                _ => Ok(0),
            };
        }
        let until = self.extents.last().map_or(self.size, |extent| extent.offset);
        let read = if self.at < until {
            let hole = usize::try_from(until - self.at).unwrap_or(usize::MAX).min(out.len());
            out[..hole].fill(0);
            hole
        } else {
            let Some(extent) = self.extents.last_mut() else {
                return Err(invalid("content beyond the end".to_owned()));
            };
            let most = usize::try_from(extent.length).unwrap_or(usize::MAX).min(out.len());
            let read = self.data.read(&mut out[..most])?;
            if read == 0 {
                return Err(invalid(format!("`{}` ends early: it is damaged", self.path)));
            }
            extent.offset += read as u64;
            extent.length -= read as u64;
            if extent.length == 0 {
                self.extents.pop();
            }
            read
        };
        self.at += read as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(&out[..read]);
        }
        Ok(read)
    }
}
