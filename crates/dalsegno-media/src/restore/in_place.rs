//! Exchanging the top-level entries of a live folder that cannot be renamed itself.
//!
//! What was done is read off the inodes in both folders (see [`super::journal`]), so that both
//! directions can be started again at any point. Entries that appear in the live folder meanwhile
//! stay there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use rustix::fs::{
    AtFlags, Mode, RenameFlags, chmodat, fchmod, fsync, renameat, renameat_with, statat, syncfs,
};
use rustix::io::Errno;

use super::carry::{copy, copy_folder};
use super::discard::remove;
use super::journal::{Journal, Name};
use super::switch::Switching;
use crate::MediaError;
use crate::capture::open_root;
use crate::error::io_error;
use crate::leftover::{self, Role, is_leftover};
use crate::listing::{Listing, open_folder};
use crate::meta::Meta;

/// The entries of both folders, by inode.
pub(super) fn names(switching: &Switching<'_>) -> Result<Vec<Name>, MediaError> {
    let mut names: BTreeMap<Vec<u8>, (Option<u64>, Option<u64>)> = BTreeMap::new();
    for (folder, new) in [(switching.live().to_path_buf(), false), (switching.other_path(), true)] {
        let fd = open_root(&folder)?;
        let mut listing = Listing::read(&fd).map_err(io_error("list the folder", &folder))?;
        while let Some((name, _)) = listing.next() {
            if is_leftover(&name) {
                continue;
            }
            let inode = inode(&fd, &name).map_err(io_error("look at", &folder))?;
            let sides = names.entry(name).or_default();
            *(if new { &mut sides.1 } else { &mut sides.0 }) = inode;
        }
    }
    // A file that was brought over is the same in both: there is nothing to exchange.
    let differs = |(_, (old, new)): &(_, (Option<u64>, Option<u64>))| old != new;
    let name = |(bytes, (old, new))| Name { bytes, old, new };
    Ok(names.into_iter().filter(differs).map(name).collect())
}

/// Moves every entry to where it belongs after the switch.
pub(super) fn finish(switching: &Switching<'_>, journal: &Journal) -> Result<(), MediaError> {
    let Some(pair) = Pair::open(switching, journal)? else { return Ok(()) };
    for (index, name) in journal.names.iter().enumerate() {
        pair.forward(&pair.one(index, name))?;
    }
    pair.sync()
}

/// Moves every entry back to where it was before.
pub(super) fn undo(switching: &Switching<'_>, journal: &Journal) -> Result<(), MediaError> {
    let Some(pair) = Pair::open(switching, journal)? else { return Ok(()) };
    for (index, name) in journal.names.iter().enumerate() {
        pair.backward(&pair.one(index, name))?;
    }
    pair.sync()
}

/// Both folders, open.
struct Pair<'a> {
    switching: &'a Switching<'a>,
    live: OwnedFd,
    other: OwnedFd,
}

/// One entry, and its names on the way.
struct One<'a> {
    name: &'a Name,
    swap: Vec<u8>,
    copy: Vec<u8>,
    part: Vec<u8>,
    shown: PathBuf,
}

impl<'a> Pair<'a> {
    /// `None` when the other folder already has its last name, after all entries were moved.
    fn open(switching: &'a Switching<'a>, journal: &Journal) -> Result<Option<Self>, MediaError> {
        let path = switching.other_path();
        match super::switch::inode(&path)? {
            Some(inode) if inode == journal.new => {}
            _ if super::switch::inode(&switching.done_path())? == Some(journal.new) => {
                return Ok(None);
            }
            _ => {
                let reason = "the new tree is gone".to_owned();
                return Err(MediaError::Journal { path: switching.journal_path(), reason });
            }
        }
        let (live, other) = (open_root(switching.live())?, open_root(&path)?);
        Ok(Some(Self { switching, live, other }))
    }

