//! Modes, owners and times of what is restored.

use std::os::fd::AsFd;

use dalsegno_format::Entry;
use rustix::fs::{AtFlags, Gid, Mode, Uid, chownat, fchmod, fchown, fstat, futimens, utimensat};
use rustix::io::{self, Errno};

use crate::meta::{Meta, times};
use crate::owners::Owners;

/// Whose restored files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerPolicy {
    /// The recorded owner and group: by name where this machine knows the name, else by number.
    /// Where the system refuses that number, the owner of the live root. Needs root.
    Recorded,
    /// The owner and group of the live root, or of the folder above where it is missing. Needs root.
    LiveRoot,
    /// The user who runs this.
    Own,
}

impl OwnerPolicy {
    /// `Recorded` for root, `Own` for anybody else.
    pub fn for_this_user() -> Self {
        if rustix::process::geteuid().is_root() { Self::Recorded } else { Self::Own }
    }
}

/// Sets attributes by one policy.
#[derive(Debug)]
pub(super) struct Attributes {
    policy: OwnerPolicy,
    owners: Owners,
    /// Owner and group of the live root.
    live: (u32, u32),
}

impl Attributes {
    pub(super) fn new(policy: OwnerPolicy, live: (u32, u32)) -> Self {
        Self { policy, owners: Owners::load(), live }
    }

    fn recorded(&self, entry: &Entry) -> (u32, u32) {
        let named = |name: &str, id: Option<u32>, number| {
            if name.is_empty() { number } else { id.unwrap_or(number) }
        };
        (
            named(&entry.user, self.owners.uid(&entry.user), entry.uid),
            named(&entry.group, self.owners.gid(&entry.group), entry.gid),
        )
    }

    /// The owner that a policy asks for, if it asks for any.
    fn wanted(&self, entry: &Entry) -> Option<(u32, u32)> {
        match self.policy {
            OwnerPolicy::Recorded => Some(self.recorded(entry)),
            OwnerPolicy::LiveRoot => Some(self.live),
            OwnerPolicy::Own => None,
        }
    }

    /// Sets owner, mode and time of an open file or folder, in the order in which none undoes
    /// another. A file that cannot get the recorded owner does not get set-uid or set-gid either.
    pub(super) fn set(&self, file: impl AsFd, entry: &Entry) -> io::Result<()> {
        let now = Meta::from(fstat(&file)?);
        let mut owner = (now.uid, now.gid);
        if let Some(wanted) = self.wanted(entry)
            && wanted != owner
        {
            owner = self.chown(wanted, |uid, gid| fchown(&file, Some(uid), Some(gid)))?;
        }
        let mut mode = entry.mode & 0o7777;
        if !now.is_folder() {
            let recorded = self.recorded(entry);
            let set_user = if owner.0 == recorded.0 { 0o4000 } else { 0 };
            let set_group = if owner.1 == recorded.1 { 0o2000 } else { 0 };
            mode &= 0o1777 | set_user | set_group;
        }
        if mode != now.mode || mode & 0o6000 != 0 {
            fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        futimens(&file, &times(entry.mtime))
    }

    /// The same for a symbolic link, which has no mode.
    pub(super) fn set_link(&self, dir: impl AsFd, name: &[u8], entry: &Entry) -> io::Result<()> {
        if let Some(wanted) = self.wanted(entry) {
            self.chown(wanted, |uid, gid| {
                chownat(&dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            })?;
        }
        utimensat(&dir, name, &times(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
    }

    fn chown(
        &self,
        wanted: (u32, u32),
        set: impl Fn(Uid, Gid) -> io::Result<()>,
    ) -> io::Result<(u32, u32)> {
        // The kernel reads -1 as "leave it", and user namespaces know only some numbers.
        let call = |(uid, gid): (u32, u32)| {
            if uid == u32::MAX || gid == u32::MAX {
                return Err(Errno::INVAL);
            }
            set(Uid::from_raw(uid), Gid::from_raw(gid))
        };
        match call(wanted) {
            Ok(()) => Ok(wanted),
            Err(Errno::INVAL | Errno::OVERFLOW) => call(self.live).map(|()| self.live),
            Err(error) => Err(error),
        }
    }
}
