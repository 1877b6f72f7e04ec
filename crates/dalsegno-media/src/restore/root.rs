//! Mode, owner and time of a storage's root, where the root itself stays in place.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use dalsegno_format::Timestamp;
use rustix::fs::{Gid, Mode, Uid, fchmod, fchown, fstat, futimens};

use crate::MediaError;
use crate::capture::open_root;
use crate::error::io_error;
use crate::meta::{Meta, times};

/// What a folder looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RootLook {
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) mtime: Timestamp,
}

impl From<Meta> for RootLook {
    fn from(meta: Meta) -> Self {
        Self { mode: meta.mode, uid: meta.uid, gid: meta.gid, mtime: meta.mtime }
    }
}

impl RootLook {
    pub(super) fn of(folder: &Path) -> Result<Self, MediaError> {
        let stat = fstat(open_root(folder)?).map_err(io_error("look at", folder))?;
        Ok(Meta::from(stat).into())
    }

    /// Sets all of it on a folder. A user who may not give it away keeps it; whoever does not own it
    /// leaves it as it is.
    pub(super) fn set(self, folder: &Path) -> Result<(), MediaError> {
        let fd = open_root(folder)?;
        self.set_open(&fd).map_err(io_error("set mode and owner of", folder))
    }

    pub(super) fn set_open(self, fd: impl AsFd) -> rustix::io::Result<()> {
        let now = Meta::from(fstat(&fd)?);
        // A folder that may not be changed need not be, as long as it was not.
        if self == now.into() {
            return Ok(());
        }
        let user = rustix::process::geteuid();
        if !user.is_root() && now.uid != user.as_raw() {
            return Ok(());
        }
        if (self.uid, self.gid) != (now.uid, now.gid) && user.is_root() {
            fchown(&fd, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))?;
        }
        fchmod(&fd, Mode::from_raw_mode(self.mode))?;
        futimens(&fd, &times(self.mtime))
    }

    /// One line of text: mode in octal, owner, group, time.
    pub(super) fn line(self) -> String {
        format!("{:04o} {} {} {}", self.mode, self.uid, self.gid, self.mtime)
    }

    pub(super) fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim_end().split(' ');
        let mode = u32::from_str_radix(fields.next()?, 8).ok().filter(|mode| *mode <= 0o7777)?;
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let mtime = Timestamp::parse(fields.next()?)?;
        fields.next().is_none().then_some(Self { mode, uid, gid, mtime })
    }

    /// Reads what [`RootLook::line`] wrote; `None` when there is no such file.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, MediaError> {
        match std::fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            text => {
                let look = Self::parse(&text.map_err(io_error("read", path))?);
                let wrong = || MediaError::Journal {
                    path: path.to_path_buf(),
                    reason: "it does not hold mode, owner and time".to_owned(),
                };
                look.map(Some).ok_or_else(wrong)
            }
        }
    }
}
