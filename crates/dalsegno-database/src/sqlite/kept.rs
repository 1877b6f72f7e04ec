use super::Target;
use super::target::{remove_all, sync_folder};
use crate::Result;

/// Removes everything that the restore of `target` left beside the live database: the staged
/// copy, the kept old one, and what a forced rollback kept. The live database is not touched.
pub fn discard(target: &Target) -> Result<()> {
    for path in [target.staged(), target.part(), target.kept(), target.present()] {
        remove_all(&path)?;
    }
    sync_folder(target.live())
}
