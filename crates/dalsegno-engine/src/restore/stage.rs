//! One pass over the backup: databases, media and fixtures are staged beside the live data and
//! checked.

use std::error::Error;
use std::io::Read;

use dalsegno_archive::{Archive, ArchiveError, Check, Member, MemberContent, ReadError};
use dalsegno_database::{CATALOG_FILE, CapturedFile, CheckOptions, DatabaseError, sqlite};
use dalsegno_format::{Entry, EntryKind, Form, TreePath, tree};
use dalsegno_media::{MediaError, SealedTree, StageOptions, StagedTree, Target};

use super::plan::{DatabasePlan, RestorePlan, StoragePlan, below};
use super::record::RestoreRecord;
use super::switch::StagedFixture;
use crate::backup::RunWatch;
use crate::open::open_for;
use crate::watched::watched;
use crate::{EngineError, Run, Site, workers};

/// Everything staged and checked, ready to be switched in. `None`: failed and left as it is.
pub(super) struct Staged {
    pub(super) databases: Vec<Option<Box<dyn dalsegno_database::Staged>>>,
    pub(super) storages: Vec<Option<SealedTree>>,
    pub(super) fixtures: Vec<StagedFixture>,
}

pub(super) fn stage(
    site: &Site,
    plan: &RestorePlan,
    record: &mut RestoreRecord,
    run: Run<'_>,
) -> Result<Staged, EngineError> {
    let archive = open_for(&plan.request.source, plan.request.check)?;
    if archive.metadata().id != plan.manifest.metadata.id {
        return Err(EngineError::Request {
            problem: format!("`{}` is another backup now", plan.request.source.display()),
            hint: Some("Run the restore again to see what it would do.".to_owned()),
        });
    }
    if plan.databases.iter().any(|database| !database.way.keeps) {
        site.scratch()?;
    }
    let mut staging = Staging::begin(site, plan, run)?;
    read(&archive, plan, &mut staging, run)?;
    let (staged, mut failures) = staging.finish()?;
    // A folder without its record may be whole; an archive without its end is not.
    if archive.end_is_missing() && archive.form() != Form::Folder {
        failures.push("the end of the backup is missing: what lay there is not restored".into());
    }
    record.failures = failures;
    record.write()?;
    Ok(staged)
}

fn read(
    archive: &Archive,
    plan: &RestorePlan,
    staging: &mut Staging<'_>,
    run: Run<'_>,
) -> Result<(), EngineError> {
    run.progress.stage("restoring beside the live data", Some(archive.stored_bytes()));
    let check = if plan.request.check { Check::Full } else { Check::Unverified };
    let mut visit = |member: Member<'_>| -> Result<(), Box<dyn Error + Send + Sync>> {
        staging.take(member).map_err(Into::into)
    };
    let read = watched(run, |watch| archive.read(check, workers(), watch, &mut visit));
    let report = read.map_err(read_error)?;
    for damage in &report.tolerated {
        run.progress.warn(&format!("unverified: {damage}"));
    }
    if report.more_tolerated > 0 {
        run.progress.warn(&format!("unverified: and {} more", report.more_tolerated));
    }
    Ok(())
}

/// The engine's own error comes back from the visit as it was.
pub(super) fn read_error(error: ReadError) -> EngineError {
    match error {
        ReadError::Archive(ArchiveError::Cancelled) => EngineError::Cancelled,
        ReadError::Archive(error) => error.into(),
        ReadError::Visit { source, path } => match source.downcast::<EngineError>() {
            Ok(error) => *error,
            Err(source) => EngineError::Request {
                problem: format!("cannot restore `{path}`: {source}"),
                hint: None,
            },
        },
        _ => EngineError::Request { problem: "the backup cannot be read".to_owned(), hint: None },
    }
}

struct Staging<'a> {
    site: &'a Site,
    plan: &'a RestorePlan,
    run: Run<'a>,
    databases: Vec<StagingDatabase<'a>>,
    storages: Vec<StagingStorage<'a>>,
    fixtures: Vec<StagedFixture>,
    failures: Vec<String>,
}

struct StagingDatabase<'a> {
    plan: &'a DatabasePlan,
    folder: TreePath,
    /// `None`: nothing of it was seen yet, or it failed.
    staging: Option<Box<dyn dalsegno_database::Staging>>,
    failed: bool,
}

struct StagingStorage<'a> {
    plan: &'a StoragePlan,
    folder: TreePath,
    tree: Option<StagedTree>,
}

impl<'a> Staging<'a> {
    fn begin(site: &'a Site, plan: &'a RestorePlan, run: Run<'a>) -> Result<Self, EngineError> {
        let databases = plan
            .databases
            .iter()
            .map(|database| StagingDatabase {
                plan: database,
                folder: tree::database(&database.source),
                staging: None,
                failed: false,
            })
            .collect();
        let mut staging = Self {
            site,
            plan,
            run,
            databases,
            storages: Vec::new(),
            fixtures: Vec::new(),
            failures: Vec::new(),
        };
        for storage in &plan.storages {
            let begun = begin_tree(plan, storage).map_err(EngineError::media(&storage.alias));
            let tree = staging.tolerate(begun)?;
            let folder = tree::storage(&storage.alias);
            staging.storages.push(StagingStorage { plan: storage, folder, tree });
        }
        Ok(staging)
    }

