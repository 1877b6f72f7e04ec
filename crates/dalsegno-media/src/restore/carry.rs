//! Bringing live files over into a restored tree.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dalsegno_format::Timestamp;
use rustix::fs::{AtFlags, Mode, chmodat, fstat, mkdirat, statat, unlinkat};
use rustix::io::Errno;

use super::Strategy;
use super::discard::remove;
use super::root::RootLook;
use crate::error::io_error;
use crate::leftover::is_leftover;
use crate::listing::{Listing, open_folder};
use crate::meta::Meta;
use crate::walk::{Place, Step, Walk};
use crate::{Cancel, MediaError, Selection};

mod bring;

use bring::bring;
pub(super) use bring::copy;

/// What to bring over, from where.
pub(super) struct Carry<'a> {
    pub(super) strategy: Strategy,
    pub(super) selection: &'a Selection,
    pub(super) skip: &'a [(u64, u64)],
    /// Set for the second round, after the switch: only what is missing, or was written after this
    /// instant, comes over.
    pub(super) since: Option<(Timestamp, Timestamp)>,
    /// The folder that files come from, for messages.
    pub(super) from: &'a Path,
    pub(super) cancel: Cancel<'a>,
}

impl Carry<'_> {
    /// Walks `live` and brings over into `staged` what the strategy lets stay; gives how many files
    /// came over. Times and modes of folders in `staged` are as before.
    pub(super) fn run(&self, live: OwnedFd, staged: OwnedFd) -> Result<u64, MediaError> {
        let mut walk = Walk::new(live, self.selection, self.skip)
            .map_err(io_error("list the folder", self.from))?;
        let mut frames = Frames { carry: self, stack: Vec::new(), brought: 0 };
        let mut root = Some(staged);
        while let Some(step) = walk.next() {
            if (self.cancel)() {
                return Err(MediaError::Cancelled);
            }
            match step {
                Step::Folder { path, dir, meta } => {
                    let staged = match root.take() {
                        Some(root) => Some(Staged::Open(Open::new(root, self.from)?)),
                        None => frames.enter(&path, &meta)?,
                    };
                    match staged {
                        Some(staged) => frames.stack.push(Frame { path, live: dir, meta, staged }),
                        None => walk.skip_folder(),
                    }
                }
                Step::File { place, .. } | Step::Link { place, .. } => {
                    if self.strategy != Strategy::Replace {
                        frames.take(&place)?;
                    }
                }
                Step::LeftOut { place, .. } if is_leftover(&place.name) => {}
                Step::LeftOut { place, .. } => frames.take(&place)?,
                Step::Vanished { .. } => {}
                Step::Unreadable { path, source } => {
                    if self.strategy != Strategy::Replace {
                        return Err(io_error("read", self.shown(&path))(source));
                    }
                }
            }
        }
        frames.ascend(0)?;
        Ok(frames.brought)
    }

    fn shown(&self, path: &[u8]) -> PathBuf {
        self.from.join(OsStr::from_bytes(path))
    }

    fn live_wins(&self) -> bool {
        self.strategy == Strategy::KeepExisting
    }
}

/// Copies a folder with all it holds to a free name elsewhere, files as hard links where possible.
pub(super) fn copy_folder(
    from: BorrowedFd<'_>,
    name: &[u8],
    into: OwnedFd,
    new_name: &[u8],
    shown: &Path,
) -> Result<(), MediaError> {
    let (selection, cancel) = (&Selection::default(), &|| false);
    let strategy = Strategy::Merge;
    let carry = Carry { strategy, selection, skip: &[], since: None, from: shown, cancel };
    let meta = statat(from, name, AtFlags::SYMLINK_NOFOLLOW).map_err(io_error("look at", shown))?;
    let made = Open::new(into, shown)?.make(new_name, &meta.into(), shown)?;
    carry.merge_folder(from, name, made, shown).map(|_| ())
}

/// A live folder on the way, and its counterpart.
struct Frame {
    path: Vec<u8>,
    live: Arc<OwnedFd>,
    meta: Meta,
    staged: Staged,
}

