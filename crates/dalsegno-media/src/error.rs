//! What can go wrong with a storage's tree.

use std::io;
use std::path::{Path, PathBuf};

use dalsegno_format::ErrorKind;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// A name pattern or glob cannot be read.
    #[error("pattern `{pattern}` cannot be read: {reason}")]
    Pattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The storage's folder does not exist.
    #[error("the media folder `{path}` does not exist")]
    RootMissing {
        /// The folder.
        path: PathBuf,
    },
    /// The storage's root is something else than a folder.
    #[error("the media root `{path}` is not a folder")]
    RootNotFolder {
        /// The root.
        path: PathBuf,
    },
    /// Neither the storage's folder nor the folder above it exist.
    #[error("the folder `{path}`, in which the media folder lies, does not exist")]
    ParentMissing {
        /// The folder above the storage's root.
        path: PathBuf,
    },
    /// Another filesystem is mounted below the storage's root.
    #[error("another filesystem is mounted at `{mounted}` inside the media folder `{root}`")]
    MountInside {
        /// The storage's root.
        root: PathBuf,
        /// Where the other filesystem is mounted.
        mounted: PathBuf,
    },
    /// A system call failed.
    #[error("cannot {attempt} `{path}`")]
    Io {
        /// What was attempted, as a verb.
        attempt: &'static str,
        /// The object of the attempt.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Members do not come in the order of their paths, or one comes twice.
    #[error("`{path}` comes twice or out of order")]
    Order {
        /// The path of the member, below the root.
        path: String,
    },
    /// A member lies in a folder that did not come before it.
    #[error("the folder of `{path}` did not come before it")]
    NoFolder {
        /// The path of the member, below the root.
        path: String,
    },
    /// A member has a name that this program gives to its own folders.
    #[error("`{path}` has a name kept for unfinished restores")]
    ReservedName {
        /// The path of the member, below the root.
        path: String,
    },
    /// The content of a member is longer or shorter than its entry says.
    #[error("the content of `{path}` is not as long as announced, {expected} bytes of data")]
    Length {
        /// The path of the member, below the root.
        path: String,
        /// Bytes of data that the entry announces.
        expected: u64,
    },
    /// A hard link names something that is no file restored before it.
    #[error("the hard link `{path}` names `{target}`, which is no file that came before it")]
    LinkTarget {
        /// The path of the link, below the root.
        path: String,
        /// The path it names.
        target: String,
    },
    /// An entry was handed to a call made for another kind of entry.
    #[error("`{path}` is not {expected}")]
    EntryKind {
        /// The path of the member, below the root.
        path: String,
        /// What the call takes.
        expected: &'static str,
    },
    /// What a former run left stands in the way.
    #[error("`{path}` is left from an unfinished restore")]
    Leftover {
        /// The folder or file.
        path: PathBuf,
    },
    /// A folder to be removed does not carry a name that this program gives.
    #[error("`{path}` is not a copy kept by a restore")]
    NotKept {
        /// The folder.
        path: PathBuf,
    },
    /// The kept old copy is gone.
    #[error("the kept copy `{path}` does not exist")]
    KeptMissing {
        /// The folder.
        path: PathBuf,
    },
    /// The live tree was written to since the restore that is to be rolled back.
    #[error("the media folder `{root}` was written to since the restore, first at `{first}`")]
    ChangedSince {
        /// The live root.
        root: PathBuf,
        /// The first such path below it, as text.
        first: String,
    },
    /// The journal of a switch cannot be read, or what lies on disk does not fit it.
    #[error("the journal `{path}` does not fit what lies on disk: {reason}")]
    Journal {
        /// The journal.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The operator asked to stop.
    #[error("cancelled")]
    Cancelled,
}

impl MediaError {
    /// What the error means for the outcome of a run.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Pattern { .. } => ErrorKind::Usage,
            Self::MountInside { .. }
            | Self::Leftover { .. }
            | Self::NotKept { .. }
            | Self::ChangedSince { .. } => ErrorKind::Refused,
            Self::Io { source, .. } if out_of_space(source) => ErrorKind::Refused,
            Self::Order { .. }
            | Self::NoFolder { .. }
            | Self::ReservedName { .. }
            | Self::Length { .. }
            | Self::LinkTarget { .. } => ErrorKind::Damaged,
            Self::KeptMissing { .. } => ErrorKind::NotFound,
            Self::Cancelled => ErrorKind::Cancelled,
            _ => ErrorKind::Failed,
        }
    }

    /// The next thing to do, where one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Pattern { .. } => Some(
                "Write patterns as in `*.tmp` or `cache/*`; `[!a-z]` and `{a,b}` work too.".into(),
            ),
            Self::RootMissing { path } => Some(format!(
                "Check MEDIA_ROOT, or create the folder: `mkdir -p {}`.",
                path.display()
            )),
            Self::RootNotFolder { .. } => Some("Check MEDIA_ROOT.".into()),
            Self::ParentMissing { path } => {
                Some(format!("Create it first: `mkdir -p {}`.", path.display()))
            }
            Self::MountInside { mounted, .. } => Some(format!(
                "Unmount `{}` for the restore, or restore elsewhere with `--to-media`.",
                mounted.display()
            )),
            Self::Io { source, path, .. } => io_hint(source, path),
            Self::Order { .. }
            | Self::NoFolder { .. }
            | Self::ReservedName { .. }
            | Self::Length { .. }
            | Self::LinkTarget { .. } => Some(
                "The backup is damaged or was tampered with; run `verify` and take another.".into(),
            ),
            Self::Leftover { .. } => {
                Some("Finish or undo that restore first; `doctor` lists what is left.".into())
            }
            Self::ChangedSince { .. } => Some(
                "Roll back with `--force`: what is live now is then kept beside the live folder."
                    .into(),
            ),
            _ => None,
        }
    }
}

fn out_of_space(source: &io::Error) -> bool {
    matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn io_hint(source: &io::Error, path: &Path) -> Option<String> {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Some(format!("Free space on the filesystem of `{}`.", path.display()))
        }
        io::ErrorKind::PermissionDenied => Some(format!(
            "Run as the owner of `{}` or as root, or give this user the right to write there.",
            path.display()
        )),
        io::ErrorKind::ReadOnlyFilesystem => {
            Some(format!("The filesystem of `{}` is mounted read-only.", path.display()))
        }
        _ => None,
    }
}

/// Names the attempt and the object of a failed call.
pub(crate) fn io_error<E: Into<io::Error>>(
    attempt: &'static str,
    path: impl AsRef<Path>,
) -> impl FnOnce(E) -> MediaError {
    let path = path.as_ref().to_path_buf();
    move |source| MediaError::Io { attempt, path, source: source.into() }
}
