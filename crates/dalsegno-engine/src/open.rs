//! Opening a backup.

use std::path::Path;

use dalsegno_archive::{Archive, ArchiveError, sidecar};
use dalsegno_format::Form;

use crate::EngineError;

/// Opens a backup. What has a sidecar was one: when it does not begin like one, that is damage and
/// not a wrong path.
pub(crate) fn open(path: &Path) -> Result<Archive, EngineError> {
    Archive::open(path).map_err(|error| not_opened(error, path))
}

/// Opens a backup for a restore: with `check`, it must be whole; without, what is left of it is
/// taken.
pub(crate) fn open_for(path: &Path, check: bool) -> Result<Archive, EngineError> {
    if check {
        return open(path);
    }
    Archive::open_unverified(path).map_err(|error| not_opened(error, path))
}

/// The error of an archive that could not be opened.
pub(crate) fn not_opened(error: ArchiveError, path: &Path) -> EngineError {
    match error {
        ArchiveError::NotAnArchive { .. } if has_sidecar(path) => EngineError::Damaged {
            path: path.to_owned(),
            first: "its beginning is not that of a backup".to_owned(),
            count: 1,
        },
        error => error.into(),
    }
}

fn has_sidecar(path: &Path) -> bool {
    path.is_file() && sidecar::path(path).exists()
}

/// Whether a file name ends as an archive's does.
pub(crate) fn has_archive_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Form::ALL.iter().any(|form| !form.extension().is_empty() && name.ends_with(form.extension()))
}
