//! Creating one regular file.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt as _;

use dalsegno_format::{Entry, EntryKind, Extent};
use rustix::fs::{AtFlags, Mode, OFlags, ftruncate, openat, unlinkat};

use super::attributes::Attributes;

/// Bytes moved at a time.
const CHUNK: usize = 256 * 1024;

/// What an entry says about a file's content.
pub(super) struct Shape {
    size: u64,
    extents: Vec<Extent>,
    sparse: bool,
}

/// Why a file could not be created.
pub(super) enum Failure {
    Io(io::Error),
    /// There are fewer or more bytes than the entry announces.
    Length,
}

impl<E: Into<io::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Io(error.into())
    }
}

impl Shape {
    /// `None` for anything but a file, and for extents that are not what [`EntryKind::File`] says.
    pub(super) fn of(entry: &Entry) -> Option<Self> {
        let EntryKind::File { size, extents } = &entry.kind else { return None };
        let size = *size;
        let Some(extents) = extents else {
            let whole = (size > 0).then_some(Extent { offset: 0, length: size });
            return Some(Self { size, extents: whole.into_iter().collect(), sparse: false });
        };
        let mut end = 0;
        for extent in extents {
            let next = extent.offset.checked_add(extent.length)?;
            if extent.length == 0 || extent.offset < end || next > size {
                return None;
            }
            end = next;
        }
        Some(Self { size, extents: extents.clone(), sparse: true })
    }

    /// Bytes of data, holes not counted.
    pub(super) fn data(&self) -> u64 {
        self.extents.iter().map(|extent| extent.length).sum()
    }
}

/// The bytes of a file's extents, one after the other.
pub(super) enum Content<'a> {
    Bytes(&'a [u8]),
    /// Must end right after them.
    Reader(&'a mut dyn Read),
}

/// Creates the file. What was begun is removed on failure.
pub(super) fn create(
    dir: &OwnedFd,
    entry: &Entry,
    shape: &Shape,
    content: Content<'_>,
    attributes: &Attributes,
) -> Result<(), Failure> {
    let name = entry.path.name();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(entry.mode & 0o777);
    let file = File::from(openat(dir, name, flags, mode)?);
    let filled = match content {
        Content::Bytes(data) => write(&file, shape, data),
        Content::Reader(reader) => copy(&file, shape, reader),
    };
    let filled = filled.and_then(|()| Ok(attributes.set(&file, entry)?));
    if filled.is_err() {
        let _ = unlinkat(dir, name, AtFlags::empty());
    }
    filled
}

fn write(file: &File, shape: &Shape, data: &[u8]) -> Result<(), Failure> {
    if data.len() as u64 != shape.data() {
        return Err(Failure::Length);
    }
    if shape.sparse {
        ftruncate(file, shape.size)?;
    }
    let mut rest = data;
    for extent in &shape.extents {
        let length = usize::try_from(extent.length).map_err(io::Error::other)?;
        let (now, later) = rest.split_at(length);
        // No more at once: larger pieces of fresh page cache cost more than the calls they save.
        for (piece, offset) in now.chunks(CHUNK).zip((extent.offset..).step_by(CHUNK)) {
            file.write_all_at(piece, offset)?;
        }
        rest = later;
    }
    Ok(())
}

fn copy(file: &File, shape: &Shape, content: &mut dyn Read) -> Result<(), Failure> {
    if shape.sparse {
        ftruncate(file, shape.size)?;
    }
    let room = usize::try_from(shape.data()).unwrap_or(CHUNK).clamp(1, CHUNK);
    let mut buffer = vec![0; room];
    for extent in &shape.extents {
        let mut done = 0;
        while done < extent.length {
            let left = usize::try_from(extent.length - done).unwrap_or(CHUNK).min(room);
            let read = read(content, &mut buffer[..left])?;
            if read == 0 {
                return Err(Failure::Length);
            }
            file.write_all_at(&buffer[..read], extent.offset + done)?;
            done += read as u64;
        }
    }
    // One more read lets a checking reader see the end of its data.
    if read(content, &mut buffer[..1])? == 0 { Ok(()) } else { Err(Failure::Length) }
}

fn read(content: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match content.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}
