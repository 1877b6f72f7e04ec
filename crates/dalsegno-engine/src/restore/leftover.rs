//! What restores leave beside the live data, and which of it is of use to nobody.

use std::fs;
use std::path::{Path, PathBuf};

use dalsegno_database::sqlite;

use super::record::{RestoreRecord, records_aside, restores};
use super::undo::remove_if_there;
use crate::backup::fixture_folders;
use crate::{EngineError, Run, Site};

/// Something that lies beside live data under the name of a restore.
#[derive(Debug)]
pub(crate) struct Left {
    /// Where.
    pub(crate) path: PathBuf,
    /// Whether it is a copy that was being made; anything else keeps data.
    pub(crate) unfinished: bool,
    /// Of a storage, its alias.
    alias: Option<String>,
}

impl Left {
    /// The record among these of the restore that left it.
    pub(crate) fn record<'a>(&self, records: &'a [RestoreRecord]) -> Option<&'a RestoreRecord> {
        let id = restore_id(&self.path)?;
        records.iter().find(|r| r.id.to_string() == id || r.id.short() == id)
    }
}

/// The id in `.NAME.dalsegno-ID.ROLE`; of fixtures its last part.
fn restore_id(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let (_, rest) = name.rsplit_once(".dalsegno-")?;
    rest.split('.').next()
}

/// Everything that restores left beside the site's databases, media and fixtures, sorted.
pub(crate) fn left(site: &Site) -> Vec<Left> {
    let aliases = site.aliases();
    let databases = aliases.iter().filter_map(|alias| site.database(alias, "restore").ok());
    let databases = databases.flat_map(|d| sqlite::leftovers(&d.path).unwrap_or_default());
    let databases = databases.map(|path| {
        let name = path.to_string_lossy();
        let name = ["-wal", "-shm", "-journal"].iter().find_map(|e| name.strip_suffix(e));
        let name = name.map_or_else(|| path.to_string_lossy().into_owned(), str::to_owned);
        Left {
            unfinished: name.ends_with(".staged") || name.ends_with(".kept.part"),
            path,
            alias: None,
        }
    });
    let media = site.media_roots();
    let media = media.iter().flat_map(|root| {
        let left = dalsegno_media::leftovers(&root.location).unwrap_or_default();
        left.into_iter().map(|path| Left {
            unfinished: dalsegno_media::is_unfinished(&path) && !is_journaled(&path),
            path,
            alias: Some(root.alias.clone()),
        })
    });
    let mut fixtures = Vec::new();
    for (_, folder) in fixture_folders(site) {
        fixtures_left(&folder, &mut fixtures);
    }
    let mut left: Vec<Left> = databases.chain(media).chain(fixtures).collect();
    left.sort_by(|a, b| a.path.cmp(&b.path));
    left.dedup_by(|a, b| a.path == b.path);
    left
}

/// Whether a journal speaks of what is staged: half of it may be the site's own old files.
fn is_journaled(staged: &Path) -> bool {
    let journal = staged.with_extension("journal");
    staged.extension().is_some_and(|role| role == "staged") && journal.symlink_metadata().is_ok()
}

/// Fixture files are staged and kept in whatever folder they lie.
fn fixtures_left(folder: &Path, left: &mut Vec<Left>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            fixtures_left(&path, left);
            continue;
        }
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = name.starts_with('.') && restore_id(&path).is_some();
        let role = [".staged", ".kept", ".present"].iter().find(|role| name.ends_with(*role));
        if let (true, Some(role)) = (ours, role) {
            left.push(Left { unfinished: *role == ".staged", path, alias: None });
        }
    }
}

/// Removes what killed processes left of records and of restores that are over: nobody goes on with
/// it. What keeps data stays, and so does what has no record here, since a restore with another
/// `BACKUP_ROOT` may be working on it. The caller holds the lock.
pub(super) fn clear(site: &Site, run: Run<'_>) -> Result<(), EngineError> {
    let over: Vec<RestoreRecord> =
        restores(site)?.into_iter().filter(|r| r.is_of(site) && r.is_over()).collect();
    let left = left(site).into_iter();
    let left = left.filter(|l| l.unfinished && l.record(&over).is_some());
    let left = left.map(|l| (l.path, l.alias));
    let aside = records_aside(site).into_iter().map(|path| (path, None));
    for (path, alias) in aside.chain(left) {
        let shown = path.display();
        match remove(&path, alias.as_deref(), run) {
            Ok(()) => run.progress.warn(&format!("removed `{shown}`, which a killed run left")),
            Err(EngineError::Cancelled) => return Err(EngineError::Cancelled),
            // It takes space and harms nothing; `doctor` goes on naming it.
            Err(error) => run.progress.warn(&error.to_string()),
        }
    }
    Ok(())
}

fn remove(path: &Path, storage: Option<&str>, run: Run<'_>) -> Result<(), EngineError> {
    if let (Some(alias), true) = (storage, path.is_dir()) {
        let cancelled = || run.cancel.requested();
        return dalsegno_media::discard(path, &cancelled).map_err(EngineError::media(alias));
    }
    remove_if_there(path).map_err(|e| EngineError::io("remove", path, e))
}
