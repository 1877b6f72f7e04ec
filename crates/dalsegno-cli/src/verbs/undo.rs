//! `rollback`, `discard` and `delete`.

use std::fmt::Write as _;
use std::process::ExitCode;

use dalsegno_archive::Archive;
use dalsegno_engine::{EngineError, RestoreRecord, find_restore};
use serde_json::json;

use super::Invocation;
use crate::args::{DeleteArgs, DiscardArgs, RollbackArgs};
use crate::watch::Watcher;

pub(super) fn rollback(
    invocation: &Invocation,
    args: &RollbackArgs,
) -> Result<ExitCode, EngineError> {
    let site = invocation.site()?;
    let record = find_restore(&site, &args.restore)?;
    if !args.force {
        let question = format!(
            "Roll back restore {} of {} ({})?\nThe site gets back what it had before:\n{}",
            record.id,
            record.backup_name,
            record.started_at,
            places(&record)
        );
        invocation.confirm(&question, "the rollback")?;
    }
    let watcher = Watcher::new(invocation.face);
    let done = dalsegno_engine::rollback(&site, &record, args.force, invocation.run(&watcher));
    watcher.finish();
    let done = done?;
    let mut text =
        format!("Restore {} is rolled back: the site has its old data.\n", done.record.id);
    for path in &done.present {
        let _ = writeln!(text, "  what was written since is kept in {path}");
    }
    if !done.present.is_empty() {
        let _ = writeln!(text, "  `dalsegno discard {}` drops it", done.record.id);
    }
    let value =
        json!({ "restore": done.record.id, "state": done.record.state, "present": done.present });
    invocation.face.report("rollback", value, &text);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn discard(
    invocation: &Invocation,
    args: &DiscardArgs,
) -> Result<ExitCode, EngineError> {
    let site = invocation.site()?;
    let record = find_restore(&site, &args.restore)?;
    if !args.force {
        let question = format!(
            "Drop what restore {} of {} kept?\nIt cannot be rolled back afterwards:\n{}",
            record.id,
            record.backup_name,
            places(&record)
        );
        invocation.confirm(&question, "dropping the old data")?;
    }
    let watcher = Watcher::new(invocation.face);
    let done = dalsegno_engine::discard(&site, &record, invocation.run(&watcher));
    watcher.finish();
    let done = done?;
    let mut text = format!("The old data of restore {} are gone.\n", done.record.id);
    for path in &done.removed {
        let _ = writeln!(text, "  {path}");
    }
    let value =
        json!({ "restore": done.record.id, "state": done.record.state, "removed": done.removed });
    invocation.face.report("discard", value, &text);
    Ok(ExitCode::SUCCESS)
}

fn places(record: &RestoreRecord) -> String {
    let mut text = String::new();
    for step in &record.databases {
        let _ = writeln!(text, "  database {}: {}", step.alias, step.live);
    }
    for step in &record.storages {
        let _ = writeln!(text, "  storage {}: {}", step.alias, step.live.display());
    }
    text
}

pub(super) fn delete(invocation: &Invocation, args: &DeleteArgs) -> Result<ExitCode, EngineError> {
    let path = invocation.backup(&args.source)?;
    let known = Archive::peek(&path).map(|peek| {
        format!(
            "made {}, {}",
            peek.manifest.metadata.created_at,
            peek.manifest.completion.outcome.name()
        )
    });
    if !args.force {
        let known = known.unwrap_or_else(|error| format!("unreadable: {error}"));
        let question =
            format!("Delete the backup {} ({known})?\nIt cannot be brought back.", path.display());
        invocation.confirm(&question, "deleting the backup")?;
    }
    let watcher = Watcher::new(invocation.face);
    let removed = dalsegno_engine::delete(&path, invocation.run(&watcher));
    watcher.finish();
    let removed = removed?;
    let text = format!("Deleted {}.\n", path.display());
    invocation.face.report("delete", json!({ "removed": removed }), &text);
    Ok(ExitCode::SUCCESS)
}