enum Staged {
    Open(Open),
    /// Made when something comes over into it.
    Absent,
}

/// A folder of the staged tree, and what it is to look like afterwards.
struct Open {
    fd: OwnedFd,
    look: RootLook,
    changed: bool,
}

impl Open {
    fn new(fd: OwnedFd, shown: &Path) -> Result<Self, MediaError> {
        let look = Meta::from(fstat(&fd).map_err(io_error("look at", shown))?).into();
        Ok(Self { fd, look, changed: false })
    }

    /// Opens a sub-folder; one without permissions gets them until it is left.
    fn child(&self, name: &[u8], found: &Meta, shown: &Path) -> Result<Self, MediaError> {
        let narrow = found.mode & 0o700 != 0o700 && !rustix::process::geteuid().is_root();
        if narrow {
            chmodat(&self.fd, name, Mode::from_raw_mode(found.mode | 0o700), AtFlags::empty())
                .map_err(io_error("set the mode of", shown))?;
        }
        let fd = open_folder(&self.fd, name).map_err(io_error("open the folder", shown))?;
        Ok(Self { fd, look: (*found).into(), changed: narrow })
    }

    /// Makes a sub-folder that is to look like a live one.
    fn make(&mut self, name: &[u8], live: &Meta, shown: &Path) -> Result<Self, MediaError> {
        self.changed = true;
        mkdirat(&self.fd, name, Mode::RWXU).map_err(io_error("create", shown))?;
        let fd = open_folder(&self.fd, name).map_err(io_error("open the folder", shown))?;
        Ok(Self { fd, look: (*live).into(), changed: true })
    }

    fn leave(self, shown: &Path) -> Result<(), MediaError> {
        if self.changed {
            self.look.set_open(&self.fd).map_err(io_error("set mode and owner of", shown))?;
        }
        Ok(())
    }

    fn find(&self, name: &[u8], shown: &Path) -> Result<Option<Meta>, MediaError> {
        match statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => Ok(None),
            found => Ok(Some(Meta::from(found.map_err(io_error("look at", shown))?))),
        }
    }
}

struct Frames<'a> {
    carry: &'a Carry<'a>,
    stack: Vec<Frame>,
    brought: u64,
}

impl Frames<'_> {
    fn ascend(&mut self, depth: usize) -> Result<(), MediaError> {
        while self.stack.len() > depth {
            if let Some(Frame { path, staged: Staged::Open(open), .. }) = self.stack.pop() {
                open.leave(&self.carry.shown(&path))?;
            }
        }
        Ok(())
    }

    /// Leaves the folders that do not hold `path`.
    fn ascend_to(&mut self, path: &[u8]) -> Result<(), MediaError> {
        let holds = |folder: &[u8]| {
            folder.is_empty()
                || path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
        };
        let depth = self.stack.iter().take_while(|frame| holds(&frame.path)).count();
        self.ascend(depth)
    }

    /// The counterpart of a live folder; `None` where the backup holds something else that wins.
    fn enter(&mut self, path: &[u8], meta: &Meta) -> Result<Option<Staged>, MediaError> {
        self.ascend_to(path)?;
        let carry = self.carry;
        let shown = carry.shown(path);
        let name = last(path);
        let Some(Frame { staged, .. }) = self.stack.last_mut() else { return Ok(None) };
        let Staged::Open(parent) = staged else { return Ok(Some(Staged::Absent)) };
        let make = carry.strategy != Strategy::Replace;
        match parent.find(name, &shown)? {
            Some(found) if found.is_folder() => {
                let mut open = parent.child(name, &found, &shown)?;
                if carry.live_wins() && carry.since.is_none() {
                    open.look = (*meta).into();
                    open.changed = true;
                }
                Ok(Some(Staged::Open(open)))
            }
            Some(_) if carry.live_wins() => {
                parent.changed = true;
                unlinkat(&parent.fd, name, AtFlags::empty()).map_err(io_error("remove", &shown))?;
                parent.make(name, meta, &shown).map(|open| Some(Staged::Open(open)))
            }
            Some(_) => Ok(None),
            None if make => parent.make(name, meta, &shown).map(|open| Some(Staged::Open(open))),
            None => Ok(Some(Staged::Absent)),
        }
    }

    /// Brings one thing over, if it may: a folder with all it holds.
    fn take(&mut self, place: &Place) -> Result<(), MediaError> {
        self.ascend_to(&place.path)?;
        self.make_absent()?;
        let carry = self.carry;
        let Some(Frame { staged: Staged::Open(open), live, .. }) = self.stack.last_mut() else {
            return Ok(());
        };
        let live = Arc::clone(live);
        self.brought += carry.merge(live.as_fd(), &place.name, open, &carry.shown(&place.path))?;
        Ok(())
    }

    /// Makes the folders of the current one that the backup does not have.
    fn make_absent(&mut self) -> Result<(), MediaError> {
        for depth in 1..self.stack.len() {
            let (above, below) = self.stack.split_at_mut(depth);
            let (Some(Frame { staged: Staged::Open(parent), .. }), Some(frame)) =
                (above.last_mut(), below.first_mut())
            else {
                continue;
            };
            if matches!(frame.staged, Staged::Absent) {
                let shown = self.carry.shown(&frame.path);
                frame.staged = Staged::Open(parent.make(last(&frame.path), &frame.meta, &shown)?);
            }
        }
        Ok(())
    }
}

