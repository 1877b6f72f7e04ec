//! A file that the caller reads.

use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use dalsegno_format::{Entry, EntryKind, Extent, TreePath};
use rustix::fs::fstat;

use super::TRIES;
use super::links::Links;
use super::reader::{self, Opened, kept_changing};
use crate::meta::Meta;
use crate::owners::Owners;
use crate::walk::Place;

/// An open file of a capture. Reading gives the bytes of its data extents one after the other (all
/// bytes, for a file without holes): as many as the entry announces, or fewer when the file was cut
/// short meanwhile, which [`LargeFile::unchanged`] then tells.
///
/// A file with several names that is dropped without [`LargeFile::unchanged`] having said yes counts
/// as not captured: its other names are then captured as files of their own.
#[derive(Debug)]
pub struct LargeFile {
    opened: Opened,
    /// The extents still to be read; the first one may be partly read.
    left: std::collections::VecDeque<Extent>,
    source: Source,
    tries: u32,
    confirmed: bool,
}

/// Where the file is opened again, and what its entry needs.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) place: Place,
    pub(crate) path: TreePath,
    pub(crate) owners: Arc<Owners>,
    pub(crate) links: Links,
}

impl LargeFile {
    pub(crate) fn new(opened: Opened, source: Source, tries: u32) -> (Entry, Self) {
        let size = opened.meta.size;
        let kind = EntryKind::File { size, extents: opened.extents.clone() };
        let entry = opened.meta.entry(source.path.clone(), kind, &source.owners);
        let left = match &opened.extents {
            Some(extents) => extents.iter().copied().collect(),
            None if size == 0 => std::collections::VecDeque::new(),
            None => std::iter::once(Extent { offset: 0, length: size }).collect(),
        };
        source.links.captured(&opened.meta, &source.path);
        (entry, Self { opened, left, source, tries, confirmed: false })
    }

    /// Whether the file is, after reading, what it was before: same inode, size and times.
    pub fn unchanged(&mut self) -> io::Result<bool> {
        #[cfg(test)]
        crate::fault::reading(&self.source.place.name);
        let after = Meta::from(fstat(&self.opened.file)?);
        self.confirmed = self.left.is_empty() && self.opened.meta.same_content(&after);
        Ok(self.confirmed)
    }

    /// How often the file was opened, this time included.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// Opens the file again, to read what it is now. Fails after three tries, and with
    /// [`io::ErrorKind::NotFound`] when the file is gone.
    pub fn again(self) -> io::Result<(Entry, Self)> {
        if self.tries >= TRIES {
            return Err(kept_changing());
        }
        let (source, tries) = (self.source.clone(), self.tries + 1);
        drop(self);
        let opened = reader::open(&source.place)?;
        Ok(Self::new(opened, source, tries))
    }
}

impl io::Read for LargeFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(extent) = self.left.front_mut() else { return Ok(0) };
        let wanted = usize::try_from(extent.length).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.opened.file.read_at(&mut buffer[..wanted], extent.offset)?;
        extent.offset += read as u64;
        extent.length -= read as u64;
        if extent.length == 0 {
            self.left.pop_front();
        }
        Ok(read)
    }
}

impl Drop for LargeFile {
    fn drop(&mut self) {
        if !self.confirmed {
            self.source.links.lost(&self.opened.meta, &self.source.path);
        }
    }
}
