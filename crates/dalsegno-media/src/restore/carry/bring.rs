//! One live file, as a hard link or, where that is refused, as a copy.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use dalsegno_format::Extent;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Uid, chownat, fstat, ftruncate, linkat, mknodat, openat,
    readlinkat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;

use crate::MediaError;
use crate::capture::extents;
use crate::error::io_error;
use crate::listing::open_file;
use crate::meta::{Meta, times};
use crate::restore::root::RootLook;

const CHUNK: usize = 256 * 1024;

/// Gives the live file a second name; false when it is gone. The name must be free.
pub(super) fn bring(
    live: BorrowedFd<'_>,
    name: &[u8],
    meta: &Meta,
    into: BorrowedFd<'_>,
    shown: &Path,
) -> Result<bool, MediaError> {
    match linkat(live, name, into, name, AtFlags::empty()) {
        Ok(()) if same_file(live, into, name) => Ok(true),
        // The names of one file have different inodes on an image layer, and cannot be exchanged.
        Ok(()) => {
            unlinkat(into, name, AtFlags::empty()).map_err(io_error("remove", shown))?;
            copied(live, name, meta, into, shown)
        }
        Err(Errno::NOENT) => Ok(false),
        // Protected hard links, another filesystem or quota project, too many names, no such call.
        Err(
            Errno::PERM
            | Errno::XDEV
            | Errno::MLINK
            | Errno::OPNOTSUPP
            | Errno::NOSYS
            | Errno::ACCESS
            | Errno::INVAL,
        ) => copied(live, name, meta, into, shown),
        Err(error) => Err(io_error("bring over", shown)(error)),
    }
}

fn copied(
    live: BorrowedFd<'_>,
    name: &[u8],
    meta: &Meta,
    into: BorrowedFd<'_>,
    shown: &Path,
) -> Result<bool, MediaError> {
    match copy(live, name, meta, into, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        copied => copied.map(|()| true).map_err(io_error("bring over", shown)),
    }
}

/// Whether a name in both folders is seen to be one file. A live one that is gone by now was.
fn same_file(live: BorrowedFd<'_>, into: BorrowedFd<'_>, name: &[u8]) -> bool {
    let id = |folder| {
        let found = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
        found.map(|stat| Meta::from(stat).id)
    };
    match (id(live), id(into)) {
        (Ok(ours), Ok(theirs)) => ours == theirs,
        (ours, _) => ours == Err(Errno::NOENT),
    }
}

/// Copies content, mode, owner and time to a free name.
pub(in crate::restore) fn copy(
    live: BorrowedFd<'_>,
    name: &[u8],
    meta: &Meta,
    into: BorrowedFd<'_>,
    new_name: &[u8],
) -> io::Result<()> {
    match meta.file_type {
        FileType::RegularFile => copy_file(live, name, into, new_name),
        FileType::Symlink => {
            let target = readlinkat(live, name, Vec::new())?;
            symlinkat(&target, into, new_name)?;
            own(new_name, meta, into)
        }
        other => {
            mknodat(into, new_name, other, Mode::from_raw_mode(meta.mode), 0)?;
            own(new_name, meta, into)
        }
    }
}

fn own(name: &[u8], meta: &Meta, into: BorrowedFd<'_>) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        let (uid, gid) = (Uid::from_raw(meta.uid), Gid::from_raw(meta.gid));
        chownat(into, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(utimensat(into, name, &times(meta.mtime), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn copy_file(
    live: BorrowedFd<'_>,
    name: &[u8],
    into: BorrowedFd<'_>,
    new_name: &[u8],
) -> io::Result<()> {
    let from = File::from(open_file(live, name)?);
    let meta = Meta::from(fstat(&from)?);
    if meta.file_type != FileType::RegularFile {
        return Err(io::Error::other("it was replaced by something else"));
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let to = File::from(openat(into, new_name, flags, Mode::RUSR | Mode::WUSR)?);
    let holes = if meta.stored < meta.size { extents(&from, meta.size)? } else { None };
    let whole = || vec![Extent { offset: 0, length: meta.size }];
    if holes.is_some() {
        ftruncate(&to, meta.size)?;
    }
    let mut buffer = vec![0; CHUNK];
    for extent in holes.unwrap_or_else(whole) {
        let (mut at, end) = (extent.offset, extent.offset + extent.length);
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let read = from.read_at(&mut buffer[..left], at)?;
            if read == 0 {
                break;
            }
            to.write_all_at(&buffer[..read], at)?;
            at += read as u64;
        }
    }
    Ok(RootLook::from(meta).set_open(to.as_fd())?)
}
