//! Putting a tree in the place of the live one.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dalsegno_format::Timestamp;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::carry::Carry;
use super::in_place;
use super::journal::{Journal, write_new};
use super::root::RootLook;
use super::sealed::{SealedTree, now, time_of};
use super::target::{Place, Target, sync_folder};
use crate::MediaError;
use crate::capture::open_root;
use crate::error::io_error;
use crate::leftover::Role;

/// How a tree was put in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Both folders exchanged at once: at no instant was there anything but the old or the new tree.
    Exchange,
    /// Two renames, where the filesystem cannot exchange: for an instant there was no live folder.
    Renames,
    /// There was no live folder.
    Created,
    /// The live folder stayed and its entries were exchanged one by one: a reader could meet old and
    /// new ones together for an instant.
    InPlace,
}

/// A restored tree that is live: what a rollback needs to know, in a form that can be kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    /// The live folder, resolved.
    pub live: PathBuf,
    /// The id of the restore.
    pub restore_id: String,
    /// The tree that was live before; `None` when there was none.
    pub kept: Option<PathBuf>,
    /// How it was done.
    pub method: Method,
    /// Files that appeared in the old tree after it was sealed and were brought over.
    pub late: u64,
    /// Why bringing such files over stopped; they lie in the kept tree.
    pub late_error: Option<String>,
    /// What changed after this instant was not changed by the restore: seconds and nanoseconds since
    /// 1970.
    pub at: (i64, u32),
    /// Nor what changed before this instant: a clock that was set back stamps so.
    #[serde(default)]
    pub begun: (i64, u32),
    /// Inode of the folder that was switched in: another one in its place is somebody
    /// else's. `None` where the live folder stayed, or when it is not known.
    #[serde(default)]
    pub root: Option<u64>,
}

impl SealedTree {
    /// Makes the tree live and keeps the old one. On an error the old tree is live, unless undoing
    /// failed too: then [`Target::recover`] finds a journal. The staged tree then still lies where
    /// [`SealedTree::path`] said.
    pub fn switch(self) -> Result<Switched, MediaError> {
        let switching = Switching {
            target: &self.target,
            place: self.place,
            other: Role::Staged,
            done: Role::Kept,
        };
        let before = settled(self.sealed_at);
        let method = switching.run(Some(self.look))?;
        let kept = (method != Method::Created).then(|| switching.done_path());
        let late = kept.as_deref().map_or(Ok(0), |kept| self.bring_late(kept));
        let (late, late_error) = match late {
            Ok(late) => (late, None),
            Err(error) => (0, Some(said(&error))),
        };
        let (live, restore_id) = (self.target.live().to_path_buf(), self.target.id().to_owned());
        // Renaming an entry changes its time, so that here the switch itself must not count.
        let at = if method == Method::InPlace { now() } else { before };
        let root = match method {
            Method::InPlace => None,
            _ => inode(self.target.live())?,
        };
        let (at, begun) = ((at.secs, at.nanos), (self.begun.secs, self.begun.nanos));
        Ok(Switched { live, restore_id, kept, method, late, late_error, at, begun, root })
    }

    fn bring_late(&self, kept: &Path) -> Result<u64, MediaError> {
        let carry = Carry {
            strategy: self.strategy,
            selection: &self.selection,
            skip: &self.skip,
            since: Some((self.carried_from, self.sealed_at)),
            from: kept,
            cancel: &|| false,
        };
        carry.run(open_root(kept)?, open_root(self.target.live())?)
    }
}

/// An instant later than any change to the sealed tree, and earlier than any that the site can make
/// once it is live, by the clock that stamps files, which lags up to 10 ms behind.
fn settled(sealed_at: Timestamp) -> Timestamp {
    const TICK: Duration = Duration::from_millis(10);
    std::thread::sleep(TICK * 2);
    let at = time_of(SystemTime::now() - TICK);
    at.max(sealed_at)
}

fn said(error: &MediaError) -> String {
    match error {
        MediaError::Io { source, .. } => format!("{error}: {source}"),
        error => error.to_string(),
    }
}

