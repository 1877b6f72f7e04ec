//! Whether a record speaks of this site's own places.

use std::path::{Component, Path, PathBuf};

use dalsegno_database::Place;

use super::record::RestoreRecord;
use crate::backup::fixture_folders;
use crate::{EngineError, Site};

/// Where the filesystem of a place is mounted, as far as it can be told.
pub(super) fn mount_of(place: &Path) -> Option<PathBuf> {
    dalsegno_media::mount_of(place).ok().flatten()
}

impl RestoreRecord {
    /// Refuses to look for traces of the restore while a volume that it worked on is not mounted, or
    /// another is: an empty mount point looks like a restore that had not begun.
    fn check_mounts(&self) -> Result<(), EngineError> {
        let files = self.databases.iter().filter_map(|step| Some((step.live.file()?, &step.mount)));
        let storages = self.storages.iter().map(|step| (step.live.as_path(), &step.mount));
        for (live, then) in files.chain(storages) {
            let now = mount_of(live);
            if let (Some(then), Some(now)) = (then, now)
                && *then != now
            {
                let (path, then) = (live.to_owned(), then.clone());
                return Err(EngineError::OtherMount { path, then, now });
            }
        }
        Ok(())
    }

    /// Refuses a record that names other places than the site's own, or kept data that are not beside
    /// what they were kept from: the folder of records may be written by the site's user, and root
    /// must not be led elsewhere by one. Restores to new places are whoever's wrote the record.
    pub(super) fn check_places(&self, site: &Site) -> Result<(), EngineError> {
        use std::os::unix::fs::MetadataExt;
        let wrong = |place: &Path| {
            let place = Place::File(place.to_owned());
            Err(EngineError::RecordPlaces { path: self.path.clone(), place })
        };
        let owner = self.path.symlink_metadata().map_or(u32::MAX, |m| m.uid());
        if owner != rustix::process::geteuid().as_raw() {
            let known = site.places();
            if let Some(other) = self.lives().into_iter().find(|live| !known.contains(live)) {
                let path = self.path.clone();
                return Err(EngineError::RecordPlaces { path, place: other });
            }
        }
        self.check_mounts()?;
        let short = self.id.short();
        let id = self.id.to_string();
        let folders: Vec<PathBuf> =
            fixture_folders(site).into_iter().map(|(_, folder)| folder).collect();
        for step in &self.fixtures {
            let plain = step.live.components().all(|c| !matches!(c, Component::ParentDir));
            if !plain || !folders.iter().any(|folder| step.live.starts_with(folder)) {
                return wrong(&step.live);
            }
        }
        let fixtures = self.fixtures.iter().filter_map(|step| step.kept.as_deref());
        for path in fixtures.chain(self.present_fixtures.iter().map(PathBuf::as_path)) {
            let inside = folders.iter().any(|folder| path.starts_with(folder));
            if !inside || !is_kept_name(path, &short) {
                return wrong(path);
            }
        }
        for step in &self.storages {
            let kept = step.switched.as_ref().and_then(|s| s.kept.as_deref());
            for path in kept.into_iter().chain(step.present.as_deref()) {
                if !is_kept_name(path, &id) {
                    return wrong(path);
                }
            }
        }
        Ok(())
    }
}

/// Whether a path has a name that a restore of this id gives, and goes up nowhere.
fn is_kept_name(path: &Path, id: &str) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = path.components().all(|c| !matches!(c, Component::ParentDir));
    plain && name.starts_with('.') && name.contains(&format!("dalsegno-{id}."))
}
