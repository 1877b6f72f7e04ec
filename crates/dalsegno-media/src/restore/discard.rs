//! Removing a tree that a restore left, and nothing else.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, chmodat, fstat, statat, unlinkat};
use rustix::io::Errno;

use super::mounts::{last_component, mounted_below};
use crate::capture::open_root;
use crate::error::io_error;
use crate::leftover::{Role, role};
use crate::listing::{Listing, open_folder};
use crate::meta::Meta;
use crate::{Cancel, MediaError};

/// Removes a staged, kept or undone tree, and what was noted about its root. No link is followed
/// and no other filesystem entered. What is already gone does not matter, so a removal that was
/// stopped can be started again.
pub fn discard(tree: &Path, cancel: Cancel<'_>) -> Result<(), MediaError> {
    let name = last_component(tree);
    if !matches!(role(name), Some(Role::Staged | Role::Kept | Role::Undone)) {
        return Err(MediaError::NotKept { path: tree.to_path_buf() });
    }
    let parent = tree.parent().unwrap_or(Path::new("."));
    let parent = parent.canonicalize().map_err(io_error("look at", parent))?;
    let tree = parent.join(OsStr::from_bytes(name));
    if let Some(mounted) = mounted_below(&tree)? {
        return Err(MediaError::MountInside { root: tree, mounted });
    }
    let folder = open_root(&parent)?;
    let look = tree.with_extension("root");
    match unlinkat(&folder, last_component(&look), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(io_error("remove", &look)(error)),
    }
    remove(folder.as_fd(), name, &tree, cancel)?;
    rustix::fs::fsync(&folder).map_err(io_error("write to disk", &parent))
}

/// Removes whatever lies at a name, a folder with all it holds. `shown` is its path for messages.
pub(super) fn remove(
    dir: BorrowedFd<'_>,
    name: &[u8],
    shown: &Path,
    cancel: Cancel<'_>,
) -> Result<(), MediaError> {
    let found = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(()),
        found => Meta::from(found.map_err(io_error("look at", shown))?),
    };
    remove_known(dir, name, found, found.id.0, shown, cancel)
}

fn remove_known(
    dir: BorrowedFd<'_>,
    name: &[u8],
    found: Meta,
    device: u64,
    shown: &Path,
    cancel: Cancel<'_>,
) -> Result<(), MediaError> {
    if !found.is_folder() {
        return gone(unlinkat(dir, name, AtFlags::empty())).map_err(io_error("remove", shown));
    }
    if found.id.0 != device {
        return Err(io_error("remove", shown)(Errno::XDEV));
    }
    let folder = match open_folder(dir, name) {
        Err(Errno::ACCESS) => {
            chmodat(dir, name, Mode::RWXU, AtFlags::empty())
                .map_err(io_error("set the mode of", shown))?;
            open_folder(dir, name)
        }
        folder => folder,
    };
    let folder = match folder {
        Err(Errno::NOENT) => return Ok(()),
        folder => folder.map_err(io_error("open the folder", shown))?,
    };
    if found.mode & 0o700 != 0o700 {
        let own = fstat(&folder).is_ok_and(|stat| Meta::from(stat).id == found.id);
        if own {
            // Only root and the owner may; for anybody else the removal below says why it fails.
            let _ = rustix::fs::fchmod(&folder, Mode::RWXU);
        }
    }
    let mut names = Listing::read(&folder).map_err(io_error("list the folder", shown))?;
    while let Some((child, listed)) = names.next() {
        if cancel() {
            return Err(MediaError::Cancelled);
        }
        let shown = shown.join(OsStr::from_bytes(&child));
        if !matches!(listed, FileType::Directory | FileType::Unknown)
            && unlinkat(&folder, &child[..], AtFlags::empty()).is_ok()
        {
            continue;
        }
        match statat(&folder, &child[..], AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            found => {
                let found = Meta::from(found.map_err(io_error("look at", &shown))?);
                remove_known(folder.as_fd(), &child, found, device, &shown, cancel)?;
            }
        }
    }
    gone(unlinkat(dir, name, AtFlags::REMOVEDIR)).map_err(io_error("remove", shown))
}

fn gone(removed: rustix::io::Result<()>) -> rustix::io::Result<()> {
    if removed == Err(Errno::NOENT) { Ok(()) } else { removed }
}
