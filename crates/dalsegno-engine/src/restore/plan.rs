//! What a restore would do. Making a plan changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dalsegno_archive::{Archive, Check, Watch};
use dalsegno_database::sqlite;
use dalsegno_format::{BackupId, ByteSize, Entry, Manifest, TableRows, TreePath, tree};
use dalsegno_media::{Changes, Selection};

use super::request::RestoreRequest;
use crate::backup::{BUSY_TIMEOUT, fixture_folders};
use crate::compatibility::{self, MigrationGap};
use crate::open::open_for;
use crate::run::Run;
use crate::site::{LiveDatabase, MediaRoot};
use crate::space::free_space;
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
    pub(crate) expected: Vec<TableRows>,
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
    pub(crate) fn lives(&self) -> Vec<PathBuf> {
        let databases = self.databases.iter().map(|d| d.target.path.clone());
        databases.chain(self.storages.iter().map(|s| s.live.location.clone())).collect()
    }
}

/// Plans a restore: reads the manifest and compares it with the live project. With `dry_run` the
/// whole backup is verified too; otherwise staging does that.
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
    plan_databases(site, &mut plan)?;
    plan_storages(site, &archive, &mut plan, run)?;
    plan_fixtures(site, &mut plan);
    if plan.databases.is_empty() && plan.storages.is_empty() && plan.fixtures.is_empty() {
        return Err(EngineError::Request {
            problem: "there is nothing to restore".to_owned(),
            hint: Some("`dalsegno show` tells what the backup holds.".to_owned()),
        });
    }
    require_space(&plan)?;
    require_rights(&plan)?;
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
    let mut seen = 0;
    let mut progress = |p: dalsegno_archive::Progress| {
        run.progress.advance(p.stored.saturating_sub(seen));
        seen = seen.max(p.stored);
    };
    let cancelled = || run.cancel.requested();
    let mut watch = Watch { progress: &mut progress, cancelled: &cancelled };
    archive
        .read(Check::Full, workers(), &mut watch, &mut |_| Ok(()))
        .map_err(super::stage::read_error)?;
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

fn plan_databases(site: &Site, plan: &mut RestorePlan) -> Result<(), EngineError> {
    let request = plan.request.clone();
    if request.to_media.is_some() && request.to_database.is_none() {
        plan.notes.push("databases are left as they are: only `--to-media` was given".to_owned());
        return Ok(());
    }
    let held: Vec<String> = plan.manifest.metadata.databases.keys().cloned().collect();
    if request.skip_database {
        return Ok(());
    }
    if held.is_empty() {
        if let Some(wanted) = request.database.or(request.from_database) {
            return Err(EngineError::NotInBackup { wanted, holds: vec!["no database".to_owned()] });
        }
        plan.notes.push("the backup holds no database".to_owned());
        return Ok(());
    }
    for (source, alias) in pairs(&request, &held)? {
        let database = plan_database(site, plan, &source, &alias)?;
        plan.databases.push(database);
    }
    let gaps = plan.databases.iter().filter_map(|d| d.gap.as_ref());
    let unknown: Vec<String> = gaps.clone().flat_map(|g| g.unknown.clone()).collect();
    let missing: Vec<String> = gaps.flat_map(|g| g.missing.clone()).collect();
    if !unknown.is_empty() {
        return Err(EngineError::NewerBackup { migrations: unknown });
    }
    if !missing.is_empty() {
        if !request.no_migrate {
            return Err(EngineError::OlderBackup { migrations: missing });
        }
        plan.notes.push(format!(
            "the backup is older than the code: run `manage.py migrate` afterwards ({})",
            missing.join(", ")
        ));
    }
    Ok(())
}

/// Which database of the backup goes to which alias.
fn pairs(request: &RestoreRequest, held: &[String]) -> Result<Vec<(String, String)>, EngineError> {
    if let Some(source) = &request.from_database
        && !held.contains(source)
    {
        return Err(EngineError::NotInBackup { wanted: source.clone(), holds: held.to_vec() });
    }
    if request.database.is_none()
        && request.to_database.is_none()
        && request.from_database.is_none()
    {
        return Ok(held.iter().map(|alias| (alias.clone(), alias.clone())).collect());
    }
    let target = request.database.clone().or(request.from_database.clone());
    let source = match (&request.from_database, &target, held) {
        (Some(source), _, _) => source.clone(),
        (None, _, [only]) => only.clone(),
        (None, Some(same), _) if held.contains(same) => same.clone(),
        (None, None, _) if held.iter().any(|alias| alias == "default") => "default".to_owned(),
        (None, target, _) => {
            let wanted = target.clone().unwrap_or_else(|| "default".to_owned());
            return Err(EngineError::NotInBackup { wanted, holds: held.to_vec() });
        }
    };
    let target = target.unwrap_or_else(|| source.clone());
    Ok(vec![(source, target)])
}

