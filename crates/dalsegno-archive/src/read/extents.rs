//! The data of a stored file without its holes.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use dalsegno_format::{EntryKind, Extent};
use rustix::fs::SeekFrom;
use rustix::io::Errno;

use crate::order::MAX_EXTENTS;

/// A file's data, extent by extent.
pub(crate) struct ExtentReader {
    file: File,
    /// Ranges still to come, last first.
    extents: Vec<Extent>,
}

impl ExtentReader {
    pub(crate) fn new(file: File, kind: &EntryKind) -> Self {
        let extents = match kind {
            EntryKind::File { extents: Some(extents), .. } => extents.clone(),
            EntryKind::File { size, extents: None } => vec![Extent { offset: 0, length: *size }],
            _ => Vec::new(),
        };
        Self { file, extents: extents.into_iter().rev().collect() }
    }
}

impl Read for ExtentReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.extents.last().is_some_and(|extent| extent.length == 0) {
            self.extents.pop();
        }
        let Some(extent) = self.extents.last_mut() else { return Ok(0) };
        let most = usize::try_from(extent.length).unwrap_or(usize::MAX).min(out.len());
        let read = self.file.read_at(&mut out[..most], extent.offset)?;
        extent.offset += read as u64;
        extent.length -= read as u64;
        Ok(read)
    }
}

/// The ranges of a stored file that hold data, as its filesystem tells them.
pub(crate) fn extents_of(file: &File, size: u64) -> Vec<Extent> {
    let whole = || if size == 0 { vec![] } else { vec![Extent { offset: 0, length: size }] };
    let mut extents = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(_) => return whole(),
        };
        let Ok(end) = rustix::fs::seek(file, SeekFrom::Hole(start)) else { return whole() };
        let end = end.min(size);
        if start >= end {
            break;
        }
        if extents.len() == MAX_EXTENTS {
            return whole();
        }
        extents.push(Extent { offset: start, length: end - start });
        at = end;
    }
    extents
}
