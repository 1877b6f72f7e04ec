//! `contents`, `get` and `diff`.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use dalsegno_engine::{BackupDiff, EngineError, Side, tree_path};
use dalsegno_format::{ByteSize, Entry, EntryKind, hex};
use serde_json::json;

use super::Invocation;
use crate::args::{ContentsArgs, DiffArgs, GetArgs};
use crate::face::say;
use crate::printable::printable;
use crate::sheet::{count, table};
use crate::watch::Watcher;

pub(super) fn contents(
    invocation: &Invocation,
    args: &ContentsArgs,
) -> Result<ExitCode, EngineError> {
    let source = invocation.backup_quietly(&args.source)?;
    let path =
        args.path.as_deref().map(|p| tree_path(std::ffi::OsStr::new(p).as_bytes())).transpose()?;
    let json = invocation.face.json();
    let mut heard = true;
    let shown = dalsegno_engine::contents(&source, path.as_ref(), &mut |entry, sha256| {
        if json {
            let line = json!({
                "event": "entry",
                "path": entry.path.to_string(),
                "path_hex": std::str::from_utf8(entry.path.as_bytes()).is_err().then(|| hex(entry.path.as_bytes())),
                "type": kind(&entry),
                "size": entry.size(),
                "mode": format!("{:04o}", entry.mode),
                "mtime": entry.mtime.to_string(),
                "sha256": sha256.map(|digest| hex(&digest)),
            });
            heard = heard && say(&format!("{line}\n"));
        } else {
            heard = heard && say(&printable(&line(&entry)));
        }
    })?;
    let tables = match &path {
        Some(path) => dalsegno_engine::tables_in(&source, path)?,
        None => Vec::new(),
    };
    for table in &tables {
        let line = if json {
            format!("{}\n", json!({ "event": "table", "path": table.path, "rows": table.rows }))
        } else {
            let rows = table.rows.map_or_else(|| "?".to_owned(), count);
            let line = format!("t {rows:>16} {:19} {}\n", "rows", table.path);
            printable(&line).into_owned()
        };
        heard = heard && say(&line);
    }
    if json {
        let tables = tables.len();
        let report = json!({ "path": source, "entries": shown, "tables": tables });
        invocation.face.answer("contents", report, "");
    }
    Ok(ExitCode::SUCCESS)
}

fn kind(entry: &Entry) -> &'static str {
    match entry.kind {
        EntryKind::File { .. } => "file",
        EntryKind::Directory => "folder",
        EntryKind::Symlink { .. } => "symlink",
        EntryKind::HardLink { .. } => "hardlink",
    }
}

fn line(entry: &Entry) -> String {
    let (tag, size, target) = match &entry.kind {
        EntryKind::File { size, .. } => ('-', ByteSize(*size).to_string(), String::new()),
        EntryKind::Directory => ('d', "-".to_owned(), "/".to_owned()),
        EntryKind::Symlink { target } => {
            ('l', "-".to_owned(), format!(" -> {}", String::from_utf8_lossy(target).escape_debug()))
        }
        EntryKind::HardLink { target } => ('h', "-".to_owned(), format!(" = {target}")),
    };
    let when =
        jiff::Timestamp::new(entry.mtime.secs, i32::try_from(entry.mtime.nanos).unwrap_or(0))
            .map(|t| t.strftime("%Y-%m-%d %H:%M:%S").to_string())
            .unwrap_or_default();
    format!("{tag} {:04o} {size:>11} {when} {}{target}\n", entry.mode, entry.path)
}