fn plan_database(
    site: &Site,
    plan: &RestorePlan,
    source: &str,
    alias: &str,
) -> Result<DatabasePlan, EngineError> {
    let described = &plan.manifest.metadata.databases[source];
    let held = plan.manifest.completion.databases.get(source);
    let elsewhere = plan.request.to_database.is_some();
    let target = match &plan.request.to_database {
        Some(path) => new_place(path, "sqlite")?,
        None => site.database(alias, "restore")?,
    };
    if described.vendor != target.vendor {
        return Err(EngineError::WrongEngine {
            source_alias: source.to_owned(),
            alias: target.alias,
            backup: described.vendor.clone(),
            live: target.vendor,
        });
    }
    let expected = held.map(|h| h.tables.clone()).unwrap_or_default();
    let exists = target.path.symlink_metadata().is_ok();
    let live = if exists { live_counts(&target.path) } else { BTreeMap::new() };
    let migrations = plan.manifest.metadata.migrations.get(source);
    Ok(DatabasePlan {
        source: source.to_owned(),
        exists,
        elsewhere,
        bytes: held.map_or(0, |h| h.bytes),
        tables: tables(&live, &expected),
        gap: compatibility::gap(site, migrations.map(Vec::as_slice)).filter(|_| !elsewhere),
        expected,
        target,
    })
}

/// A restore beside the site never touches anything that exists.
fn new_place(path: &Path, vendor: &str) -> Result<LiveDatabase, EngineError> {
    require_absent(path)?;
    let text = path.to_string_lossy();
    for end in ["-wal", "-shm", "-journal"] {
        if text.strip_suffix(end).is_some_and(|database| Path::new(database).exists()) {
            return Err(EngineError::Request {
                problem: format!(
                    "`{text}` is a name that SQLite uses for `{}`",
                    &text[..text.len() - end.len()]
                ),
                hint: None,
            });
        }
    }
    Ok(LiveDatabase {
        alias: path.display().to_string(),
        vendor: vendor.to_owned(),
        engine: None,
        path: path.to_owned(),
    })
}

