//! Lists too long for memory.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::EngineError;

/// A file in `folder` that has no name any more: mode 0600, gone when it is closed or the process
/// dies.
pub(crate) fn unlinked(folder: &Path) -> Result<File, EngineError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).expect("the kernel gives random numbers");
    let path = folder.join(format!(".spool-{}", dalsegno_format::hex(&random)));
    let file =
        OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| EngineError::Store(dalsegno_store::StoreError::io("create", &path, e)))?;
    fs::remove_file(&path).map_err(|e| EngineError::io("unlink", &path, e))?;
    Ok(file)
}