    /// With `keep_going`, a failed target is noted and left as it was.
    fn tolerate<T>(&mut self, result: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
            Err(error) if self.plan.request.keep_going => {
                let text = match error.source() {
                    Some(cause) => format!("{error}: {cause}"),
                    None => error.to_string(),
                };
                self.run.progress.warn(&text);
                self.failures.push(text);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, member: Member<'_>) -> Result<(), EngineError> {
        self.run.check_cancelled()?;
        let Member { entry, content } = member;
        for index in 0..self.databases.len() {
            if let Some(file) = below(entry.clone(), &self.databases[index].folder) {
                return self.take_database(index, &file, content);
            }
        }
        for index in 0..self.storages.len() {
            let folder = &self.storages[index].folder;
            if entry.path == *folder || entry.path.below(folder).is_some() {
                return self.take_media(index, &entry, content);
            }
        }
        self.take_fixture(&entry, content)
    }

    /// One file of a captured database, its path below the folder of the alias.
    fn take_database(
        &mut self,
        index: usize,
        file: &Entry,
        content: MemberContent<'_>,
    ) -> Result<(), EngineError> {
        let EntryKind::File { size, extents: None } = file.kind else { return Ok(()) };
        if self.databases[index].failed {
            return Ok(());
        }
        let taken = self.staged_file(index, file, size, content);
        if self.tolerate(taken)?.is_none() {
            self.databases[index].failed = true;
            self.databases[index].staging = None;
        }
        Ok(())
    }

    fn staged_file(
        &mut self,
        index: usize,
        file: &Entry,
        size: u64,
        content: MemberContent<'_>,
    ) -> Result<(), EngineError> {
        let run = self.run;
        let StagingDatabase { plan, staging, .. } = &mut self.databases[index];
        let failed = || EngineError::database(&plan.target.alias);
        let staging = if let Some(staging) = staging {
            staging
        } else {
            let target = plan.target.database.target(&self.plan.id.to_string());
            let begun = target.and_then(|target| target.begin(&plan.captured));
            staging.insert(begun.map_err(failed())?)
        };
        let name = file.path.to_string();
        let captured = CapturedFile { name: &name, size, mode: file.mode };
        staging.file(captured, &mut *reader(content), &mut Polled(run)).map_err(failed())
    }

    fn take_media(
        &mut self,
        index: usize,
        entry: &Entry,
        content: MemberContent<'_>,
    ) -> Result<(), EngineError> {
        let storage = &mut self.storages[index];
        let Some(tree) = storage.tree.as_mut() else { return Ok(()) };
        let done = match below(entry.clone(), &storage.folder) {
            None => {
                tree.root(entry);
                Ok(())
            }
            Some(entry) => put(tree, entry, content),
        };
        let alias = storage.plan.alias.clone();
        if self.tolerate(done.map_err(EngineError::media(&alias)))?.is_none()
            && let Some(tree) = self.storages[index].tree.take()
        {
            let _ = tree.abandon(&|| false);
        }
        Ok(())
    }

    fn take_fixture(
        &mut self,
        entry: &Entry,
        content: MemberContent<'_>,
    ) -> Result<(), EngineError> {
        let top = tree::path(tree::FIXTURES);
        for fixture in &self.plan.fixtures {
            let folder = top.join(&fixture.name).expect("a component is a path");
            if let Some(entry) = below(entry.clone(), &folder) {
                let id = self.plan.id.short();
                let staged =
                    StagedFixture::stage(&fixture.folder, &entry, &mut *reader(content), &id)?;
                self.fixtures.extend(staged);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Checks what was staged, and makes it ready to be switched in.
    fn finish(mut self) -> Result<(Staged, Vec<String>), EngineError> {
        let mut databases = Vec::new();
        for index in 0..self.databases.len() {
            let StagingDatabase { plan, staging, failed, folder } = &mut self.databases[index];
            let (plan, staging, failed) = (*plan, staging.take(), *failed);
            let lost = |name: String| EngineError::Damaged {
                path: self.plan.request.source.clone(),
                first: format!("`{name}` is missing"),
                count: 1,
            };
            let checked = match staging {
                _ if failed => None,
                None => {
                    let lost = lost(first_file(plan, folder));
                    self.tolerate(Err(lost))?
                }
                Some(staging) => {
                    let staged = match staging.finish(&mut RunWatch(self.run)) {
                        Err(DatabaseError::MissingFile { name }) => {
                            Err(lost(format!("{folder}/{name}")))
                        }
                        staged => staged.map_err(EngineError::database(&plan.target.alias)),
                    };
                    let checked =
                        staged.and_then(|staged| check(plan, staged, self.plan, self.run));
                    self.tolerate(checked)?
                }
            };
            databases.push(checked);
        }
        let mut storages = Vec::new();
        for index in 0..self.storages.len() {
            let StagingStorage { plan: storage, tree, .. } = &mut self.storages[index];
            let (storage, tree) = (*storage, tree.take());
            let sealed = match tree {
                None => None,
                Some(tree) => {
                    let sealed = seal(tree, storage, self.site, self.plan, self.run);
                    self.tolerate(sealed)?
                }
            };
            storages.push(sealed);
        }
        let fixtures = std::mem::take(&mut self.fixtures);
        let failures = std::mem::take(&mut self.failures);
        Ok((Staged { databases, storages, fixtures }, failures))
    }
}

impl Drop for Staging<'_> {
    /// Whatever was not handed on is removed: a failed restore leaves nothing.
    fn drop(&mut self) {
        for storage in &mut self.storages {
            if let Some(tree) = storage.tree.take() {
                let _ = tree.abandon(&|| false);
            }
        }
    }
}

/// The file without which nothing of a database can be staged.
fn first_file(plan: &DatabasePlan, folder: &TreePath) -> String {
    let name = match plan.captured.vendor.as_str() {
        "sqlite" => sqlite::FILE_NAME,
        _ => CATALOG_FILE,
    };
    format!("{folder}/{name}")
}

fn begin_tree(plan: &RestorePlan, storage: &StoragePlan) -> Result<StagedTree, MediaError> {
    let target = Target::new(&storage.live.location, &plan.id.to_string())?;
    target.begin(StageOptions { workers: workers(), ..StageOptions::default() })
}

fn put(tree: &mut StagedTree, entry: Entry, content: MemberContent<'_>) -> Result<(), MediaError> {
    match (&entry.kind, content) {
        (EntryKind::Directory, _) => tree.folder(&entry),
        (EntryKind::Symlink { .. }, _) => tree.symlink(&entry),
        (EntryKind::HardLink { .. }, _) => tree.hard_link(&entry),
        (EntryKind::File { .. }, MemberContent::Bytes(data)) => tree.small_file(entry, data),
        (EntryKind::File { .. }, MemberContent::Stream(data)) => tree.file(&entry, data),
        (EntryKind::File { .. }, MemberContent::None) => tree.file(&entry, &mut std::io::empty()),
    }
}

fn check(
    plan: &DatabasePlan,
    mut staged: Box<dyn dalsegno_database::Staged>,
    whole: &RestorePlan,
    run: Run<'_>,
) -> Result<Box<dyn dalsegno_database::Staged>, EngineError> {
    let alias = &plan.target.alias;
    run.progress.stage(&format!("checking database {alias}"), None);
    let tables = &plan.captured.tables[..];
    let options = CheckOptions {
        expected_counts: if whole.request.check { tables } else { &[] },
        full: whole.request.full_check,
    };
    let report =
        staged.check(&options, &mut RunWatch(run)).map_err(EngineError::database(alias))?;
    if let Some(first) = report.problems.first() {
        return Err(EngineError::Unsound {
            path: whole.request.source.clone(),
            database: plan.source.clone(),
            first: first.clone(),
            count: report.problems.len(),
        });
    }
    for note in &report.notes {
        run.progress.warn(&format!("database {alias}: {note}"));
    }
    if let Some(dangling) = report.foreign_key_violations.filter(|n| *n > 0) {
        run.progress
            .warn(&format!("database {alias}: {dangling} rows point at rows that do not exist"));
    }
    Ok(staged)
}

fn seal(
    tree: StagedTree,
    storage: &StoragePlan,
    site: &Site,
    plan: &RestorePlan,
    run: Run<'_>,
) -> Result<SealedTree, EngineError> {
    run.progress.stage(&format!("making storage {} durable", storage.alias), None);
    let cancelled = || run.cancel.requested();
    let strategy = plan.request.media_strategy.strategy();
    // Looked up again: the record of this very restore may have made one of them.
    let skip = site.own_folders();
    tree.seal(strategy, &storage.selection, &skip, &cancelled)
        .map_err(EngineError::media(&storage.alias))
}

/// The content of a file as a reader.
fn reader(content: MemberContent<'_>) -> Box<dyn Read + '_> {
    match content {
        MemberContent::None => Box::new(std::io::empty()),
        MemberContent::Bytes(data) => Box::new(std::io::Cursor::new(data)),
        MemberContent::Stream(data) => Box::new(data),
    }
}

/// Only asks whether to stop: the archive counts the bytes of this stage.
struct Polled<'a>(Run<'a>);

impl dalsegno_database::Watch for Polled<'_> {
    fn bytes(&mut self, _: u64) {}

    fn cancelled(&self) -> bool {
        self.0.cancel.requested()
    }
}
