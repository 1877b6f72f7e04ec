//! `restore`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use dalsegno_engine::{
    DatabasePlan, EngineError, MediaStrategy, NewDatabase, RestorePlan, RestoreReport,
    RestoreRequest, plan_restore,
};
use dalsegno_format::ByteSize;
use serde_json::{Value, json};

use super::{Invocation, finished, timing};
use crate::args::RestoreArgs;
use crate::printable::one_line;
use crate::sheet::{count, counted, table};
use crate::watch::Watcher;

pub(super) fn restore(invocation: &Invocation, args: RestoreArgs) -> Result<ExitCode, EngineError> {
    let site = invocation.site()?;
    let source = dalsegno_engine::find(&site.folders(), &args.source)?;
    let force = args.force;
    let request = request(args, source)?;
    let watcher = Watcher::new(invocation.face);
    let started = Instant::now();
    let plan = plan_restore(&site, &request, invocation.run(&watcher));
    let planned = started.elapsed();
    if request.dry_run || plan.is_err() || !force {
        watcher.finish();
    }
    let plan = plan?;
    if request.dry_run {
        let text = format!("{}Nothing was changed.\n", plan_text(&plan));
        invocation.face.answer(
            "restore",
            json!({ "dry_run": true, "plan": plan_json(&plan) }),
            &text,
        );
        return Ok(ExitCode::SUCCESS);
    }
    if !force {
        let question =
            format!("{}Restore it into project {}?", plan_text(&plan), site.identity().name);
        invocation.confirm(&question, "the restore")?;
    }
    let started = Instant::now();
    let report = dalsegno_engine::restore(&site, &plan, invocation.run(&watcher));
    watcher.finish();
    let report = report?;
    let took = planned + started.elapsed();
    let value = json!({
        "restore": report.id,
        "backup": plan.manifest.metadata.id,
        "state": report.record.state,
        "complete": report.is_complete(),
        "pre_backup": report.pre_backup,
        "warnings": report.warnings,
        "failures": report.failures,
        "engine_seconds": took.as_secs_f64(),
        "startup_seconds": site.project.started_in.as_secs_f64(),
        "plan": plan_json(&plan),
    });
    let mut text = report_text(&plan, &report);
    let _ = writeln!(text, "  {}", timing(took, &site.project));
    if invocation.face.quiet && !report.is_complete() && !invocation.face.json() {
        crate::face::complain(&text);
    }
    invocation.face.report("restore", value, &text);
    Ok(finished(report.is_complete()))
}

fn request(args: RestoreArgs, source: PathBuf) -> Result<RestoreRequest, EngineError> {
    let to_database = args.to_database.as_deref().map(database_url).transpose()?;
    let to_media = args.to_media.as_deref().map(absolute).transpose()?;
    Ok(RestoreRequest {
        source,
        database: args.database,
        from_database: args.from_database,
        skip_media: args.skip_media,
        skip_database: args.skip_database,
        skip_fixtures: args.skip_fixtures,
        check: !args.no_backup_check,
        media_strategy: MediaStrategy::from_name(&args.media_strategy).unwrap_or_default(),
        dry_run: args.dry_run,
        no_migrate: args.no_migrate,
        full_check: args.verify == "full",
        keep_going: args.keep_going,
        to_database,
        to_media,
        pre_backup: !args.no_pre_backup,
        other_project: args.other_project,
    })
}

/// Records outlive the folder a command was given in.
fn absolute(path: &Path) -> Result<PathBuf, EngineError> {
    std::path::absolute(path).map_err(|e| EngineError::io("find", path, e))
}

