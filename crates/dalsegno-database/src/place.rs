use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a database lies: live, kept or found by a rollback. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Place {
    /// A file on this machine.
    File(PathBuf),
    /// A database, or a schema that stands for one, on a server.
    Server {
        /// `host:port`, or the folder or path of a socket.
        server: String,
        /// Its name there.
        database: String,
    },
}

impl Place {
    /// A file.
    pub fn file_at(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Server { .. } => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server { server, database } => write!(f, "{database} on {server}"),
        }
    }
}
