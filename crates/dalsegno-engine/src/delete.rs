//! Deleting a backup.

use std::path::{Path, PathBuf};

use dalsegno_archive::{Archive, sidecar};
use dalsegno_format::tree;
use dalsegno_store::{FolderOptions, LocalFolder, ObjectName, Store};

use crate::EngineError;
use crate::open::has_archive_name;

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
    if !looks_like_a_backup(&absolute) {
        return Err(EngineError::NotABackup { path: path.to_owned() });
    }
    let store = LocalFolder::open(folder, FolderOptions::default())?;
    let Some(name) = name.to_str() else {
        return Err(EngineError::NotABackup { path: path.to_owned() });
    };
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

/// A readable backup, a damaged archive by its name, or a folder with the first member of a tree.
fn looks_like_a_backup(path: &Path) -> bool {
    let (is_file, is_tree) = (path.is_file(), path.join(tree::METADATA).is_file());
    (is_file && has_archive_name(path)) || is_tree || Archive::peek(path).is_ok()
}
