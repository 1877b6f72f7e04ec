//! `verify`.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use dalsegno_engine::{EngineError, Verified};
use dalsegno_format::{ByteSize, ErrorKind};
use serde_json::json;

use super::Invocation;
use crate::args::VerifyArgs;
use crate::sheet::{count, counted, duration};
use crate::watch::Watcher;

pub(super) fn verify(invocation: &Invocation, args: &VerifyArgs) -> Result<ExitCode, EngineError> {
    let path = invocation.backup(&args.source)?;
    let scratch = std::env::temp_dir();
    let watcher = Watcher::new(invocation.face);
    let started = Instant::now();
    let verified = dalsegno_engine::verify(&path, args.deep, &scratch, invocation.run(&watcher));
    watcher.finish();
    let verified = verified?;
    let findings = verified.findings();
    let partial = verified
        .bytes
        .manifest
        .as_ref()
        .is_some_and(|m| m.completion.outcome == dalsegno_format::Outcome::Partial);
    let value = json!({
        "path": path,
        "sound": findings.is_empty(),
        "findings": findings,
        "members": verified.bytes.members,
        "files": verified.bytes.files,
        "bytes": verified.bytes.bytes,
        "partial": partial,
        "deep": verified.deep.as_ref().map(|deep| deep.databases.iter().map(|(alias, check)| {
            (alias.clone(), json!({ "report": check.report, "counts": check.counts }))
        }).collect::<serde_json::Map<_, _>>()),
        "seconds": started.elapsed().as_secs_f64(),
    });
    let mut text = String::new();
    if findings.is_empty() {
        let _ = writeln!(
            text,
            "{} is sound: {}, {} checked in {}",
            path.display(),
            counted(verified.bytes.files, "file", "files"),
            ByteSize(verified.bytes.bytes),
            duration(started.elapsed())
        );
        if partial {
            text.push_str("  but it is partial: `dalsegno show` names what it lacks\n");
        }
        text.push_str(&deep_text(&verified));
    } else {
        let _ = writeln!(text, "{} is DAMAGED:", path.display());
        for finding in &findings {
            let _ = writeln!(text, "  {finding}");
        }
        text.push_str("hint: use another backup; `dalsegno list` shows them\n");
    }
    invocation.face.answer("verify", value, &text);
    let sound = findings.is_empty();
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(ErrorKind::Damaged.exit_code()) })
}

fn deep_text(verified: &Verified) -> String {
    let mut text = String::new();
    for (alias, check) in verified.deep.iter().flat_map(|deep| &deep.databases) {
        let rows: u64 = check.report.tables.iter().filter_map(|t| t.rows).sum();
        let _ = writeln!(
            text,
            "  database {alias}: {} hashed, structure sound",
            counted(rows, "row", "rows")
        );
        match check.report.foreign_key_violations {
            Some(0) => {}
            Some(n) => {
                let _ = writeln!(
                    text,
                    "    {} rows point at rows that do not exist (as on the live site)",
                    count(n)
                );
            }
            None => text.push_str("    foreign keys could not be judged\n"),
        }
        for note in &check.report.notes {
            let _ = writeln!(text, "    {note}");
        }
    }
    text
}
