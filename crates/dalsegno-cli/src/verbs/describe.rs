//! `describe` and `doctor`.

use std::fmt::Write as _;
use std::process::ExitCode;

use dalsegno_engine::{EngineError, Level};
use serde_json::json;

use super::Invocation;

pub(super) fn describe(invocation: &Invocation) -> Result<ExitCode, EngineError> {
    let site = invocation.site()?;
    invocation.tell_interrupted(&site);
    let described = site.descriptor().masked_json();
    let settings = serde_json::to_value(site.settings()).unwrap_or_default();
    let mut text = serde_json::to_string_pretty(&described).unwrap_or_default();
    text.push('\n');
    let value = json!({
        "project": described,
        "settings": settings,
        "startup_seconds": site.project.started_in.as_secs_f64(),
    });
    invocation.face.answer("describe", value, &text);
    Ok(ExitCode::SUCCESS)
}

pub(super) fn doctor(invocation: &Invocation) -> Result<ExitCode, EngineError> {
    let site = invocation.site()?;
    let findings = dalsegno_engine::doctor(&site);
    let worst = findings.iter().map(|f| f.level).max().unwrap_or(Level::Good);
    let mut text = String::new();
    for finding in &findings {
        let _ = writeln!(text, "{:8} {}", finding.level.name(), finding.text);
        if let Some(hint) = &finding.hint {
            let _ = writeln!(text, "{:8} hint: {hint}", "");
        }
    }
    let value = json!({
        "healthy": worst < Level::Bad,
        "findings": findings.iter().map(|f| json!({
            "level": f.level.name(), "text": f.text, "hint": f.hint,
        })).collect::<Vec<_>>(),
    });
    invocation.face.answer("doctor", value, &text);
    Ok(if worst == Level::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
