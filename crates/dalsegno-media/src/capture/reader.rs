//! Reading one small file whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use dalsegno_format::{Extent, Sha256};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256 as Hasher};

use super::TRIES;
use super::extents::extents;
use crate::listing::open_file;
use crate::meta::Meta;
use crate::walk::Place;

/// What became of a small file.
pub(crate) enum Read {
    Whole {
        meta: Meta,
        data: Vec<u8>,
        sha256: Sha256,
    },
    /// It is larger than agreed, or has holes: to be read by the caller.
    Large(Opened),
    Vanished,
    Unreadable(io::Error),
}

impl Read {
    /// What an error of [`open`] means.
    pub(crate) fn failed(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Vanished
        } else {
            Self::Unreadable(error)
        }
    }
}

/// A regular file, open, with what `stat` said before the first byte was read.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) file: File,
    pub(crate) meta: Meta,
    pub(crate) extents: Option<Vec<Extent>>,
}

/// Opens a regular file. [`io::ErrorKind::NotFound`] says that it is gone.
pub(crate) fn open(place: &Place) -> io::Result<Opened> {
    let replaced = || io::Error::other("it was replaced by something else");
    let file = match open_file(&place.dir, &place.name) {
        Err(Errno::LOOP | Errno::NXIO) => return Err(replaced()),
        file => File::from(file?),
    };
    let meta = settled(&file)?;
    if meta.file_type != FileType::RegularFile {
        return Err(replaced());
    }
    let extents = if meta.stored < meta.size { extents(&file, meta.size)? } else { None };
    Ok(Opened { file, meta, extents })
}

/// Reads a file of at most `limit` bytes, again when it changes meanwhile.
pub(crate) fn read_small(place: &Place, limit: u64) -> Read {
    for _ in 0..TRIES {
        let opened = match open(place) {
            Ok(opened) => opened,
            Err(error) => return Read::failed(error),
        };
        if opened.meta.size > limit || opened.extents.is_some() {
            return Read::Large(opened);
        }
        match read_whole(&opened) {
            Ok(Some(data)) => {
                #[cfg(test)]
                crate::fault::reading(&place.name);
                match fstat(&opened.file).map(Meta::from) {
                    Ok(after) if opened.meta.same_content(&after) => {
                        let sha256 = Hasher::digest(&data).into();
                        return Read::Whole { meta: opened.meta, data, sha256 };
                    }
                    Ok(_) => {}
                    Err(error) => return Read::Unreadable(error.into()),
                }
            }
            Ok(None) => {}
            Err(error) => return Read::Unreadable(error),
        }
    }
    Read::Unreadable(kept_changing())
}

/// The error of a file that changed each time it was read.
pub(crate) fn kept_changing() -> io::Error {
    io::Error::other(format!("it changed each of the {TRIES} times it was read"))
}

/// Waits until a later write to the file must show in its times.
fn settled(file: &File) -> rustix::io::Result<Meta> {
    let mut meta = Meta::from(fstat(file)?);
    for _ in 0..TRIES {
        let Some(rest) = meta.settles_in() else { break };
        std::thread::sleep(rest);
        meta = Meta::from(fstat(file)?);
    }
    Ok(meta)
}

/// All bytes that `stat` announced, or `None` when there are fewer.
fn read_whole(opened: &Opened) -> io::Result<Option<Vec<u8>>> {
    let size = usize::try_from(opened.meta.size).map_err(io::Error::other)?;
    let mut data = vec![0; size];
    match opened.file.read_exact_at(&mut data, 0) {
        Ok(()) => Ok(Some(data)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
