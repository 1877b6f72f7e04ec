//! What killed backups and deletions left in a folder of backups.

use std::io::ErrorKind;
use std::path::Path;

use dalsegno_archive::sidecar;
use dalsegno_format::Form;
use dalsegno_store::{FolderOptions, LocalFolder, ObjectName, Store, StoreError, sweep};

use crate::{EngineError, Run};

/// Removes what is provably a dead process', and says so; what may be a living one's stays. A backup
/// that was published when its process died is whole: it gets the sidecar that it lacks.
pub(crate) fn clear(
    folder: &Path,
    options: FolderOptions,
    run: Run<'_>,
) -> Result<(), EngineError> {
    let swept = match sweep(folder) {
        // One may write into a folder that one may not list.
        Err(StoreError::Io { source, .. }) if source.kind() == ErrorKind::PermissionDenied => {
            return Ok(());
        }
        swept => swept?,
    };
    // A claim that stood beside it is not worth a word.
    for left in swept.removed.iter().filter(|left| left.object.is_some()) {
        let published = left.object.as_ref().filter(|object| is_archive(folder, object));
        let told = match published {
            // It is missed by nobody but `list`, which reads the archive then.
            Some(object) => complete(folder, object, options)
                .unwrap_or_else(|error| Some(format!("a sidecar was not written: {error}"))),
            None => None,
        };
        run.progress.warn(&told.unwrap_or_else(|| {
            format!("removed `{}`, which a killed run left", left.path.display())
        }));
    }
    for error in &swept.failed {
        run.progress.warn(&format!("what a killed run left stays there: {error}"));
    }
    Ok(())
}

fn is_archive(folder: &Path, object: &ObjectName) -> bool {
    let ends =
        |form: &Form| !form.extension().is_empty() && object.as_str().ends_with(form.extension());
    Form::ALL.iter().any(ends) && folder.join(object.as_str()).is_file()
}

/// Writes the sidecar that a killed backup did not come to; `None` when it has one, or is unreadable.
fn complete(
    folder: &Path,
    object: &ObjectName,
    options: FolderOptions,
) -> Result<Option<String>, EngineError> {
    let archive = folder.join(object.as_str());
    let beside = sidecar::path(Path::new(object.as_str()));
    let beside = ObjectName::new(beside.to_string_lossy())?;
    let store = LocalFolder::open(folder, options)?;
    if store.contains(&beside) {
        return Ok(None);
    }
    let Ok(bytes) = sidecar::bytes(&archive) else { return Ok(None) };
    store.put(&beside, &mut bytes.as_slice())?;
    Ok(Some(format!(
        "backup `{}` was published by a run that was killed then; it is whole, and its sidecar is \
         written now",
        archive.display()
    )))
}
