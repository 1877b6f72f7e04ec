//! `restore`: plan, back up what will change, stage beside the live data, check, switch, keep the
//! old; and its ways back, `rollback` and `discard`.
//!
//! Nothing live changes before the switch. The switch is journaled: the record of a restore is
//! written durably before and after each step, and names what each step left where.

mod interruption;
mod leftover;
mod places;
mod plan;
mod record;
mod recover;
mod request;
mod stage;
mod switch;
mod undo;

use std::path::PathBuf;

use dalsegno_format::BackupId;

use crate::backup::{BackupRequest, backup_under_lock};
use crate::find::PRE_RESTORE_TAG;
use crate::lock::Lock;
use crate::{BackupReport, EngineError, Run, Site};

pub(crate) use interruption::told;
pub use interruption::{Interruption, interrupted};
pub(crate) use leftover::{Left, left};
pub(crate) use plan::below;
pub use plan::{DatabasePlan, FixturePlan, RestorePlan, StoragePlan, TablePlan, plan_restore};
pub use record::{DatabaseStep, RestoreRecord, State, StorageStep, find_restore};
pub(crate) use record::{records_aside, restores, unreadable_records};
pub(crate) use recover::settle;
pub use request::{MediaStrategy, NewDatabase, RestoreRequest};
pub use undo::{DiscardReport, RollbackReport, discard, rollback};

/// What a finished restore is.
#[derive(Debug)]
pub struct RestoreReport {
    /// Its id, for `rollback` and `discard`.
    pub id: BackupId,
    /// The backup of what was replaced; `None` when there was none to make.
    pub pre_backup: Option<PathBuf>,
    /// The record, as it is on disk.
    pub record: RestoreRecord,
    /// What the operator should know.
    pub warnings: Vec<String>,
    /// What failed and was left as it was (only with `keep_going`).
    pub failures: Vec<String>,
}

impl RestoreReport {
    /// Whether all of it was restored.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Applies a plan: after this the live site is the backup's, or what it was before.
pub fn restore(
    site: &Site,
    plan: &RestorePlan,
    run: Run<'_>,
) -> Result<RestoreReport, EngineError> {
    let root = &site.settings().root;
    let _lock = Lock::take(root, "restore", run)?;
    let lives = plan.lives();
    let fresh;
    let plan = if recover::recover(site, None, &lives, run)?.is_empty() {
        plan
    } else {
        // What the plan saw of the site is not so any more.
        fresh = plan_restore(site, &plan.request, run)?;
        &fresh
    };
    let pre_backup = pre_backup(site, plan, run)?;
    let pre_path = pre_backup.as_ref().map(|report| report.path.clone());
    let mut record = record::RestoreRecord::begin(site, plan, pre_path.clone(), run)?;
    let staged = match stage::stage(site, plan, &mut record, run) {
        Ok(staged) => staged,
        Err(error) => {
            recover::sweep(site, &mut record)?;
            record.fail(&error)?;
            return Err(error);
        }
    };
    let mut warnings = switch::switch(site, plan, staged, &mut record, run)?;
    if pre_backup.as_ref().is_some_and(|report| !report.is_complete()) {
        warnings.push("the backup made before the restore is partial".to_owned());
    }
    Ok(RestoreReport {
        id: plan.id,
        pre_backup: pre_path,
        failures: record.failures.clone(),
        record,
        warnings,
    })
}

/// Backs up what the restore will change; a restore whose safety copy fails stops here.
fn pre_backup(
    site: &Site,
    plan: &RestorePlan,
    run: Run<'_>,
) -> Result<Option<BackupReport>, EngineError> {
    if !plan.request.pre_backup {
        return Ok(None);
    }
    let databases: Vec<String> = plan
        .databases
        .iter()
        .filter(|d| d.exists && !d.elsewhere)
        .map(|d| d.target.alias.clone())
        .collect();
    let media = plan.storages.iter().any(|s| s.live.location.is_dir() && !s.elsewhere);
    let include_fixtures = !plan.fixtures.is_empty();
    if databases.is_empty() && !media && !include_fixtures {
        return Ok(None);
    }
    let request = BackupRequest {
        output_dir: Some(site.settings().archive_root.clone()),
        form: Some(dalsegno_format::Form::TarZst),
        skip_media: !media,
        skip_database: databases.is_empty(),
        databases,
        include_fixtures,
        description: format!("Before restore {} of {}", plan.id, plan.manifest.metadata.name),
        tags: vec![PRE_RESTORE_TAG.to_owned()],
        ..BackupRequest::default()
    };
    match backup_under_lock(site, &request, run) {
        Ok(report) => Ok(Some(report)),
        Err(EngineError::Cancelled) => Err(EngineError::Cancelled),
        Err(error) => Err(EngineError::PreBackup(Box::new(error))),
    }
}
