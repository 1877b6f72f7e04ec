//! `backup`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use dalsegno_engine::{BackupReport, BackupRequest, EngineError};
use dalsegno_format::{BackupType, ByteSize, Form, Manifest};
use serde_json::json;

use super::{Invocation, finished, timing};
use crate::args::BackupArgs;
use crate::sheet::{Sheet, count, counted};
use crate::watch::Watcher;

pub(super) fn backup(invocation: &Invocation, args: BackupArgs) -> Result<ExitCode, EngineError> {
    let site = invocation.site()?;
    let watcher = Watcher::new(invocation.face);
    let started = Instant::now();
    let report = dalsegno_engine::backup(&site, &request(args), invocation.run(&watcher));
    watcher.finish();
    let report = report?;
    let took = started.elapsed();
    let value = json!({
        "id": report.manifest.metadata.id,
        "name": report.manifest.metadata.name,
        "path": report.path,
        "form": report.form,
        "outcome": report.manifest.completion.outcome,
        "stored_bytes": report.stored_bytes,
        "recovered": report.recovered,
        "engine_seconds": took.as_secs_f64(),
        "startup_seconds": site.project.started_in.as_secs_f64(),
        "manifest": report.manifest,
    });
    let mut text = text(&report);
    let _ = writeln!(
        text,
        "  {} stored of {}, {}",
        ByteSize(report.stored_bytes),
        ByteSize(report.manifest.completion.bytes),
        timing(took, &site.project),
    );
    if invocation.face.quiet && !invocation.face.json() {
        // Cron mails what is printed, and this changed the site.
        for told in &report.recovered {
            crate::face::complain(&format!("warning: {told}\n"));
        }
    }
    if invocation.face.quiet && !report.is_complete() && !invocation.face.json() {
        // Cron mails what is printed: a partial backup is never silent.
        crate::face::complain(&text);
    }
    invocation.face.report("backup", value, &text);
    Ok(finished(report.is_complete()))
}

fn request(args: BackupArgs) -> BackupRequest {
    BackupRequest {
        output_dir: args.output_dir,
        filename: args.filename,
        form: args.form.as_deref().and_then(Form::from_name),
        compress: match (args.compress, args.no_compress) {
            (_, true) => Some(false),
            (true, false) => Some(true),
            (false, false) => None,
        },
        level: args.compression_level,
        skip_media: args.skip_media,
        skip_database: args.skip_database,
        databases: args.database,
        include_fixtures: args.include_fixtures,
        backup_type: args.backup_type.as_deref().map(|name| match name {
            "database" => BackupType::Database,
            "media" => BackupType::Media,
            _ => BackupType::Full,
        }),
        name: args.name,
        description: args.description.unwrap_or_default(),
        tags: args.tag,
        exclude_data: args.exclude_data,
        exclude_media: args.exclude_media,
    }
}

fn text(report: &BackupReport) -> String {
    let completion = &report.manifest.completion;
    let name = &report.manifest.metadata.name;
    let mut out = if report.is_complete() {
        format!("Backup {name} is complete: {}\n", report.path.display())
    } else {
        format!(
            "Backup {name} is PARTIAL, {} could not be captured: {}\n",
            counted(completion.problems.len() as u64, "thing", "things"),
            report.path.display()
        )
    };
    for problem in &completion.problems {
        let _ = writeln!(out, "  missing: {}: {}", problem.subject, problem.reason);
    }
    let mut sheet = Sheet::default();
    captured(&report.manifest, &mut sheet);
    out.push_str(&sheet.render());
    out
}

/// What a manifest says was captured, a line each.
pub(super) fn captured(manifest: &Manifest, sheet: &mut Sheet) {
    let completion = &manifest.completion;
    sheet.row("id", manifest.metadata.id.to_string());
    for (alias, database) in &completion.databases {
        let tables = counted(database.tables.len() as u64, "table", "tables");
        let rows = counted(database.rows(), "row", "rows");
        sheet.row("database", format!("{alias}: {tables}, {rows}, {}", ByteSize(database.bytes)));
    }
    for (alias, storage) in &completion.storages {
        let files = counted(storage.files, "file", "files");
        let mut line = format!("{alias}: {files}, {}", ByteSize(storage.bytes));
        for (n, what) in [(storage.left_out, "left out by rule"), (storage.vanished, "vanished")] {
            if n > 0 {
                let _ = write!(line, ", {} {what}", count(n));
            }
        }
        sheet.row("storage", line);
    }
    if let Some(fixtures) = &completion.fixtures {
        sheet.row("fixtures", counted(fixtures.files, "file", "files"));
    }
    if let Some(references) = &completion.references {
        let mut line = format!(
            "{} named by rows: {} missing, {} orphaned",
            counted(references.referenced, "file", "files"),
            count(references.missing),
            count(references.orphaned)
        );
        if references.left_out > 0 {
            let _ = write!(line, ", {} left out by rule", count(references.left_out));
        }
        sheet.row("references", line);
    }
    let listed = |subject: &str| completion.problems.iter().any(|p| p.subject == subject);
    for left_out in &manifest.metadata.left_out {
        if listed(&format!("{} {}", left_out.what, left_out.name)) {
            continue;
        }
        sheet.row("left out", format!("{} {}: {}", left_out.what, left_out.name, left_out.reason));
    }
    for warning in &completion.warnings {
        sheet.row("warning", warning.clone());
    }
}
