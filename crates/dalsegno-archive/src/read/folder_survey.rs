//! The members of a folder form whose lists cannot be relied on.

use std::io;
use std::os::fd::AsFd as _;
use std::path::Path;

use dalsegno_format::{Entry, EntryKind, Extent, Timestamp, TreePath, tree};
use rustix::fs::{AtFlags, Dir, FileType, Stat};
use rustix::io::Errno;

use super::archive::open_folder;
use super::extents::extents_of;
use super::loose::{Survey, Surveyor, loose};
use crate::folder::Folder;
use crate::order::Order;
use crate::{ArchiveError, Damage};

/// The tops in the order in which they are walked.
const TOPS: [&str; 4] = [tree::DATABASE, tree::FIXTURES, tree::FILES, tree::STORAGES];

/// Takes `entries.tsv` when each of its lines can be read and follows the rules, up to and with
/// `restore.sh`; else walks the folder, and modes, owners and times are those of the files found.
pub(crate) fn survey(path: &Path, damage: Damage) -> Result<Survey, ArchiveError> {
    let mut folder = open_folder(path)?;
    let mut surveyor = Surveyor::new();
    surveyor.damage.push(damage);
    if listed(&mut folder, &mut surveyor)? {
        if let Ok(file) = folder.file(&tree::path(tree::CHECKSUMS)) {
            let length = file.metadata().map_or(0, |meta| meta.len());
            let read = surveyor.checksums(length, |out| io::Read::read(&mut &file, out))?;
            if let Err(error) = read {
                surveyor.damage.push(Damage::new(tree::CHECKSUMS, error.to_string()));
            }
        }
    } else {
        let what = "it cannot be used: modes, owners and times are those of the folder's files";
        surveyor.damage.push(Damage::new(tree::ENTRIES, what));
        surveyor.start_over();
        Walk { path, folder, surveyor: &mut surveyor, order: Order::default() }.run()?;
    }
    Ok(surveyor.finish())
}

/// Whether the list can be used.
fn listed(folder: &mut Folder, surveyor: &mut Surveyor) -> Result<bool, ArchiveError> {
    let Ok(file) = folder.file(&tree::path(tree::ENTRIES)) else { return Ok(false) };
    let mut lists = loose(file);
    let mut order = Order::default();
    let mut last = false;
    loop {
        match lists.next() {
            Ok(Some((entry, _))) if !last => {
                last = entry.path.as_bytes() == tree::RESTORE_SH.as_bytes();
                let plain = matches!(entry.kind, EntryKind::File { extents: None, .. });
                if if last { !plain } else { order.check(&entry).is_err() } {
                    return Ok(false);
                }
                surveyor.member(&entry)?;
            }
            Ok(None) => return Ok(last),
            Ok(Some(_)) | Err(_) => return Ok(false),
        }
    }
}

struct Walk<'a> {
    path: &'a Path,
    folder: Folder,
    surveyor: &'a mut Surveyor,
    order: Order,
}

impl Walk<'_> {
    fn run(mut self) -> Result<(), ArchiveError> {
        self.one(&tree::path(tree::METADATA))?;
        for top in TOPS {
            let mut todo = vec![tree::path(top)];
            // Depth first, names in their order: each folder comes right before what lies in it.
            while let Some(path) = todo.pop() {
                if self.one(&path)? {
                    todo.extend(self.children(&path)?.into_iter().rev());
                }
            }
        }
        self.one(&tree::path(tree::RESTORE_SH))?;
        Ok(())
    }

    /// Takes what lies there, if anything; says whether it is a folder.
    fn one(&mut self, path: &TreePath) -> Result<bool, ArchiveError> {
        let entry = match entry_at(&mut self.folder, path) {
            Ok(entry) => entry,
            Err(Errno::NOENT) => return Ok(false),
            Err(Errno::BADF) => {
                return Err(ArchiveError::member(path, "devices and pipes are refused"));
            }
            Err(error) => {
                let what = format!("it cannot be read: {error}");
                self.surveyor.damage.push(Damage::new(format!("member {path}"), what));
                return Ok(false);
            }
        };
        let last = entry.path.as_bytes() == tree::RESTORE_SH.as_bytes();
        if !last {
            self.order.check(&entry).map_err(|reason| ArchiveError::member(&entry.path, reason))?;
        } else if entry.size().is_none() {
            return Ok(false);
        }
        self.surveyor.member(&entry)?;
        Ok(entry.kind == EntryKind::Directory)
    }

    fn children(&mut self, path: &TreePath) -> Result<Vec<TreePath>, ArchiveError> {
        let failed = |error: Errno| ArchiveError::io("read", self.path)(error.into());
        let fd = self.folder.folder(path).map_err(failed)?;
        let mut children = Vec::new();
        for found in Dir::read_from(fd.as_fd()).map_err(failed)? {
            let found = found.map_err(failed)?;
            let name = found.file_name().to_bytes();
            if name != b"." && name != b".." {
                let child = path
                    .join(name)
                    .map_err(|_| ArchiveError::member(path, "a path in it is too long"))?;
                children.push(child);
            }
        }
        children.sort();
        Ok(children)
    }
}

/// What lies at a path of the folder, as a member. `EBADF` for what can be none.
fn entry_at(folder: &mut Folder, path: &TreePath) -> Result<Entry, Errno> {
    let parent = folder.parent(path)?;
    let stat = rustix::fs::statat(parent.as_fd(), path.name(), AtFlags::SYMLINK_NOFOLLOW)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => {
            let target = rustix::fs::readlinkat(parent.as_fd(), path.name(), Vec::new())?;
            EntryKind::Symlink { target: target.into_bytes() }
        }
        FileType::RegularFile => file_kind(folder, path, &stat)?,
        _ => return Err(Errno::BADF),
    };
    Ok(Entry {
        path: path.clone(),
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        user: String::new(),
        group: String::new(),
        mtime: Timestamp {
            secs: stat.st_mtime,
            nanos: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        },
    })
}

fn file_kind(folder: &mut Folder, path: &TreePath, stat: &Stat) -> Result<EntryKind, Errno> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let stored = u64::try_from(stat.st_blocks).unwrap_or(u64::MAX).saturating_mul(512);
    if stored >= size || path.parent().is_none() {
        return Ok(EntryKind::File { size, extents: None });
    }
    let extents = extents_of(&folder.file(path)?, size);
    let whole = extents == [Extent { offset: 0, length: size }];
    Ok(EntryKind::File { size, extents: (!whole).then_some(extents) })
}
