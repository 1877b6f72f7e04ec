//! What the system says about a file, in types that do not depend on the platform.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dalsegno_format::{Entry, EntryKind, Timestamp, TreePath};
use rustix::fs::{FileType, Stat, Timespec, Timestamps, UTIME_OMIT};

use crate::owners::Owners;

/// Device and inode: what a file is, whatever its name.
pub(crate) type FileId = (u64, u64);

/// The part of `stat` that this crate uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) id: FileId,
    pub(crate) links: u64,
    pub(crate) file_type: FileType,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) size: u64,
    /// Bytes that the file takes on its disk.
    pub(crate) stored: u64,
    pub(crate) mtime: Timestamp,
    pub(crate) ctime: Timestamp,
}

impl From<Stat> for Meta {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        clippy::useless_conversion,
        reason = "the types of these fields differ from platform to platform"
    )]
    fn from(stat: Stat) -> Self {
        Self {
            id: (stat.st_dev as u64, stat.st_ino as u64),
            links: stat.st_nlink as u64,
            file_type: FileType::from_raw_mode(stat.st_mode as _),
            mode: stat.st_mode as u32 & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: stat.st_size as u64,
            stored: (stat.st_blocks as u64).saturating_mul(512),
            mtime: Timestamp { secs: stat.st_mtime as i64, nanos: stat.st_mtime_nsec as u32 },
            ctime: Timestamp { secs: stat.st_ctime as i64, nanos: stat.st_ctime_nsec as u32 },
        }
    }
}

impl Meta {
    /// Whether nothing was written to the file between two looks at it.
    pub(crate) fn same_content(&self, later: &Self) -> bool {
        (self.id, self.size, self.mtime, self.ctime)
            == (later.id, later.size, later.mtime, later.ctime)
    }

    pub(crate) fn is_folder(&self) -> bool {
        self.file_type == FileType::Directory
    }

    pub(crate) fn entry(&self, path: TreePath, kind: EntryKind, owners: &Owners) -> Entry {
        Entry {
            path,
            mode: if matches!(kind, EntryKind::Symlink { .. }) { 0o777 } else { self.mode },
            kind,
            uid: self.uid,
            gid: self.gid,
            user: owners.user(self.uid),
            group: owners.group(self.gid),
            mtime: self.mtime,
        }
    }

    /// How long to wait until a further write must change the times of the file.
    ///
    /// Kernels stamp files with a clock of 1 to 10 ms; a second write within the same tick leaves no
    /// trace. A file whose last change is older than two ticks cannot hide one.
    pub(crate) fn settles_in(&self) -> Option<Duration> {
        const SETTLED: Duration = Duration::from_millis(20);
        let secs = u64::try_from(self.ctime.secs).ok()?;
        let changed = UNIX_EPOCH + Duration::new(secs, self.ctime.nanos);
        let age = SystemTime::now().duration_since(changed).ok()?;
        SETTLED.checked_sub(age).filter(|rest| !rest.is_zero())
    }
}

/// Times that set the modification time and leave the access time.
pub(crate) fn times(mtime: Timestamp) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() },
    }
}
