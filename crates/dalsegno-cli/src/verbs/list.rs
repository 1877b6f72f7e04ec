//! `list` and `show`.

use std::fmt::Write as _;
use std::process::ExitCode;

use dalsegno_engine::{EngineError, Listed, PRE_RESTORE_TAG, peek, scan};
use dalsegno_format::ByteSize;
use serde_json::{Value, json};

use super::Invocation;
use super::backup::captured;
use crate::args::{ListArgs, ShowArgs};
use crate::printable::one_line;
use crate::sheet::{Sheet, count, duration, table};

pub(super) fn list(invocation: &Invocation, args: &ListArgs) -> Result<ExitCode, EngineError> {
    let folders = if let Some(folder) = &args.output_dir {
        vec![folder.clone()]
    } else {
        let site = invocation.site()?;
        invocation.tell_interrupted(&site);
        site.folders()
    };
    let mut backups = scan(&folders)?;
    backups.truncate(args.limit.unwrap_or(usize::MAX));
    let bytes_read: u64 =
        backups.iter().filter_map(|b| b.peek.as_ref().ok()).map(|peek| peek.bytes_read).sum();
    let value = json!({
        "folders": folders,
        "bytes_read": bytes_read,
        "backups": backups.iter().map(listed_json).collect::<Vec<_>>(),
    });
    let text = if backups.is_empty() {
        let shown: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        format!("No backups in {}. `dalsegno backup` makes one.\n", shown.join(", "))
    } else {
        let rows: Vec<Vec<String>> = backups.iter().map(listed_row).collect();
        table(
            &["name", "made (UTC)", "type", "size", "rows", "files", "state", "id"],
            &rows,
            &[3, 4, 5],
        )
    };
    invocation.face.answer("list", value, &text);
    Ok(ExitCode::SUCCESS)
}

fn listed_json(listed: &Listed) -> Value {
    match &listed.peek {
        Ok(peek) => json!({
            "id": peek.manifest.metadata.id,
            "name": peek.manifest.metadata.name,
            "path": listed.path,
            "form": peek.form,
            "type": peek.manifest.metadata.backup_type,
            "capture": peek.manifest.metadata.capture,
            "created_at": peek.manifest.metadata.created_at,
            "outcome": peek.manifest.completion.outcome,
            "description": peek.manifest.metadata.description,
            "tags": peek.manifest.metadata.tags,
            "stored_bytes": peek.stored_bytes,
        }),
        Err(error) => json!({
            "path": listed.path,
            "outcome": "unreadable",
            "error": error.to_string(),
        }),
    }
}

fn listed_row(listed: &Listed) -> Vec<String> {
    let Ok(peek) = &listed.peek else {
        let name = listed.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut row = vec![name];
        row.resize(6, "-".to_owned());
        row.push("unreadable".to_owned());
        row.push("`dalsegno verify` tells why".to_owned());
        return row;
    };
    let (metadata, completion) = (&peek.manifest.metadata, &peek.manifest.completion);
    let rows: u64 =
        completion.databases.values().map(dalsegno_format::DatabaseCompletion::rows).sum();
    let files: u64 = completion.storages.values().map(|s| s.files).sum();
    let mut name = one_line(&metadata.name).into_owned();
    if name != listed.file_name() {
        let _ = write!(name, " ({})", listed.file_name());
    }
    vec![
        name,
        metadata.created_at.get(..19).unwrap_or_default().replace('T', " "),
        metadata.backup_type.name().to_owned(),
        ByteSize(peek.stored_bytes).to_string(),
        count(rows),
        count(files),
        if metadata.tags.iter().any(|tag| tag == PRE_RESTORE_TAG) {
            format!("{}, {PRE_RESTORE_TAG}", completion.outcome.name())
        } else {
            completion.outcome.name().to_owned()
        },
        metadata.id.to_string(),
    ]
}

pub(super) fn show(invocation: &Invocation, args: &ShowArgs) -> Result<ExitCode, EngineError> {
    let path = invocation.backup(&args.source)?;
    let peek = peek(&path)?;
    let value = json!({
        "path": path,
        "form": peek.form,
        "stored_bytes": peek.stored_bytes,
        "bytes_read": peek.bytes_read,
        "manifest": peek.manifest,
    });
    let metadata = &peek.manifest.metadata;
    let completion = &peek.manifest.completion;
    let mut sheet = Sheet::default();
    sheet.row("path", path.display().to_string());
    sheet.row(
        "form",
        format!(
            "{}, {} stored of {}",
            peek.form.name(),
            ByteSize(peek.stored_bytes),
            ByteSize(completion.bytes)
        ),
    );
    sheet.row("state", completion.outcome.name());
    sheet.row(
        "made",
        format!(
            "{} ({}), in {}",
            metadata.backup_timestamp,
            metadata.time_zone,
            duration(std::time::Duration::from_millis(completion.duration_ms))
        ),
    );
    sheet.row("project", format!("{} on {}", metadata.project.name, metadata.host.name));
    let django = metadata.django_version.as_deref().unwrap_or("none");
    sheet.row("versions", format!("Dalsegno {}, Django {django}", metadata.versions.dalsegno));
    if !metadata.description.is_empty() {
        sheet.row("description", metadata.description.clone());
    }
    if !metadata.tags.is_empty() {
        sheet.row("tags", metadata.tags.join(", "));
    }
    captured(&peek.manifest, &mut sheet);
    let mut text = format!(
        "{}
{}",
        one_line(&metadata.name),
        sheet.render()
    );
    for problem in &completion.problems {
        let _ = writeln!(
            text,
            "  missing: {}: {}",
            one_line(&problem.subject),
            one_line(&problem.reason)
        );
    }
    if invocation.face.verbose > 0 {
        text.push_str(&tables(&peek.manifest));
    }
    invocation.face.answer("show", value, &text);
    Ok(ExitCode::SUCCESS)
}

fn tables(manifest: &dalsegno_format::Manifest) -> String {
    let mut rows = Vec::new();
    for (alias, database) in &manifest.completion.databases {
        for table in &database.tables {
            let counted = table.rows.map_or_else(|| "-".to_owned(), count);
            rows.push(vec![
                alias.clone(),
                table.name.clone(),
                counted,
                table.note.clone().unwrap_or_default(),
            ]);
        }
    }
    table(&["database", "table", "rows", ""], &rows, &[2])
}
