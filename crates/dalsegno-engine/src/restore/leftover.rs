//! What restores leave beside the live data, and which of it is of use to nobody.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dalsegno_database::{Database, Leftover, Place};

use super::record::{RestoreRecord, records_aside, restores};
use super::undo::remove_if_there;
use crate::backup::fixture_folders;
use crate::{EngineError, Run, Site};

/// Something that lies beside live data under the name of a restore.
#[derive(Debug)]
pub(crate) struct Left {
    /// Where.
    pub(crate) place: Place,
    /// Whether it is a copy that was being made; anything else keeps data.
    pub(crate) unfinished: bool,
    /// The restore, or the beginning of its id.
    restore_id: String,
    beside: Beside,
}

/// What it lies beside.
#[derive(Debug)]
enum Beside {
    Database { alias: String, database: Arc<dyn Database> },
    Storage { alias: String },
    Fixture,
}

impl Left {
    /// The record among these of the restore that left it.
    pub(crate) fn record<'a>(&self, records: &'a [RestoreRecord]) -> Option<&'a RestoreRecord> {
        records
            .iter()
            .find(|r| r.id.to_string() == self.restore_id || r.id.short() == self.restore_id)
    }

    fn file(path: PathBuf, unfinished: bool, beside: Beside) -> Option<Self> {
        let restore_id = restore_id(&path)?.to_owned();
        Some(Self { place: Place::File(path), unfinished, restore_id, beside })
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
    let databases = databases.flat_map(|live| {
        let left = live.database.leftovers().unwrap_or_default();
        left.into_iter().map(move |left| Left {
            place: left.place,
            unfinished: left.unfinished,
            restore_id: left.restore_id,
            beside: Beside::Database {
                alias: live.alias.clone(),
                database: Arc::clone(&live.database),
            },
        })
    });
    let media = site.media_roots();
    let media = media.iter().flat_map(|root| {
        let left = dalsegno_media::leftovers(&root.location).unwrap_or_default();
        left.into_iter().filter_map(|path| {
            let unfinished = dalsegno_media::is_unfinished(&path) && !is_journaled(&path);
            Left::file(path, unfinished, Beside::Storage { alias: root.alias.clone() })
        })
    });
    let mut fixtures = Vec::new();
    for (_, folder) in fixture_folders(site) {
        fixtures_left(&folder, &mut fixtures);
    }
    let mut left: Vec<Left> = databases.chain(media).chain(fixtures).collect();
    left.sort_by_key(|left| left.place.to_string());
    left.dedup_by(|a, b| a.place == b.place);
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
            left.extend(Left::file(path, *role == ".staged", Beside::Fixture));
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
    let aside = records_aside(site).into_iter().map(|path| {
        let removed = remove_file(&path);
        (Place::File(path), removed)
    });
    for (place, removed) in aside.chain(left.map(|left| {
        let removed = remove(&left, run);
        (left.place, removed)
    })) {
        match removed {
            Ok(()) => run.progress.warn(&format!("removed `{place}`, which a killed run left")),
            Err(EngineError::Cancelled) => return Err(EngineError::Cancelled),
            // It takes space and harms nothing; `doctor` goes on naming it.
            Err(error) => run.progress.warn(&error.to_string()),
        }
    }
    Ok(())
}

fn remove(left: &Left, run: Run<'_>) -> Result<(), EngineError> {
    match (&left.beside, &left.place) {
        (Beside::Database { alias, database }, place) => {
            let left = Leftover {
                place: place.clone(),
                restore_id: left.restore_id.clone(),
                unfinished: left.unfinished,
            };
            database.remove_leftover(&left).map_err(EngineError::database(alias))
        }
        (Beside::Storage { alias }, Place::File(path)) if path.is_dir() => {
            let cancelled = || run.cancel.requested();
            dalsegno_media::discard(path, &cancelled).map_err(EngineError::media(alias))
        }
        (_, Place::File(path)) => remove_file(path),
        (_, Place::Server { .. }) => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<(), EngineError> {
    remove_if_there(path).map_err(|e| EngineError::io("remove", path, e))
}