impl Carry<'_> {
    /// Brings over `name` from one folder into another; what is there already stays unless live
    /// files win.
    fn merge(
        &self,
        live: BorrowedFd<'_>,
        name: &[u8],
        into: &mut Open,
        shown: &Path,
    ) -> Result<u64, MediaError> {
        let ours = match statat(live, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(0),
            ours => Meta::from(ours.map_err(io_error("look at", shown))?),
        };
        let theirs = into.find(name, shown)?;
        match theirs {
            Some(theirs) if theirs.is_folder() && ours.is_folder() => {
                let open = into.child(name, &theirs, shown)?;
                return self.merge_folder(live, name, open, shown);
            }
            Some(theirs) if theirs.id == ours.id => return Ok(0),
            Some(theirs) if !self.overrides(&ours, &theirs) => return Ok(0),
            Some(_) => {
                into.changed = true;
                remove(into.fd.as_fd(), name, shown, self.cancel)?;
            }
            None => {}
        }
        if ours.is_folder() {
            let open = into.make(name, &ours, shown)?;
            return self.merge_folder(live, name, open, shown);
        }
        into.changed = true;
        bring(live, name, &ours, into.fd.as_fd(), shown).map(u64::from)
    }

    fn merge_folder(
        &self,
        live: BorrowedFd<'_>,
        name: &[u8],
        mut into: Open,
        shown: &Path,
    ) -> Result<u64, MediaError> {
        let folder = open_folder(live, name).map_err(io_error("open the folder", shown))?;
        let mut names = Listing::read(&folder).map_err(io_error("list the folder", shown))?;
        let mut brought = 0;
        while let Some((child, _)) = names.next() {
            if (self.cancel)() {
                return Err(MediaError::Cancelled);
            }
            let shown = shown.join(OsStr::from_bytes(&child));
            brought += self.merge(folder.as_fd(), &child, &mut into, &shown)?;
        }
        into.leave(shown)?;
        Ok(brought)
    }

    /// Whether a live file takes the place of one in the restored tree. After the switch, only if it
    /// was written since the first round began and the other was not since that round ended; and,
    /// where the backup's files win, only if the other came over in that round and is not the
    /// backup's.
    fn overrides(&self, ours: &Meta, theirs: &Meta) -> bool {
        match self.since {
            None => self.live_wins(),
            Some((begun, ended)) => {
                let newer = ours.ctime > begun && theirs.ctime <= ended;
                newer && (self.live_wins() || theirs.ctime > begun)
            }
        }
    }
}

fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|&b| b == b'/').next().unwrap_or(path)
}
