//! What goes wrong in a store.

use std::io;
use std::path::{Path, PathBuf};

use dalsegno_format::ErrorKind;

/// A failed store operation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The name cannot be that of an object.
    #[error("`{name}` cannot be the name of a stored object")]
    Name {
        /// The name.
        name: String,
    },
    /// An object of that name exists.
    #[error("`{path}` exists already")]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// No object of that name exists.
    #[error("`{path}` does not exist")]
    Absent {
        /// Where.
        path: PathBuf,
    },
    /// The file system is full.
    #[error("no space left while writing `{path}`")]
    NoSpace {
        /// What was being written.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

impl StoreError {
    /// Wraps the system's answer to an attempt on `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            io::ErrorKind::NotFound => Self::Absent { path },
            _ => Self::Io { action, path, source },
        }
    }

    /// The row of the outcome table.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Name { .. } => ErrorKind::Usage,
            Self::Exists { .. } | Self::NoSpace { .. } => ErrorKind::Refused,
            Self::Absent { .. } => ErrorKind::NotFound,
            Self::Io { .. } => ErrorKind::Failed,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Name { .. } => {
                Some("Use letters, digits and `._-`; do not start with a dot.".to_owned())
            }
            Self::Exists { .. } => {
                Some("Choose another name: nothing existing is overwritten.".to_owned())
            }
            Self::NoSpace { .. } => {
                Some("Free some space, or choose another folder with `--output-dir`.".to_owned())
            }
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some(format!(
                    "Give this user the right to write `{}`, or choose another folder with `--output-dir`.",
                    path.parent().unwrap_or(path).display()
                ))
            }
            Self::Io { .. } | Self::Absent { .. } => None,
        }
    }
}