/// A switch, forwards or backwards: `other` comes in, and what was live is then called `done`.
pub(super) struct Switching<'a> {
    pub(super) target: &'a Target,
    pub(super) place: Place,
    pub(super) other: Role,
    pub(super) done: Role,
}

impl Switching<'_> {
    pub(super) fn live(&self) -> &Path {
        self.target.live()
    }

    pub(super) fn other_path(&self) -> PathBuf {
        self.target.path(self.place, self.other)
    }

    pub(super) fn done_path(&self) -> PathBuf {
        self.target.path(self.place, self.done)
    }

    pub(super) fn journal_path(&self) -> PathBuf {
        self.target.path(self.place, Role::Journal)
    }

    /// Does it all; undoes what was done when something fails.
    pub(super) fn run(&self, look: Option<RootLook>) -> Result<Method, MediaError> {
        let new = required(&self.other_path())?;
        let old = inode(self.live())?;
        let method = match (self.place, old) {
            (_, None) => Method::Created,
            (Place::Beside, Some(_)) => Method::Exchange,
            (Place::Inside, Some(_)) => Method::InPlace,
        };
        let (other, done) = (self.other, self.done);
        let looks = match (look, old) {
            (Some(look), Some(_)) => Some((RootLook::of(self.live())?, look)),
            _ => None,
        };
        let mut journal = Journal { other, done, method, old, new, looks, names: Vec::new() };
        if method == Method::InPlace {
            journal.names = in_place::names(self)?;
        }
        journal.save(&self.journal_path())?;
        self.step();
        match self.finish(&mut journal) {
            Ok(()) => Ok(journal.method),
            Err(error) => {
                self.undo(&journal)?;
                Err(error)
            }
        }
    }

    /// Brings a journaled switch to its end, however far it came.
    pub(super) fn finish(&self, journal: &mut Journal) -> Result<(), MediaError> {
        let (live, other, done) = (self.live(), self.other_path(), self.done_path());
        if journal.method == Method::Exchange && inode(live)? != Some(journal.new) {
            self.check(journal, inode(&other)? == Some(journal.new), "the new tree is gone")?;
            self.exchange(journal, &other)?;
            self.step();
        }
        match journal.method {
            Method::Exchange => {
                sync_folder(self.target.parent())?;
                if inode(&other)? == journal.old {
                    rename(&other, &done)?;
                    self.step();
                }
            }
            Method::Renames => {
                if inode(live)? == journal.old && inode(&done)?.is_none() {
                    rename(live, &done)?;
                    self.step();
                }
                if inode(live)?.is_none() {
                    rename(&other, live)?;
                    self.step();
                }
            }
            Method::Created => {
                if inode(live)?.is_none() {
                    rename(&other, live)?;
                    self.step();
                }
            }
            Method::InPlace => {
                in_place::finish(self, journal)?;
                self.note_look(journal)?;
                if inode(&other)? == Some(journal.new) {
                    rename(&other, &done)?;
                    self.step();
                }
            }
        }
        if journal.method != Method::InPlace {
            let arrived = inode(live)? == Some(journal.new);
            self.check(journal, arrived, "the live folder is neither the old nor the new one")?;
        }
        self.close(journal, true)
    }

    /// Takes a journaled switch back, however far it came.
    pub(super) fn undo(&self, journal: &Journal) -> Result<(), MediaError> {
        let (live, other, done) = (self.live(), self.other_path(), self.done_path());
        match journal.method {
            Method::Exchange => {
                if inode(live)? == Some(journal.new) {
                    if inode(&done)? == journal.old {
                        rename(&done, &other)?;
                        self.step();
                    }
                    let flags = RenameFlags::EXCHANGE;
                    renameat_with(CWD, live, CWD, &other, flags)
                        .map_err(io_error("exchange", live))?;
                    self.step();
                }
            }
            Method::Renames => {
                if inode(live)? == Some(journal.new) {
                    rename(live, &other)?;
                    self.step();
                }
                if inode(live)?.is_none() && inode(&done)? == journal.old {
                    rename(&done, live)?;
                    self.step();
                }
            }
            Method::Created => {
                if inode(live)? == Some(journal.new) {
                    rename(live, &other)?;
                    self.step();
                }
            }
            Method::InPlace => {
                if inode(&other)?.is_none() {
                    rename(&done, &other)?;
                    self.step();
                }
                in_place::undo(self, journal)?;
            }
        }
        let back = journal.method == Method::InPlace || inode(live)? == journal.old;
        self.check(journal, back, "the live folder is neither the old nor the new one")?;
        self.close(journal, false)
    }

    /// Exchanges the folders; where that cannot be, says so in the journal.
    fn exchange(&self, journal: &mut Journal, other: &Path) -> Result<(), MediaError> {
        let live = self.live();
        match exchange(live, other) {
            Ok(()) => Ok(()),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                journal.method = Method::Renames;
                journal.save(&self.journal_path())
            }
            Err(Errno::XDEV | Errno::BUSY | Errno::ACCESS | Errno::PERM) => {
                journal.method = Method::InPlace;
                journal.names = in_place::names(self)?;
                journal.save(&self.journal_path())
            }
            Err(error) => Err(io_error("exchange", live)(error)),
        }
    }

    /// Notes beside the kept tree what the root that stayed looked like.
    fn note_look(&self, journal: &Journal) -> Result<(), MediaError> {
        let path = self.target.path(self.place, Role::Root);
        match journal.looks {
            Some((was, _)) if self.done == Role::Kept => {
                write_new(&path, format!("{}\n", was.line()).as_bytes())
            }
            _ => Ok(()),
        }
    }

    /// Sets the root's look where it stayed, makes the names durable and removes the journal.
    fn close(&self, journal: &Journal, finished: bool) -> Result<(), MediaError> {
        let stayed = journal.method == Method::InPlace;
        let look = journal.looks.map(|(was, becomes)| if finished { becomes } else { was });
        let folder = self.target.folder(self.place);
        if let (true, Some(look)) = (stayed, look) {
            look.set(self.live())?;
        }
        if stayed && finished != (self.done == Role::Kept) {
            remove_file(&self.target.path(self.place, Role::Root))?;
        }
        sync_folder(folder)?;
        self.step();
        remove_file(&self.journal_path())?;
        sync_folder(folder)?;
        // Removing the journal from inside the root moved its time on.
        match (stayed && self.place == Place::Inside, look) {
            (true, Some(look)) => look.set(self.live()),
            _ => Ok(()),
        }
    }

    fn check(&self, _: &Journal, fits: bool, reason: &str) -> Result<(), MediaError> {
        if fits {
            return Ok(());
        }
        Err(MediaError::Journal { path: self.journal_path(), reason: reason.to_owned() })
    }

    /// Between two steps; a place where tests kill the process.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests interfere here"))]
    pub(super) fn step(&self) {
        #[cfg(test)]
        crate::fault::step(self.live());
    }
}

