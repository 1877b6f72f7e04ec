//! Naming what an error belongs to, and finding out what is at its bottom.

use std::io;
use std::path::Path;

use dalsegno_database::DatabaseError;
use dalsegno_media::MediaError;

use super::EngineError;

impl EngineError {
    /// Wraps the system's answer to an attempt on `path`.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }

    /// Names the database an engine's error belongs to.
    pub(crate) fn database(alias: &str) -> impl FnOnce(DatabaseError) -> Self {
        let alias = alias.to_owned();
        move |source| match source {
            DatabaseError::Cancelled => Self::Cancelled,
            source => Self::Database { alias, source },
        }
    }

    /// Names the storage an error belongs to.
    pub(crate) fn media(alias: &str) -> impl FnOnce(MediaError) -> Self {
        let alias = alias.to_owned();
        move |source| match source {
            MediaError::Cancelled => Self::Cancelled,
            source => Self::Media { alias, source },
        }
    }

    /// Whether the system denied it to this user, somewhere in the chain of causes.
    pub(crate) fn is_denied(&self) -> bool {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = next {
            let io = error.downcast_ref::<io::Error>();
            if io.is_some_and(|e| e.kind() == io::ErrorKind::PermissionDenied) {
                return true;
            }
            next = error.source();
        }
        false
    }
}