pub(super) fn get(invocation: &Invocation, args: &GetArgs) -> Result<ExitCode, EngineError> {
    let source = invocation.backup_quietly(&args.source)?;
    let path = tree_path(std::ffi::OsStr::new(&args.path).as_bytes())?;
    if let Some(output) = &args.output {
        let watcher = Watcher::new(invocation.face);
        let size = dalsegno_engine::get_to_file(&source, &path, output, invocation.run(&watcher));
        watcher.finish();
        let size = size?;
        let text = format!("{path}: {} written to {}\n", ByteSize(size), output.display());
        invocation.face.report(
            "get",
            json!({ "path": path.to_string(), "output": output, "bytes": size }),
            &text,
        );
        return Ok(ExitCode::SUCCESS);
    }
    if invocation.face.json() {
        return Err(EngineError::Request {
            problem: "`get` writes the file itself to standard output, which `--format json` takes"
                .to_owned(),
            hint: Some("Give `--output FILE`.".to_owned()),
        });
    }
    let mut out = io::stdout().lock();
    if out.is_terminal() && !is_text(&args.path) {
        let hint = "Give `--output FILE`, or redirect standard output.".to_owned();
        let problem = "the file may hold bytes that upset a terminal".to_owned();
        return Err(EngineError::Request { problem, hint: Some(hint) });
    }
    let quiet = dalsegno_engine::Silent;
    let run = dalsegno_engine::Run {
        progress: &quiet,
        cancel: &invocation.cancel,
        clock: &dalsegno_engine::SystemClock,
    };
    dalsegno_engine::get(&source, &path, &mut out, run)?;
    out.flush().map_err(|e| EngineError::io("write", Path::new("standard output"), e))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a file's name promises text a terminal can show.
fn is_text(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["json", "txt", "csv", "tsv", "sh", "sha256", "md"].contains(&extension)
}

pub(super) fn diff(invocation: &Invocation, args: &DiffArgs) -> Result<ExitCode, EngineError> {
    let site = invocation.site()?;
    invocation.tell_interrupted(&site);
    let folders = site.folders();
    let old = dalsegno_engine::find(&folders, &args.old)?;
    let new = match args.new.as_str() {
        "live" => Side::Live,
        other => Side::Backup(dalsegno_engine::find(&folders, other)?),
    };
    let watcher = Watcher::new(invocation.face);
    let diff = dalsegno_engine::diff(&site, &old, &new, invocation.run(&watcher));
    watcher.finish();
    let diff = diff?;
    let value = json!({
        "old": old,
        "new": match &new { Side::Live => "live".into(), Side::Backup(path) => path.display().to_string() },
        "equal": diff.is_empty(),
        "only_one_side": diff.only_one_side,
        "tables": diff.tables.iter().map(|(alias, tables)| {
            let tables: Vec<_> = tables.iter().map(|t| json!({
                "name": t.name, "old_rows": t.old, "new_rows": t.new, "changed": t.changed,
            })).collect();
            (alias.clone(), tables.into())
        }).collect::<serde_json::Map<_, _>>(),
        "storages": diff.storages.iter().map(|(alias, s)| (alias.clone(), json!({
            "added": s.added, "removed": s.removed, "changed": s.changed, "examples": s.examples,
        }))).collect::<serde_json::Map<_, _>>(),
    });
    invocation.face.answer("diff", value, &diff_text(&diff));
    Ok(ExitCode::SUCCESS)
}

fn diff_text(diff: &BackupDiff) -> String {
    if diff.is_empty() {
        return "No difference.\n".to_owned();
    }
    let mut out = String::new();
    for line in &diff.only_one_side {
        let _ = writeln!(out, "{line}");
    }
    for (alias, tables) in diff.tables.iter().filter(|(_, tables)| !tables.is_empty()) {
        let shown = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), count);
        let rows: Vec<Vec<String>> =
            tables.iter().map(|t| vec![t.name.clone(), shown(t.old), shown(t.new)]).collect();
        let _ = writeln!(out, "database {alias}: {} tables differ", rows.len());
        out.push_str(&table(&["table", "old rows", "new rows"], &rows, &[1, 2]));
    }
    for (alias, s) in diff.storages.iter().filter(|(_, s)| s.added + s.removed + s.changed > 0) {
        let _ = writeln!(
            out,
            "storage {alias}: {} added, {} removed, {} changed",
            count(s.added),
            count(s.removed),
            count(s.changed)
        );
        for example in &s.examples {
            let _ = writeln!(out, "  {example}");
        }
        let all = s.added + s.removed + s.changed;
        if all > s.examples.len() as u64 {
            let _ = writeln!(out, "  … {} more", count(all - s.examples.len() as u64));
        }
    }
    out
}
