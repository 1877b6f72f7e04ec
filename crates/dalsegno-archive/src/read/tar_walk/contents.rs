//! What follows a header: the content of a file, checked here or by the threads that hash, and the
//! padding.

use std::io;

use dalsegno_format::{Entry, EntryKind, Sha256 as Digest};

use super::{Moving, Next, TarWalk};
use crate::read::ReadError;
use crate::read::ahead::Stream;
use crate::read::walk::{ContentCheck, SMALL, Wrong, visit_file};
use crate::tar::{BLOCK, data_len, padding};
use crate::{ArchiveError, Damage};

impl TarWalk<'_, '_> {
    /// The content of a member and what pads it, up to the header at `next`.
    pub(super) fn content(
        &mut self,
        moving: &mut Moving<'_, '_>,
        entry: &Entry,
        digest: Option<&Digest>,
        next: u64,
    ) -> Result<Next, ReadError> {
        moving.report.members += 1;
        if let EntryKind::File { size, .. } = entry.kind {
            let tolerant = self.findings.tolerates();
            let wrong = self.file(moving, entry, digest)?;
            if moving.stream.cancelled {
                return Err(ArchiveError::Cancelled.into());
            }
            moving.report.files += 1;
            moving.report.bytes = moving.report.bytes.saturating_add(size);
            moving.bytes = moving.bytes.saturating_add(size);
            if let Err(wrong) = wrong {
                self.settle(moving)?;
                self.find(Damage::new(format!("contents of {}", entry.path), wrong.what))?;
                if wrong.lost && tolerant {
                    moving.order.forget(&entry.path);
                    return Ok(Self::skip(moving, next));
                }
            }
        } else if self.visit.is_some() {
            self.digests.other(entry.clone());
            self.pass_on(self.findings.tolerates())?;
        }
        self.padding(moving, entry, next)
    }

    /// The content of a file. What is wrong with it comes back, or is found later where others
    /// compute its digest.
    fn file(
        &mut self,
        moving: &mut Moving<'_, '_>,
        entry: &Entry,
        digest: Option<&Digest>,
    ) -> Result<Result<(), Wrong>, ReadError> {
        let tolerant = self.findings.tolerates();
        if let EntryKind::File { size, extents: None } = entry.kind
            && size <= SMALL
            && let Some(digest) = digest
            && !tolerant
        {
            let mut bytes = self.digests.buffer();
            if let Err(error) = whole(&mut moving.stream, size, &mut bytes) {
                return Ok(Err(Wrong { what: error.to_string(), lost: true }));
            }
            self.digests.file(entry.clone(), bytes, *digest, self.visit.is_some())?;
            self.pass_on(false)?;
            return Ok(Ok(()));
        }
        self.pass_on(true)?;
        let canceller = moving.stream.canceller();
        let check = ContentCheck { expected: digest, canceller, tolerant };
        visit_file(entry, &mut moving.stream, &check, self.visit.as_deref_mut())
    }

    pub(super) fn padding(
        &mut self,
        moving: &mut Moving<'_, '_>,
        entry: &Entry,
        next: u64,
    ) -> Result<Next, ReadError> {
        let mut block = [0; BLOCK];
        let pad = &mut block[..padding(data_len(&entry.kind))];
        if let Err(error) = crate::tar::Source::fill(&mut moving.stream, pad) {
            if moving.stream.cancelled {
                return Err(ArchiveError::Cancelled.into());
            }
            self.settle(moving)?;
            self.find(Damage::new(format!("padding after {}", entry.path), error.to_string()))?;
            return Ok(Next::Stop);
        }
        if pad.iter().any(|&b| b != 0) {
            self.find(Damage::new(format!("padding after {}", entry.path), "it is not zero"))?;
        }
        if moving.stream.offset > next {
            let what = "it reaches into the next member";
            self.find(Damage::new(format!("contents of {}", entry.path), what))?;
            return Ok(Next::Stop);
        }
        Ok(Next::GoOn)
    }
}

/// The next `size` bytes.
fn whole(stream: &mut Stream<'_, '_>, size: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut left = size;
    bytes.reserve(usize::try_from(size).map_err(io::Error::other)?);
    while left > 0 {
        let some = stream.content(left)?;
        bytes.extend_from_slice(some);
        left -= some.len() as u64;
    }
    Ok(())
}
