//! Threads of this crate: a machine may have none left.

use std::path::Path;
use std::thread::{Builder, JoinHandle};

use crate::ArchiveError;

/// Starts a thread that works on the backup at `path`.
pub(crate) fn start<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, ArchiveError> {
    Builder::new().spawn(work).map_err(ArchiveError::io("start a thread for", path))
}