fn require_absent(path: &Path) -> Result<(), EngineError> {
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

/// Rows of the live tables; a live database that cannot be read has none that could be shown, and
/// that is no reason not to restore it.
fn live_counts(path: &Path) -> BTreeMap<String, Option<u64>> {
    sqlite::table_counts(sqlite::Source::Live(path, BUSY_TIMEOUT), &mut dalsegno_database::Quiet)
        .map(|tables| tables.into_iter().map(|t| (t.name, t.rows)).collect())
        .unwrap_or_default()
}

fn tables(live: &BTreeMap<String, Option<u64>>, after: &[TableRows]) -> Vec<TablePlan> {
    let mut names: Vec<&String> = live.keys().chain(after.iter().map(|t| &t.name)).collect();
    names.sort();
    names.dedup();
    let plan = |name: &String| TablePlan {
        name: name.clone(),
        now: live.get(name).copied().flatten(),
        after: after.iter().find(|t| t.name == *name).and_then(|t| t.rows),
    };
    names.into_iter().map(plan).collect()
}

fn plan_storages(
    site: &Site,
    archive: &Archive,
    plan: &mut RestorePlan,
    run: Run<'_>,
) -> Result<(), EngineError> {
    if plan.request.skip_media {
        return Ok(());
    }
    if plan.request.to_database.is_some() && plan.request.to_media.is_none() {
        plan.notes.push("media are left as they are: only `--to-database` was given".to_owned());
        return Ok(());
    }
    let roots = site.media_roots();
    for (alias, described) in plan.manifest.metadata.storages.clone() {
        let elsewhere = plan.request.to_media.as_ref();
        let live = match elsewhere {
            Some(folder) if alias == "default" => {
                require_absent(folder)?;
                MediaRoot {
                    alias: alias.clone(),
                    backend: described.backend,
                    location: folder.clone(),
                }
            }
            Some(_) => {
                plan.notes.push(format!(
                    "storage `{alias}` is left out: `--to-media` takes the default one"
                ));
                continue;
            }
            None => {
                let Some(root) = roots.iter().find(|root| root.alias == alias) else {
                    plan.notes
                        .push(format!("storage `{alias}` is not in this project and is skipped"));
                    continue;
                };
                root.clone()
            }
        };
        if site.is_site_itself(&live.location) {
            return Err(EngineError::UnsafeRoot { alias, path: live.location });
        }
        let bytes = plan.manifest.completion.storages.get(&alias).map_or(0, |s| s.bytes);
        let left_out = &plan.manifest.metadata.options;
        let selection = site
            .selection(
                &live.location,
                &left_out.media_exclude,
                &left_out.exclude_media,
                Some(&plan.request.source),
            )
            .map_err(EngineError::media(&alias))?;
        let changes = changes(archive, plan, &alias, &live.location, &selection, run)?;
        let elsewhere = elsewhere.is_some();
        plan.storages.push(StoragePlan { alias, live, elsewhere, bytes, changes, selection });
    }
    Ok(())
}

fn changes(
    archive: &Archive,
    plan: &RestorePlan,
    alias: &str,
    location: &Path,
    selection: &Selection,
    run: Run<'_>,
) -> Result<Changes, EngineError> {
    let folder = tree::storage(alias);
    let mut failed = None;
    let entries = archive
        .entries()?
        .map_while(|member| member.map_err(|e| failed = Some(e)).ok())
        .filter_map(|(entry, _)| below(entry, &folder));
    let cancelled = || run.cancel.requested();
    let strategy = plan.request.media_strategy.strategy();
    let changes =
        dalsegno_media::plan(location, entries, strategy, selection, &plan.skip, &cancelled)
            .map_err(EngineError::media(alias))?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(changes),
    }
}

/// An entry of a storage with its path below the storage's root; `None` for any other.
pub(crate) fn below(mut entry: Entry, folder: &TreePath) -> Option<Entry> {
    let path = TreePath::new(entry.path.below(folder)?).ok()?;
    entry.path = path;
    if let dalsegno_format::EntryKind::HardLink { target } = &entry.kind {
        let target = TreePath::new(target.below(folder)?).ok()?;
        entry.kind = dalsegno_format::EntryKind::HardLink { target };
    }
    Some(entry)
}

fn plan_fixtures(site: &Site, plan: &mut RestorePlan) {
    let elsewhere = plan.request.to_database.is_some() || plan.request.to_media.is_some();
    if plan.request.skip_fixtures || elsewhere {
        return;
    }
    let Some(held) = &plan.manifest.completion.fixtures else { return };
    let folders: BTreeMap<String, PathBuf> = fixture_folders(site).into_iter().collect();
    for name in held.folders.keys() {
        match folders.get(name) {
            Some(folder) => {
                plan.fixtures.push(FixturePlan { name: name.clone(), folder: folder.clone() });
            }
            None => plan.notes.push(format!(
                "fixtures of `{name}` have no folder in this project and are skipped"
            )),
        }
    }
}

/// Bytes that staging and keeping need, by file system.
fn require_space(plan: &RestorePlan) -> Result<(), EngineError> {
    use std::os::unix::fs::MetadataExt;
    let mut needed: BTreeMap<u64, (PathBuf, u64)> = BTreeMap::new();
    let mut add = |place: &Path, bytes: u64| {
        let existing = place.ancestors().skip(1).find_map(|p| Some((p, p.metadata().ok()?)));
        if let Some((folder, meta)) = existing {
            needed.entry(meta.dev()).or_insert_with(|| (folder.to_owned(), 0)).1 += bytes;
        }
    };
    for database in &plan.databases {
        let live = database.target.path.metadata().map_or(0, |m| m.len());
        // The staged copy, the kept old one, and the journal of the switch.
        add(&database.target.path, database.bytes + live + live.max(database.bytes));
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
fn require_rights(plan: &RestorePlan) -> Result<(), EngineError> {
    for database in &plan.databases {
        let folder = database.target.path.ancestors().skip(1).find(|p| p.is_dir());
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
