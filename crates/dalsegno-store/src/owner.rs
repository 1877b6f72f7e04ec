//! Whose the files are that root creates.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::StoreError;

/// The owner that new files in a folder get.
///
/// Root's cron job and a site that runs as `www-data` share one folder: what root creates there
/// must be the site's, or the site cannot read its own backups. Anybody else keeps their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Files belong to who creates them.
    Creator,
    /// Files are given to this user and group (by root).
    Given {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
}

impl Owner {
    /// The owner of `folder`, when root runs this and the folder is somebody else's.
    pub fn of(folder: &Path) -> Result<Self, StoreError> {
        if !rustix::process::geteuid().is_root() {
            return Ok(Self::Creator);
        }
        let meta = fs::metadata(folder).map_err(|e| StoreError::io("read", folder, e))?;
        Ok(match (meta.uid(), meta.gid()) {
            (0, _) => Self::Creator,
            (uid, gid) => Self::Given { uid, gid },
        })
    }

    /// Gives `path` (not what a link points at) to this owner.
    pub fn apply(self, path: &Path) -> Result<(), StoreError> {
        let Self::Given { uid, gid } = self else { return Ok(()) };
        std::os::unix::fs::lchown(path, Some(uid), Some(gid))
            .map_err(|e| StoreError::io("change the owner of", path, e))
    }
}

/// Makes a folder and its missing parents with `mode`; each belongs to the owner of the nearest
/// folder that was there before. Durable when it returns.
pub fn create_folders(folder: &Path, mode: u32) -> Result<(), StoreError> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = folder;
    while !at.is_dir() {
        missing.push(at.to_owned());
        match at.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => at = parent,
            _ => break,
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let owner = Owner::of(if at.is_dir() { at } else { Path::new(".") })?;
    for path in missing.into_iter().rev() {
        match DirBuilder::new().mode(mode).create(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists || !path.is_dir() => {
                return Err(StoreError::io("create folder", &path, e));
            }
            _ => owner.apply(&path)?,
        }
        if let Some(parent) = path.parent() {
            sync_folder(parent)?;
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(|e| StoreError::io("make durable", folder, e))
}
