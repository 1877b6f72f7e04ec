//! Where a backup is built and published.

use std::io;
use std::path::{Path, PathBuf};

use dalsegno_archive::{Written, sidecar};
use dalsegno_format::{BackupId, Form, backup_name, is_backup_name};
use dalsegno_store::{
    FolderOptions, Hold, LocalFolder, ObjectName, Staged, Store, StoreError, set_folder_mode,
};
use jiff::Zoned;

use super::BackupReport;
use super::request::{BackupRequest, Scope};
use crate::step::step;
use crate::{EngineError, Run, Site};

/// A name reserved in a folder of backups.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) id: BackupId,
    /// File name without extension: the top folder of the tree.
    pub(crate) stem: String,
    pub(crate) form: Form,
    /// When the backup began, in the project's zone.
    pub(crate) begun: Zoned,
    pub(crate) file_mode: u32,
    folder: PathBuf,
    store: LocalFolder,
    object: ObjectName,
    staged: Staged,
    _claim: Option<Hold>,
}

impl Output {
    pub(crate) fn reserve(
        site: &Site,
        request: &BackupRequest,
        scope: &Scope,
        run: Run<'_>,
    ) -> Result<Self, EngineError> {
        let settings = site.settings();
        let folder = request.output_dir.clone().unwrap_or_else(|| settings.dir.clone());
        let folder =
            std::path::absolute(&folder).map_err(|e| EngineError::io("find", &folder, e))?;
        let options = FolderOptions { file_mode: settings.file_permissions, folder_mode: 0o750 };
        let store = LocalFolder::open(&folder, options).map_err(|e| not_writable(e, &folder))?;
        let rights = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        if rustix::fs::access(&folder, rights).is_err() {
            return Err(EngineError::OutputNotWritable { path: folder });
        }
        super::clear(&folder, options, run)?;
        let begun = run.local_now(site.time_zone());
        let (stem, object, claim) =
            name(&store, request, scope.form, &begun).map_err(|error| denied(error, &folder))?;
        let staged = store.stage(&object).map_err(|error| not_writable(error, &folder))?;
        Ok(Self {
            id: run.new_id(),
            stem,
            form: scope.form,
            begun,
            file_mode: settings.file_permissions,
            folder,
            store,
            object,
            staged,
            _claim: claim,
        })
    }

    /// The folder the backup is written into: spools go there too.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where to build the archive.
    pub(crate) fn staged(&self) -> &Path {
        self.staged.path()
    }

    /// Gives the finished archive its name; then writes the sidecar, which can be rebuilt.
    pub(crate) fn publish(
        mut self,
        written: Written,
        run: Run<'_>,
    ) -> Result<BackupReport, EngineError> {
        if self.form == Form::Folder {
            // Modes do not count as content: the group may read the folder, nobody else.
            set_folder_mode(self.staged.path(), 0o750)?;
        }
        step("publish");
        let path = self.store.publish(&mut self.staged, &self.object)?;
        step("published");
        if self.form != Form::Folder {
            let beside = sidecar::path(Path::new(self.object.as_str()));
            let beside = ObjectName::new(beside.to_string_lossy())?;
            // One without its archive is nobody's: a crash while deleting left it. A sidecar that
            // cannot be written is missed by nobody but `list`, which reads the archive then.
            let mut bytes = written.manifest_bytes.as_slice();
            let put = self.store.delete(&beside).and_then(|()| self.store.put(&beside, &mut bytes));
            if let Err(error) = put {
                run.progress.warn(&format!("the sidecar was not written: {error}"));
            }
        }
        Ok(BackupReport {
            path,
            form: self.form,
            manifest: written.manifest,
            stored_bytes: written.stored_bytes,
            recovered: Vec::new(),
        })
    }
}

fn not_writable(error: StoreError, folder: &Path) -> EngineError {
    match error {
        StoreError::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
            EngineError::OutputNotWritable { path: folder.to_owned() }
        }
        error => error.into(),
    }
}

fn denied(error: EngineError, folder: &Path) -> EngineError {
    match error {
        EngineError::Store(error) => not_writable(error, folder),
        error => error,
    }
}

fn name(
    store: &LocalFolder,
    request: &BackupRequest,
    form: Form,
    begun: &Zoned,
) -> Result<(String, ObjectName, Option<Hold>), EngineError> {
    let object = |stem: &str, form: Form| ObjectName::new(format!("{stem}{}", form.extension()));
    if let Some(wanted) = &request.filename {
        let ending = form.extension();
        let stem = wanted.strip_suffix(ending).filter(|s| !s.is_empty()).unwrap_or(wanted);
        if !is_backup_name(stem) {
            return Err(EngineError::Request {
                problem: format!("`{wanted}` cannot be the name of a backup"),
                hint: Some(
                    "Use letters, digits and `._-`, no `/`; `--output-dir` chooses the folder."
                        .to_owned(),
                ),
            });
        }
        let object = object(stem, form)?;
        if store.contains(&object) {
            return Err(StoreError::Exists { path: store.path(&object) }.into());
        }
        return Ok((stem.to_owned(), object, None));
    }
    for attempt in 1.. {
        let stem = backup_name(begun.datetime(), attempt);
        // Two may begin in the same second.
        let Some(claim) = store.claim(&stem)? else { continue };
        let mut taken = false;
        for form in Form::ALL {
            taken |= store.contains(&object(&stem, form)?);
        }
        if !taken {
            let object = object(&stem, form)?;
            return Ok((stem, object, Some(claim)));
        }
    }
    unreachable!("there are more numbers than backups of one second")
}