    fn one(&self, index: usize, name: &'a Name) -> One<'a> {
        let way = |role| leftover::name(None, &index.to_string(), role).into_vec();
        let shown = self.switching.live().join(OsString::from_vec(name.bytes.clone()));
        let (swap, copy, part) = (way(Role::Swap), way(Role::Copy), way(Role::Part));
        One { name, swap, copy, part, shown }
    }

    fn sync(&self) -> Result<(), MediaError> {
        for fd in [&self.live, &self.other] {
            fsync(fd).map_err(io_error("write to disk", self.switching.live()))?;
        }
        Ok(())
    }

    fn forward(&self, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        if Self::there(&self.other, &one.copy, one)?.is_some() {
            return self.forward_copied(one);
        }
        if Self::there(&self.other, &one.swap, one)?.is_some() {
            return self.forward_swapped(one);
        }
        let live = Self::there(&self.live, name, one)?;
        let other = Self::there(&self.other, name, one)?;
        match one.name.new {
            Some(new) if live == Some(new) => Ok(()),
            Some(new) if other != Some(new) => Err(self.lost(one)),
            Some(_) if live.is_some() => self.exchange(one),
            Some(_) => self.rename((&self.other, name), (&self.live, name), one),
            None if live.is_none() || other.is_some() => Ok(()),
            None => match Self::try_rename((&self.live, name), (&self.other, name)) {
                Err(Errno::XDEV) => self.forward_copied(one),
                renamed => self.stepped(renamed, one),
            },
        }
    }

    fn backward(&self, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        Self::remove(&self.other, &one.part, one)?;
        if Self::there(&self.other, &one.copy, one)?.is_some() {
            return self.backward_copied(one);
        }
        if Self::there(&self.other, &one.swap, one)?.is_some() {
            return self.backward_swapped(one);
        }
        let live = Self::there(&self.live, name, one)?;
        let other = Self::there(&self.other, name, one)?;
        match one.name.new {
            Some(new) if live == Some(new) && other.is_some() => self.exchange(one),
            Some(new) if live == Some(new) => {
                self.rename((&self.live, name), (&self.other, name), one)
            }
            Some(new) if other != Some(new) => Err(self.lost(one)),
            None if live.is_none() && other.is_some() => {
                self.rename((&self.other, name), (&self.live, name), one)
            }
            _ => Ok(()),
        }
    }

    fn exchange(&self, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        #[cfg(test)]
        if let Some(error) = crate::fault::exchange_error(&one.shown) {
            return self.exchange_by(error, one);
        }
        let places = [(&self.live, name), (&self.other, name)];
        let exchanged = movable(&places, || {
            renameat_with(&self.live, name, &self.other, name, RenameFlags::EXCHANGE)
        });
        match exchanged {
            Ok(()) => self.stepped(Ok(()), one),
            Err(error) => self.exchange_by(error, one),
        }
    }

    /// Another way, when an exchange fails. On the way back both entries are such as could be
    /// renamed before, a copy among them, so that renames do.
    fn exchange_by(&self, error: Errno, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        let back = Self::there(&self.live, name, one)? == one.name.new;
        match error {
            Errno::XDEV if !back => self.forward_copied(one),
            Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP => {
                self.rename((&self.other, name), (&self.other, &one.swap), one)?;
                if back { self.backward_swapped(one) } else { self.forward_swapped(one) }
            }
            error => Err(io_error("exchange", &one.shown)(error)),
        }
    }

    /// After the new entry went to its way name: the old one out, the new one in.
    fn forward_swapped(&self, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        if Self::there(&self.other, &one.swap, one)? != one.name.new {
            return self.backward_swapped(one).and_then(|()| self.forward(one));
        }
        if Self::there(&self.live, name, one)?.is_some() {
            self.rename((&self.live, name), (&self.other, name), one)?;
        }
        self.rename((&self.other, &one.swap), (&self.live, name), one)
    }

    /// The same back: what is on its way goes to where it was before the switch.
    fn backward_swapped(&self, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        if Self::there(&self.other, &one.swap, one)? == one.name.new {
            if Self::there(&self.live, name, one)?.is_none() {
                self.rename((&self.other, name), (&self.live, name), one)?;
            }
            return self.rename((&self.other, &one.swap), (&self.other, name), one);
        }
        if Self::there(&self.live, name, one)? == one.name.new {
            self.rename((&self.live, name), (&self.other, name), one)?;
        }
        self.rename((&self.other, &one.swap), (&self.live, name), one)
    }

    /// The old entry cannot be renamed: copied, removed, and the new one put in its place.
    fn forward_copied(&self, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        if Self::there(&self.other, &one.copy, one)?.is_none() {
            Self::remove(&self.other, &one.part, one)?;
            self.copy(one)?;
            self.switching.step();
            syncfs(&self.other).map_err(io_error("write to disk", &one.shown))?;
            self.rename((&self.other, &one.part), (&self.other, &one.copy), one)?;
        }
        let live = Self::there(&self.live, name, one)?;
        if live.is_some() && live != one.name.new {
            Self::remove(&self.live, name, one)?;
            self.switching.step();
        }
        if one.name.new.is_some() && Self::there(&self.other, name, one)? == one.name.new {
            self.rename((&self.other, name), (&self.live, name), one)?;
        }
        self.rename((&self.other, &one.copy), (&self.other, name), one)
    }

    fn backward_copied(&self, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        let live = Self::there(&self.live, name, one)?;
        if live.is_some() && live == one.name.new {
            self.rename((&self.live, name), (&self.other, name), one)?;
        } else {
            Self::remove(&self.live, name, one)?;
            self.switching.step();
        }
        self.rename((&self.other, &one.copy), (&self.live, name), one)
    }

    fn copy(&self, one: &One<'_>) -> Result<(), MediaError> {
        let name = &one.name.bytes[..];
        let look = statat(&self.live, name, AtFlags::SYMLINK_NOFOLLOW);
        let meta = Meta::from(look.map_err(io_error("look at", &one.shown))?);
        if meta.is_folder() {
            let into = rustix::io::fcntl_dupfd_cloexec(&self.other, 0);
            let into = into.map_err(io_error("open the folder", &one.shown))?;
            return copy_folder(self.live.as_fd(), name, into, &one.part, &one.shown);
        }
        copy(self.live.as_fd(), name, &meta, self.other.as_fd(), &one.part)
            .map_err(io_error("copy", &one.shown))
    }

    fn remove(dir: &OwnedFd, name: &[u8], one: &One<'_>) -> Result<(), MediaError> {
        remove(dir.as_fd(), name, &one.shown, &|| false)
    }

    fn rename(
        &self,
        from: (&OwnedFd, &[u8]),
        to: (&OwnedFd, &[u8]),
        one: &One<'_>,
    ) -> Result<(), MediaError> {
        self.stepped(Self::try_rename(from, to), one)
    }

    fn try_rename(from: (&OwnedFd, &[u8]), to: (&OwnedFd, &[u8])) -> rustix::io::Result<()> {
        movable(&[from], || {
            match renameat_with(from.0, from.1, to.0, to.1, RenameFlags::NOREPLACE) {
                // Not every filesystem knows the flag; the name was free a moment ago.
                Err(Errno::INVAL | Errno::NOSYS) if inode(to.0, to.1)?.is_none() => {
                    renameat(from.0, from.1, to.0, to.1)
                }
                renamed => renamed,
            }
        })
    }

    fn stepped(&self, moved: rustix::io::Result<()>, one: &One<'_>) -> Result<(), MediaError> {
        moved.map_err(io_error("rename", &one.shown))?;
        self.switching.step();
        Ok(())
    }

    fn there(dir: &OwnedFd, name: &[u8], one: &One<'_>) -> Result<Option<u64>, MediaError> {
        inode(dir, name).map_err(io_error("look at", &one.shown))
    }

    fn lost(&self, one: &One<'_>) -> MediaError {
        let reason = format!("`{}` is in neither folder", one.shown.display());
        MediaError::Journal { path: self.switching.journal_path(), reason }
    }
}

/// Moves something. Whoever is not root cannot move a folder without write permission to another
/// folder (its `..` changes): such ones get it for that moment.
fn movable(
    places: &[(&OwnedFd, &[u8])],
    act: impl Fn() -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    match act() {
        Err(Errno::ACCESS) => {}
        moved => return moved,
    }
    let mut widened = Vec::new();
    for (dir, name) in places {
        let found = Meta::from(statat(dir, *name, AtFlags::SYMLINK_NOFOLLOW)?);
        if found.is_folder() && found.mode & 0o700 != 0o700 {
            let wide = Mode::from_raw_mode(found.mode | 0o700);
            chmodat(dir, *name, wide, AtFlags::empty())?;
            widened.push((open_folder(dir, name)?, Mode::from_raw_mode(found.mode)));
        }
    }
    let moved = act();
    for (folder, mode) in widened {
        fchmod(folder, mode)?;
    }
    moved
}

fn inode(dir: &OwnedFd, name: &[u8]) -> rustix::io::Result<Option<u64>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        found => Ok(Some(Meta::from(found?).id.1)),
    }
}
