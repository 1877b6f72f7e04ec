//! What a restore would do. Making a plan changes nothing.

mod databases;
mod obstacle;
mod room;
mod storages;

use std::path::{Path, PathBuf};

use dalsegno_archive::{Archive, Check};
use dalsegno_database::{Captured, Place, SwitchPlan};
use dalsegno_format::{BackupId, Manifest};
use dalsegno_media::{Changes, Selection};

pub(crate) use storages::below;

use super::request::RestoreRequest;
use crate::compatibility::MigrationGap;
use crate::open::open_for;
use crate::run::Run;
use crate::site::{LiveDatabase, MediaRoot};
use crate::watched::watched;
use crate::{EngineError, Site, workers};

/// What a restore would do, ready to be shown and applied.
#[derive(Debug)]
pub struct RestorePlan {
    /// Id of the restore.
    pub id: BackupId,
    /// The request it answers.
    pub request: RestoreRequest,
    /// The backup's manifest.
    pub manifest: Manifest,
    /// Databases, in the order in which they are switched.
    pub databases: Vec<DatabasePlan>,
    /// Storages, in the order in which they are switched.
    pub storages: Vec<StoragePlan>,
    /// Project fixtures.
    pub fixtures: Vec<FixturePlan>,
    /// What the operator should know before saying yes.
    pub notes: Vec<String>,
    /// The other project's name, when the backup is not of this one.
    pub other_project: Option<String>,
    pub(crate) skip: Vec<(u64, u64)>,
}

/// What becomes of one database.
#[derive(Debug)]
pub struct DatabasePlan {
    /// Alias in the backup.
    pub source: String,
    /// Where it goes.
    pub target: LiveDatabase,
    /// Whether there is something to replace.
    pub exists: bool,
    /// Whether it goes to a new place instead of the live one.
    pub elsewhere: bool,
    /// Bytes of the backup's database.
    pub bytes: u64,
    /// Tables now and after.
    pub tables: Vec<TablePlan>,
    /// Migrations against the code.
    pub gap: Option<MigrationGap>,
    /// How it is put in place.
    pub way: SwitchPlan,
    pub(crate) captured: Captured,
}

/// Rows of one table now and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePlan {
    /// Name of the table.
    pub name: String,
    /// Rows now; `None` when it does not exist or cannot be counted.
    pub now: Option<u64>,
    /// Rows after; `None` when it will not exist or could not be counted.
    pub after: Option<u64>,
}

/// What becomes of one storage.
#[derive(Debug)]
pub struct StoragePlan {
    /// Alias in the backup and in the project.
    pub alias: String,
    /// Where it goes.
    pub live: MediaRoot,
    /// Whether it goes to a new place instead of the live one.
    pub elsewhere: bool,
    /// Bytes of the backup's files.
    pub bytes: u64,
    /// Files added, replaced, removed, carried over.
    pub changes: Changes,
    pub(crate) selection: Selection,
}

/// What becomes of one folder of fixtures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixturePlan {
    /// Its name below `fixtures/`.
    pub name: String,
    /// Where it goes.
    pub folder: PathBuf,
}

impl RestorePlan {
    /// What the restore will replace.
    pub(crate) fn lives(&self) -> Vec<Place> {
        let databases = self.databases.iter().map(|d| d.target.place());
        let storages = self.storages.iter().map(|s| Place::File(s.live.location.clone()));
        databases.chain(storages).collect()
    }
}

/// Plans a restore: reads the manifest and compares it with the live project. With `dry_run` the
/// whole backup is verified too; otherwise staging does that. A dry run also ends as the restore would
/// where another process is in its way.
pub fn plan_restore(
    site: &Site,
    request: &RestoreRequest,
    run: Run<'_>,
) -> Result<RestorePlan, EngineError> {
    refuse_what_cannot_be_done(request)?;
    let archive = open_for(&request.source, request.check)?;
    if request.dry_run && request.check {
        verify(&archive, run)?;
    }
    let manifest = archive.manifest().clone();
    let other_project = other_project(site, &manifest, request)?;
    let mut plan = RestorePlan {
        id: run.new_id(),
        request: request.clone(),
        manifest,
        databases: Vec::new(),
        storages: Vec::new(),
        fixtures: Vec::new(),
        notes: Vec::new(),
        other_project,
        skip: site.own_folders(),
    };
    if !request.check {
        plan.notes.push(
            "unverified: checksums, sizes and the completion marker are not checked".to_owned(),
        );
    }
    if archive.end_is_missing() {
        plan.notes.push("its end is missing: what is left of it is restored".to_owned());
    } else if plan.manifest.completion.outcome == dalsegno_format::Outcome::Partial {
        plan.notes.push("the backup is partial: `dalsegno show` names what it lacks".to_owned());
    }
    databases::plan_databases(site, &mut plan)?;
    storages::plan_storages(site, &archive, &mut plan, run)?;
    storages::plan_fixtures(site, &mut plan);
    if plan.databases.is_empty() && plan.storages.is_empty() && plan.fixtures.is_empty() {
        return Err(EngineError::Request {
            problem: "there is nothing to restore".to_owned(),
            hint: Some("`dalsegno show` tells what the backup holds.".to_owned()),
        });
    }
    room::require_space(&plan)?;
    room::require_rights(&plan)?;
    if request.dry_run {
        obstacle::look_ahead(site, &mut plan, run)?;
    }
    Ok(plan)
}

fn refuse_what_cannot_be_done(request: &RestoreRequest) -> Result<(), EngineError> {
    let problem = match request {
        r if r.skip_database && (r.database.is_some() || r.to_database.is_some()) => {
            "`--skip-database` contradicts `--database` and `--to-database`"
        }
        r if r.skip_media && r.to_media.is_some() => "`--skip-media` contradicts `--to-media`",
        r if r.database.is_some() && r.to_database.is_some() => {
            "`--database` and `--to-database` name two targets"
        }
        _ => return Ok(()),
    };
    Err(EngineError::Request { problem: problem.to_owned(), hint: None })
}

fn verify(archive: &Archive, run: Run<'_>) -> Result<(), EngineError> {
    run.progress.stage("verifying the backup", Some(archive.stored_bytes()));
    watched(run, |watch| archive.read(Check::Full, workers(), watch, &mut |_| Ok(())))
        .map_err(crate::restore::stage::read_error)?;
    Ok(())
}

fn other_project(
    site: &Site,
    manifest: &Manifest,
    request: &RestoreRequest,
) -> Result<Option<String>, EngineError> {
    let (theirs, ours) = (&manifest.metadata.project, site.identity());
    let modules = theirs.settings_module.as_ref().zip(ours.settings_module.as_ref());
    let same = theirs.name == ours.name && modules.is_none_or(|(theirs, ours)| theirs == ours);
    if same {
        return Ok(None);
    }
    let theirs = format!("{} (on {})", theirs.name, manifest.metadata.host.name);
    if request.other_project {
        Ok(Some(theirs))
    } else {
        Err(EngineError::OtherProject { theirs, ours: ours.name })
    }
}

pub(super) fn require_absent(path: &Path) -> Result<(), EngineError> {
    if path.symlink_metadata().is_ok() {
        return Err(dalsegno_store::StoreError::Exists { path: path.to_owned() }.into());
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    if folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(EngineError::Request {
            problem: format!("the folder of `{}` does not exist", path.display()),
            hint: Some("Make it first.".to_owned()),
        });
    }
    Ok(())
}
