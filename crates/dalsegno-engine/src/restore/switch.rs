//! The switch: databases, then storages, then fixtures, each under the record. What cannot be taken
//! back comes last: databases whose rows are replaced where they lie.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno_database::SwitchOptions;
use dalsegno_format::{Entry, EntryKind};
use dalsegno_media::Resolution;
use dalsegno_store::{Owner, create_folders, sync_folder};

use super::plan::RestorePlan;
use super::record::{FixtureStep, RestoreRecord, State, sha256_of};
use super::recover::{settle_database, settle_storage, sweep};
use super::stage::Staged;
use super::undo;
use crate::backup::RunWatch;
use crate::{EngineError, Run, Site};

/// How long a switch waits for those who hold a database.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Puts everything staged in place. On any failure what was switched is switched back.
pub(super) fn switch(
    site: &Site,
    plan: &RestorePlan,
    staged: Staged,
    record: &mut RestoreRecord,
    run: Run<'_>,
) -> Result<Vec<String>, EngineError> {
    run.progress.stage("switching", None);
    record.enter(State::Switching)?;
    match switch_all(site, plan, staged, record, run) {
        Ok(()) => close(site, plan, record, run),
        Err(error) => Err(back(site, error, record, run)),
    }
}

/// Writes the last line of the record.
fn close(
    site: &Site,
    plan: &RestorePlan,
    record: &mut RestoreRecord,
    run: Run<'_>,
) -> Result<Vec<String>, EngineError> {
    let said = record.is_all_switched();
    match record.finish(State::Switched, run) {
        Ok(()) => Ok(check_live(plan, record, run)),
        // The record on disk says of every step that it is done, so the next verb finds the restore
        // complete. Going back would want more room on that disk, and might end half-way.
        Err(error) if said => {
            let open = format!("the restore is complete; its record was not closed: {error}");
            Ok([vec![open], check_live(plan, record, run)].concat())
        }
        Err(error) => {
            record.state = State::Switching;
            Err(back(site, error, record, run))
        }
    }
}

fn back(site: &Site, first: EngineError, record: &mut RestoreRecord, run: Run<'_>) -> EngineError {
    let nothing = record.databases.iter().all(|d| d.switched.is_none())
        && record.storages.iter().all(|s| s.switched.is_none())
        && record.fixtures.is_empty();
    let undone =
        sweep(site, record).and_then(|()| undo::undo_steps(site, record, undo::Present::Keep, run));
    record.error = Some(first.to_string());
    let closed = undone.and_then(|_| record.finish(State::Failed, run));
    match closed {
        Ok(()) if !record.in_place().is_empty() => EngineError::SwitchedInPart {
            first: Box::new(first),
            restored: record.in_place().into_iter().map(str::to_owned).collect(),
            pre_backup: record.pre_backup.clone(),
        },
        Ok(()) if nothing => first,
        Ok(()) => EngineError::SwitchUndone(Box::new(first)),
        Err(second) => EngineError::SwitchStuck {
            first: Box::new(first),
            second: Box::new(second),
            restore: record.id.to_string(),
        },
    }
}

fn switch_all(
    site: &Site,
    plan: &RestorePlan,
    staged: Staged,
    record: &mut RestoreRecord,
    run: Run<'_>,
) -> Result<(), EngineError> {
    let mut failures = Vec::new();
    let databases = staged.databases.into_iter().enumerate();
    let databases = databases.filter_map(|(index, database)| Some((index, database?)));
    let (beside, in_place): (Vec<_>, Vec<_>) =
        databases.partition(|(index, _)| plan.databases[*index].way.keeps);
    for (index, database) in beside {
        let failed = switch_database(site, plan, (index, database), record, run)?;
        failures.extend(failed);
    }
    for (index, tree) in staged.storages.into_iter().enumerate() {
        let Some(tree) = tree else { continue };
        let alias = record.storages[index].alias.clone();
        record.storages[index].begun = true;
        record.write()?;
        match tree.switch().map_err(EngineError::media(&alias)) {
            Ok(switched) => {
                record.storages[index].switched = Some(switched);
                record.write()?;
            }
            Err(error) if plan.request.keep_going => {
                let id = record.id.to_string();
                // No rollback began, so no tree is left to drop.
                settle_storage(&mut record.storages[index], &id, Resolution::Undo)?;
                failures.push(error.to_string());
            }
            Err(error) => return Err(error),
        }
    }
    for fixture in staged.fixtures {
        record.fixtures.push(fixture.step());
        record.write()?;
        fixture.switch()?;
    }
    if !in_place.is_empty() && !record.fixtures_done {
        record.fixtures_done = true;
        record.write()?;
    }
    for (index, database) in in_place {
        let failed = switch_database(site, plan, (index, database), record, run)?;
        failures.extend(failed);
    }
    record.failures.extend(failures);
    if !record.fixtures_done || !record.failures.is_empty() {
        record.fixtures_done = true;
        record.all_tried = true;
        record.write()?;
    }
    Ok(())
}