/// The inode at a path, which is not followed; `None` when there is nothing.
pub(super) fn inode(path: &Path) -> Result<Option<u64>, MediaError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        found => Ok(Some(found.map_err(io_error("look at", path))?.ino())),
    }
}

fn required(path: &Path) -> Result<u64, MediaError> {
    inode(path)?.ok_or_else(|| MediaError::KeptMissing { path: path.to_path_buf() })
}

fn exchange(live: &Path, other: &Path) -> rustix::io::Result<()> {
    #[cfg(test)]
    if let Some(error) = crate::fault::exchange_error(live) {
        return Err(error);
    }
    renameat_with(CWD, live, CWD, other, RenameFlags::EXCHANGE)
}

/// Renames to a free name.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), MediaError> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every filesystem knows the flag; the name was free a moment ago.
        Err(Errno::INVAL | Errno::NOSYS) if to.symlink_metadata().is_err() => {
            std::fs::rename(from, to).map_err(io_error("rename", from))
        }
        renamed => renamed.map_err(io_error("rename", from)),
    }
}

/// Removes a file, if there is one.
pub(super) fn remove_file(path: &Path) -> Result<(), MediaError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A read-only file system says so before it looks for the name.
        Err(error)
            if error.kind() == io::ErrorKind::ReadOnlyFilesystem && inode(path)?.is_none() =>
        {
            Ok(())
        }
        removed => removed.map_err(io_error("remove", path)),
    }
}
