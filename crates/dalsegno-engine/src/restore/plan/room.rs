//! Whether there is space for what a restore stages and keeps, and the right to write it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dalsegno_format::ByteSize;

use super::{RestorePlan, StoragePlan};
use crate::EngineError;
use crate::space::free_space;

/// Bytes that staging and keeping need, by file system.
pub(super) fn require_space(plan: &RestorePlan) -> Result<(), EngineError> {
    use std::os::unix::fs::MetadataExt;
    let mut needed: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    let mut add = |place: &Path, bytes: u64| {
        let existing = place.ancestors().skip(1).find_map(|p| Some((p, p.metadata().ok()?)));
        if let Some((folder, meta)) = existing {
            let sum = &mut needed.entry(meta.dev()).or_insert_with(|| (folder.to_owned(), 0)).1;
            *sum = sum.saturating_add(bytes);
        }
    };
    for database in &plan.databases {
        // What a server needs is its own to tell.
        let Some(file) = database.target.file() else { continue };
        let live = database.target.database.size().unwrap_or(0);
        // The staged copy, the kept old one, and the journal of the switch.
        add(&file, database.bytes + live + live.max(database.bytes));
    }
    for storage in &plan.storages {
        let place = staging_folder(storage)?;
        add(&place.join("staged"), storage.bytes);
    }
    for (folder, bytes) in needed.into_values() {
        match free_space(&folder) {
            Some(free) if free < bytes => {
                return Err(EngineError::NoRoom {
                    folder,
                    needed: ByteSize(bytes),
                    free: ByteSize(free),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether this user may write where the restore will.
pub(super) fn require_rights(plan: &RestorePlan) -> Result<(), EngineError> {
    for database in &plan.databases {
        let file = database.target.file();
        let folder = file.as_deref().and_then(|f| f.ancestors().skip(1).find(|p| p.is_dir()));
        if let Some(folder) = folder.filter(|folder| !may_write(folder)) {
            let what = format!("the folder of database {}", database.target.alias);
            return Err(EngineError::NotWritable { path: folder.to_owned(), what });
        }
    }
    for storage in &plan.storages {
        let folder = staging_folder(storage)?;
        let live = &storage.live.location;
        // Where the folder above cannot be written, the copy is staged inside.
        let inside = live.is_dir() && may_write(live);
        if !inside && !may_write(&folder) {
            let what = format!("the folder of storage {}", storage.alias);
            return Err(EngineError::NotWritable { path: folder, what });
        }
    }
    Ok(())
}

fn may_write(folder: &Path) -> bool {
    let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
    rustix::fs::access(folder, rights).is_ok()
}

/// The folder whose file system takes a storage's staged copy.
fn staging_folder(storage: &StoragePlan) -> Result<PathBuf, EngineError> {
    let target = dalsegno_media::Target::new(&storage.live.location, "plan")
        .map_err(EngineError::media(&storage.alias))?;
    Ok(target.staging_filesystem().to_owned())
}
