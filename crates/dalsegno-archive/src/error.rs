//! What can go wrong with an archive.

use std::io;
use std::path::{Path, PathBuf};

use dalsegno_format::{ByteSize, ErrorKind, FORMAT_VERSION, ManifestError, TreePath};

/// Why an archive could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The operating system refused something.
    #[error("cannot {attempt} `{}`", path.display())]
    Io {
        /// What was attempted: `create`, `write`, `read`, …
        attempt: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The filesystem or a quota is full.
    #[error("no space left for `{}`", path.display())]
    NoSpace {
        /// What was being written.
        path: PathBuf,
        /// Bytes that were to be written when space ran out.
        needed: u64,
    },
    /// The archive grew beyond the size the caller allowed.
    #[error("the backup is larger than the allowed {}", ByteSize(*limit))]
    TooLarge {
        /// The allowed size in bytes.
        limit: u64,
    },
    /// A file gave fewer bytes than announced, or more: it changed while it was read.
    #[error("`{path}` gave {found} bytes where {announced} were announced")]
    ContentLength {
        /// The member.
        path: TreePath,
        /// Bytes announced.
        announced: u64,
        /// Bytes found; one more than announced stands for any number more.
        found: u64,
    },
    /// The source of a member's content could not be read.
    #[error("cannot read the content of `{path}`")]
    Content {
        /// The member.
        path: TreePath,
        /// Why not.
        source: io::Error,
    },
    /// A member that may not stand where it stands, or not at all.
    #[error("member `{path}` is refused: {reason}")]
    Member {
        /// The member.
        path: String,
        /// Why.
        reason: &'static str,
    },
    /// Calls out of order, or a completion record that does not fit what was written.
    #[error("the backup cannot be finished: {reason}")]
    Sequence {
        /// What is wrong.
        reason: &'static str,
    },
    /// No form of a backup.
    #[error("`{}` is not a backup", path.display())]
    NotAnArchive {
        /// The file or folder.
        path: PathBuf,
    },
    /// A backup that was never finished, or was cut short.
    #[error("`{}` is incomplete: its end is missing", path.display())]
    NoCompletion {
        /// The file or folder.
        path: PathBuf,
    },
    /// Made by a newer Dalsegno.
    #[error(
        "`{}` has format version {found}; this program reads up to {FORMAT_VERSION}",
        path.display()
    )]
    Newer {
        /// The file or folder.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
    /// A check failed.
    #[error("`{}` is damaged: {damage}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
    },
    /// The backup holds no such member.
    #[error("the backup holds no file `{path}`")]
    NoMember {
        /// What was looked for.
        path: TreePath,
    },
    /// The caller asked to stop.
    #[error("cancelled")]
    Cancelled,
}

/// One thing that is wrong with an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which part: `contents of files/a.jpg`, `frame 12 at byte 345`, `trailer`, …
    pub subject: String,
    /// What is wrong with it.
    pub what: String,
}

impl Damage {
    pub(crate) fn new(subject: impl Into<String>, what: impl Into<String>) -> Self {
        Self { subject: subject.into(), what: what.into() }
    }
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.subject, self.what)
    }
}

impl ArchiveError {
    /// The row of the outcome table.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                ErrorKind::NotFound
            }
            Self::NoMember { .. } => ErrorKind::NotFound,
            Self::NoSpace { .. }
            | Self::TooLarge { .. }
            | Self::Newer { .. }
            | Self::Member { .. } => ErrorKind::Refused,
            Self::NoCompletion { .. } | Self::Damaged { .. } => ErrorKind::Damaged,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Io { .. }
            | Self::ContentLength { .. }
            | Self::Content { .. }
            | Self::Sequence { .. }
            | Self::NotAnArchive { .. } => ErrorKind::Failed,
        }
    }

    /// The next thing to do, as a sentence.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSpace { .. } => "Free some space, or write the backup elsewhere.".to_owned(),
            Self::TooLarge { .. } => {
                "Raise the limit, leave something out, or choose a compressed form.".to_owned()
            }
            Self::ContentLength { .. } => {
                "The file changed while it was read: try again.".to_owned()
            }
            Self::NotAnArchive { .. } => {
                "Give the folder or the .tar, .tar.gz or .tar.zst file of a backup.".to_owned()
            }
            Self::NoCompletion { .. } => {
                "Use another backup, or copy this one again if it is a copy; `--no-backup-check` \
                 restores what is left of it."
                    .to_owned()
            }
            Self::Newer { .. } => "Install the Dalsegno that made it, or a newer one.".to_owned(),
            Self::Damaged { .. } => {
                "Use another backup, or skip the check with `--no-backup-check`; `verify` lists \
                 everything that is wrong."
                    .to_owned()
            }
            _ => return None,
        })
    }

    pub(crate) fn io(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| {
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                Self::NoSpace { path, needed: 0 }
            } else {
                Self::Io { attempt, path, source }
            }
        }
    }

    pub(crate) fn damaged(
        path: &Path,
        subject: impl Into<String>,
        what: impl Into<String>,
    ) -> Self {
        Self::Damaged { path: path.to_owned(), damage: Damage::new(subject, what) }
    }

    pub(crate) fn member(path: &TreePath, reason: &'static str) -> Self {
        Self::Member { path: path.to_string(), reason }
    }

    pub(crate) fn manifest(path: &Path, subject: &str, error: &ManifestError) -> Self {
        match error {
            ManifestError::Newer { found } => Self::Newer { path: path.to_owned(), found: *found },
            other => Self::damaged(path, subject, other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_names_both_ways_on() {
        let path = PathBuf::from("/b");
        let damage = Damage::new("trailer", "its bytes have changed");
        for error in [
            ArchiveError::Damaged { path: path.clone(), damage },
            ArchiveError::NoCompletion { path },
        ] {
            let hint = error.hint().unwrap();
            assert!(hint.contains("another backup") && hint.contains("`--no-backup-check`"));
        }
    }
}
