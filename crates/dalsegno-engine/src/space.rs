//! Free space, before work begins.

use std::path::{Path, PathBuf};

use dalsegno_format::ByteSize;

use crate::EngineError;

/// Bytes an unprivileged user may still write where `path`, or its nearest existing parent, lies.
pub fn free_space(path: &Path) -> Option<u64> {
    let mut at: PathBuf = path.to_owned();
    loop {
        if let Ok(stat) = rustix::fs::statvfs(&at) {
            return Some(stat.f_bavail.saturating_mul(stat.f_frsize));
        }
        if !at.pop() {
            return None;
        }
    }
}

/// Refuses when fewer than `needed` bytes are free in `folder`.
pub(crate) fn require(folder: &Path, needed: u64) -> Result<(), EngineError> {
    match free_space(folder) {
        Some(free) if free < needed => Err(EngineError::NoSpace {
            folder: folder.to_owned(),
            needed: ByteSize(needed),
            free: ByteSize(free),
        }),
        _ => Ok(()),
    }
}
