//! Deleting a backup.

use std::path::{Path, PathBuf};

use dalsegno_archive::sidecar;
use dalsegno_store::{FolderOptions, LocalFolder, ObjectName, Store};

use crate::EngineError;

/// Removes a backup and its sidecar; returns what was removed.
///
/// The archive goes first: a crash in between leaves a sidecar without an archive, which nothing
/// takes for a backup, never an archive that lost its name half-way.
pub fn delete(path: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let absolute = std::path::absolute(path).map_err(|e| EngineError::io("find", path, e))?;
    let (Some(folder), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(EngineError::Request {
            problem: format!("`{}` is no backup", path.display()),
            hint: None,
        });
    };
    let store = LocalFolder::open(folder, FolderOptions::default())?;
    let mut removed = Vec::new();
    let beside = sidecar::path(Path::new(name));
    for object in [Path::new(name), beside.as_path()] {
        let object = ObjectName::new(object.to_string_lossy())?;
        if store.contains(&object) {
            store.delete(&object)?;
            removed.push(store.path(&object));
        }
    }
    Ok(removed)
}
