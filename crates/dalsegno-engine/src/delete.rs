//! Deleting a backup.

use std::path::{Path, PathBuf};

use dalsegno_archive::{Archive, sidecar};
use dalsegno_format::tree;
use dalsegno_store::{FolderOptions, LocalFolder, ObjectName, Store};

use crate::backup::clear;
use crate::open::has_archive_name;
use crate::step::step;
use crate::{EngineError, Run};

/// Removes a backup and its sidecar; returns what was removed. What killed runs left in its folder
/// goes too.
///
/// The sidecar goes first: a crash in between leaves a whole backup without one. Of a backup whose
/// removal began nothing has its name any more.
pub fn delete(path: &Path, run: Run<'_>) -> Result<Vec<PathBuf>, EngineError> {
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
    clear(folder, FolderOptions::default(), run)?;
    let Some(name) = name.to_str() else {
        return Err(EngineError::NotABackup { path: path.to_owned() });
    };
    let mut removed = Vec::new();
    let beside = sidecar::path(Path::new(name));
    for object in [beside.as_path(), Path::new(name)] {
        let object = ObjectName::new(object.to_string_lossy())?;
        if store.contains(&object) {
            store.delete(&object)?;
            removed.insert(0, store.path(&object));
            step("deleted");
        }
    }
    Ok(removed)
}

/// A readable backup, a damaged archive by its name, or a folder with the first member of a tree.
fn looks_like_a_backup(path: &Path) -> bool {
    let (is_file, is_tree) = (path.is_file(), path.join(tree::METADATA).is_file());
    (is_file && has_archive_name(path)) || is_tree || Archive::peek(path).is_ok()
}