/// Returns what failed and was left as it was, which only `keep_going` tolerates.
fn switch_database(
    site: &Site,
    plan: &RestorePlan,
    (index, database): (usize, Box<dyn dalsegno_database::Staged>),
    record: &mut RestoreRecord,
    run: Run<'_>,
) -> Result<Option<String>, EngineError> {
    let options = SwitchOptions { lock_timeout: BUSY_TIMEOUT };
    let alias = record.databases[index].alias.clone();
    record.databases[index].begun = Some(database.content().to_owned());
    record.write()?;
    match database.switch(options, &mut RunWatch(run)).map_err(EngineError::database(&alias)) {
        Ok(switched) => {
            record.databases[index].switched = Some(switched);
            record.write()?;
            Ok(None)
        }
        Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
        Err(error) if plan.request.keep_going => {
            let id = record.id;
            settle_database(site, &mut record.databases[index], id)?;
            Ok(Some(error.to_string()))
        }
        Err(error) => Err(error),
    }
}

/// Reads the live tables once more; the site may have written since the switch, so a difference is
/// told, not undone.
fn check_live(plan: &RestorePlan, record: &RestoreRecord, run: Run<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    for (step, database) in record.databases.iter().zip(&plan.databases) {
        if step.switched.is_none() || !plan.request.check {
            continue;
        }
        let live = database.target.database.table_counts(BUSY_TIMEOUT, &mut RunWatch(run));
        match live {
            Ok(live) => {
                let differs = database.captured.tables.iter().filter(|expected| {
                    let now = live.iter().find(|t| t.name == expected.name);
                    expected.rows.is_some() && now.map(|t| t.rows) != Some(expected.rows)
                });
                let names: Vec<&str> = differs.map(|t| t.name.as_str()).take(10).collect();
                if !names.is_empty() {
                    warnings.push(format!(
                        "database {}: rows changed since the switch in {}",
                        step.alias,
                        names.join(", ")
                    ));
                }
            }
            Err(error) => warnings.push(format!(
                "database {}: the live database could not be read after the switch: {error}",
                step.alias
            )),
        }
    }
    warnings
}

/// A fixture file beside the one it replaces.
pub(super) struct StagedFixture {
    staged: PathBuf,
    live: PathBuf,
    kept: PathBuf,
    replaces: bool,
    sha256: String,
}

impl StagedFixture {
    /// Stages a file whose live one is missing or differs; `None` when there is nothing to do.
    pub(super) fn stage(
        folder: &Path,
        entry: &Entry,
        content: &mut dyn Read,
        id: &str,
    ) -> Result<Option<Self>, EngineError> {
        if !matches!(entry.kind, EntryKind::File { extents: None, .. }) {
            return Ok(None);
        }
        let live = folder.join(std::ffi::OsStr::from_bytes(entry.path.as_bytes()));
        let parent = live.parent().expect("a file has a folder").to_owned();
        create_folders(&parent, 0o755)?;
        let name = entry.path.name();
        let beside = |what: &str| {
            let name = [&b"."[..], name, b".dalsegno-", id.as_bytes(), what.as_bytes()].concat();
            parent.join(std::ffi::OsStr::from_bytes(&name))
        };
        let mut staged = Self {
            staged: beside(".staged"),
            kept: beside(".kept"),
            replaces: live.symlink_metadata().is_ok(),
            live,
            sha256: String::new(),
        };
        let path = staged.staged.clone();
        let failed = |e| EngineError::io("write", &path, e);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        io::copy(content, &mut file)
            .and_then(|_| file.set_permissions(fs::Permissions::from_mode(entry.mode & 0o777)))
            .and_then(|()| {
                let mtime = std::time::UNIX_EPOCH
                    + Duration::new(
                        u64::try_from(entry.mtime.secs).unwrap_or(0),
                        entry.mtime.nanos,
                    );
                file.set_modified(mtime)
            })
            .and_then(|()| file.flush().and_then(|()| file.sync_all()))
            .map_err(failed)?;
        staged.sha256 = sha256_of(&staged.staged)?;
        Owner::of(&parent)?.give(&file, &staged.staged)?;
        if staged.replaces && same_content(&staged.staged, &staged.live).unwrap_or(false) {
            return Ok(None);
        }
        Ok(Some(staged))
    }

    fn step(&self) -> FixtureStep {
        FixtureStep {
            live: self.live.clone(),
            kept: self.replaces.then(|| self.kept.clone()),
            sha256: self.sha256.clone(),
        }
    }

    fn switch(self) -> Result<(), EngineError> {
        let failed = |e| EngineError::io("replace", &self.live, e);
        if self.replaces && fs::hard_link(&self.live, &self.kept).is_err() {
            // A second name keeps the first one there throughout; where links are refused, a copy.
            fs::copy(&self.live, &self.kept).map_err(failed)?;
        }
        crate::step::step("fixture");
        fs::rename(&self.staged, &self.live).map_err(failed)?;
        Ok(sync_folder(self.live.parent().expect("a file has a folder"))?)
    }
}

impl Drop for StagedFixture {
    /// What was not switched in is removed; what was has that name no more.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.staged);
    }
}

fn same_content(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    if a.metadata()?.len() != b.metadata()?.len() {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let n = a.read(&mut left)?;
        if n == 0 {
            return Ok(true);
        }
        b.read_exact(&mut right[..n])?;
        if left[..n] != right[..n] {
            return Ok(false);
        }
    }
}