/// `sqlite:////absolute/path`, as in `DATABASE_URL`, or `postgresql://HOST:PORT/NAME`.
fn database_url(text: &str) -> Result<NewDatabase, EngineError> {
    let refused = |problem: &str, hint: &str| EngineError::Request {
        problem: problem.to_owned(),
        hint: Some(hint.to_owned()),
    };
    if let Some(path) = text.strip_prefix("sqlite:///").filter(|path| !path.is_empty()) {
        return Ok(NewDatabase::File(absolute(Path::new(path))?));
    }
    let wrong = || {
        refused(
            "`--to-database` takes the URL of a new database",
            "Write it as `sqlite:////absolute/path.db`, `postgresql:///NAME` or `mysql:///NAME`.",
        )
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let vendor = match scheme {
        "postgres" | "postgresql" | "postgis" => "postgresql",
        "mysql" | "mariadb" => "mysql",
        _ => return Err(wrong()),
    };
    let (server, name) = rest.split_once('/').ok_or_else(wrong)?;
    if server.contains('@') {
        return Err(refused(
            "`--to-database` takes no user and no password: others could see them here",
            "Leave them out: the server is reached as the site reaches it.",
        ));
    }
    let (host, port) = match server.rsplit_once(':') {
        // The colons of an address in brackets are its own.
        Some((host, port)) if !port.contains(']') => {
            (host, Some(port.parse().map_err(|_| wrong())?))
        }
        _ => (server, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let plain = !name.is_empty() && !name.contains(['/', '?', '#', '%']);
    plain.then_some(()).ok_or_else(wrong)?;
    Ok(NewDatabase::OnServer {
        vendor: vendor.to_owned(),
        host: Some(host).filter(|host| !host.is_empty()).map(str::to_owned),
        port,
        name: name.to_owned(),
    })
}

fn database_text(database: &DatabasePlan, out: &mut String) {
    let verb = if database.exists { "replaces" } else { "creates" };
    let now: u64 = database.tables.iter().filter_map(|t| t.now).sum();
    let after: u64 = database.tables.iter().filter_map(|t| t.after).sum();
    let _ = writeln!(
        out,
        "  {verb} database {}: {} ({} rows now, {} after)",
        database.target.alias,
        database.target.place(),
        count(now),
        count(after)
    );
    if database.target.file().is_none() {
        let _ = writeln!(out, "    put in place as {}", one_line(&database.way.way));
    }
    if database.exists && !database.way.keeps {
        out.push_str("    its old rows are NOT kept: there will be no rollback\n");
    }
    let differing: Vec<Vec<String>> = database
        .tables
        .iter()
        .filter(|t| t.now != t.after)
        .map(|t| {
            let shown = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), count);
            vec![format!("    {}", one_line(&t.name)), shown(t.now), shown(t.after)]
        })
        .collect();
    if !differing.is_empty() {
        out.push_str(&table(&["    table", "now", "after"], &differing, &[1, 2]));
    }
}

fn plan_text(plan: &RestorePlan) -> String {
    let metadata = &plan.manifest.metadata;
    let mut out = format!(
        "Backup {} of project {}, made {} ({})\n",
        one_line(&metadata.name),
        one_line(&metadata.project.name),
        one_line(&metadata.backup_timestamp),
        one_line(&metadata.time_zone)
    );
    if let Some(other) = &plan.other_project {
        let _ = writeln!(out, "  ANOTHER PROJECT: {}", one_line(other));
    }
    for database in &plan.databases {
        database_text(database, &mut out);
    }
    for storage in &plan.storages {
        let changes = &storage.changes;
        let _ = writeln!(
            out,
            "  storage {}: {} ({})",
            storage.alias,
            storage.live.location.display(),
            plan.request.media_strategy.name()
        );
        for (tally, what) in [
            (&changes.added, "added"),
            (&changes.replaced, "replaced"),
            (&changes.removed, "removed"),
            (&changes.carried, "left as they are: the backup does not hold them"),
            (&changes.kept, "left as they are: the live ones win"),
            (&changes.unchanged, "the same by size and time"),
        ] {
            if tally.count > 0 {
                let _ = writeln!(
                    out,
                    "    {} {what} ({})",
                    counted(tally.count, "file", "files"),
                    ByteSize(tally.bytes)
                );
            }
        }
    }
    for fixtures in &plan.fixtures {
        let _ = writeln!(out, "  fixtures {}: {}", fixtures.name, fixtures.folder.display());
    }
    for note in &plan.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    if plan.request.pre_backup {
        out.push_str("  What is there now is backed up first.\n");
    } else {
        out.push_str("  What is there now is NOT backed up first.\n");
    }
    out
}

fn plan_json(plan: &RestorePlan) -> Value {
    json!({
        "restore": plan.id,
        "backup": plan.manifest.metadata.id,
        "name": plan.manifest.metadata.name,
        "databases": plan.databases.iter().map(|d| json!({
            "source": d.source,
            "target": d.target.alias,
            "path": d.target.place(),
            "way": d.way.way,
            "keeps": d.way.keeps,
            "exists": d.exists,
            "tables": d.tables.iter().map(|t| json!({ "name": t.name, "now": t.now, "after": t.after })).collect::<Vec<_>>(),
            "migrations_behind": d.gap.as_ref().map(|gap| &gap.missing),
        })).collect::<Vec<_>>(),
        "storages": plan.storages.iter().map(|s| json!({
            "alias": s.alias,
            "path": s.live.location,
            "strategy": plan.request.media_strategy.name(),
            "added": s.changes.added.count,
            "replaced": s.changes.replaced.count,
            "removed": s.changes.removed.count,
            "carried": s.changes.carried.count,
            "kept": s.changes.kept.count,
            "unchanged": s.changes.unchanged.count,
        })).collect::<Vec<_>>(),
        "fixtures": plan.fixtures.iter().map(|f| json!({ "name": f.name, "folder": f.folder })).collect::<Vec<_>>(),
        "notes": plan.notes,
        "other_project": plan.other_project,
        "pre_backup": plan.request.pre_backup,
    })
}

fn report_text(plan: &RestorePlan, report: &RestoreReport) -> String {
    let mut out = if report.is_complete() {
        format!("Restored {}.\n", one_line(&plan.manifest.metadata.name))
    } else {
        format!(
            "Restored {} IN PART; what failed is as it was:\n",
            one_line(&plan.manifest.metadata.name)
        )
    };
    for failure in &report.failures {
        let _ = writeln!(out, "  failed: {failure}");
    }
    for step in report.record.databases.iter().filter(|s| s.switched.is_some()) {
        let _ = writeln!(out, "  database {}: {}", step.alias, step.live);
    }
    for step in report.record.storages.iter().filter(|s| s.switched.is_some()) {
        let _ = writeln!(out, "  storage {}: {}", step.alias, step.live.display());
    }
    if !report.record.fixtures.is_empty() {
        let _ = writeln!(out, "  fixtures: {} files", count(report.record.fixtures.len() as u64));
    }
    for note in &plan.notes {
        let _ = writeln!(out, "  note: {note}");
    }
    for warning in &report.warnings {
        let _ = writeln!(out, "  warning: {warning}");
    }
    if let Some(pre_backup) = &report.pre_backup {
        let _ = writeln!(out, "  backup of what was there before: {}", pre_backup.display());
    }
    let id = report.id;
    let in_place = report.record.in_place();
    let _ = if !in_place.is_empty() {
        let kept = if report.record.keeps().is_empty() {
            String::new()
        } else {
            format!(" `dalsegno discard {id}` drops the other old data, which are kept.")
        };
        writeln!(
            out,
            "  There is no rollback: the rows of {} were replaced in place.{kept}",
            in_place.join(", ")
        )
    } else if report.record.keeps().is_empty() {
        writeln!(
            out,
            "  Nothing was replaced; `dalsegno rollback {id}` takes out what was restored."
        )
    } else {
        writeln!(
            out,
            "  The old data are kept: `dalsegno rollback {id}` puts them back, `dalsegno discard {id}` drops them."
        )
    };
    out
}
