//! Whether backups and restores can work here, and how to get what is missing.

mod leftover;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use dalsegno_database::{Quiet, TableCount};
use dalsegno_format::ByteSize;
use dalsegno_project::Origin;

use crate::site::{LiveDatabase, is_native};
use crate::{Site, free_space};

/// How long the doctor waits for a database that others hold.
const PATIENCE: Duration = Duration::from_secs(5);

/// One finding of the doctor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at and what was seen.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Good,
    /// Works, but should be known.
    Warning,
    /// Does not work.
    Bad,
}

impl Level {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "error",
        }
    }
}

/// Looks at everything a backup and a restore need; changes nothing.
pub fn doctor(site: &Site) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    project(site, &mut findings);
    settings(site, &mut findings);
    databases(site, &mut findings);
    storages(site, &mut findings);
    folders(site, &mut findings);
    leftover::backups(site, &mut findings);
    leftover::restores(site, &mut findings);
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, text: String) {
        self.0.push(Finding { level: Level::Good, text, hint: None });
    }

    fn warning(&mut self, text: String, hint: impl Into<Option<String>>) {
        self.0.push(Finding { level: Level::Warning, text, hint: hint.into() });
    }

    fn bad(&mut self, text: String, hint: impl Into<Option<String>>) {
        self.0.push(Finding { level: Level::Bad, text, hint: hint.into() });
    }
}

fn project(site: &Site, findings: &mut Findings) {
    let descriptor = site.descriptor();
    let name = &descriptor.project.name;
    match &site.project.origin {
        Origin::Django { manage_py, interpreter, .. } => findings.good(format!(
            "project {name}: Django {} on Python {} ({}), found by {}",
            descriptor.django.as_deref().unwrap_or("?"),
            descriptor.python.as_deref().unwrap_or("?"),
            interpreter.program.display(),
            manage_py.display()
        )),
        Origin::Config { path } => {
            findings.good(format!("project {name}, described by {}", path.display()));
        }
        Origin::Caller => findings.good(format!(
            "project {name}: Django {} on Python {}, described by the calling process",
            descriptor.django.as_deref().unwrap_or("?"),
            descriptor.python.as_deref().unwrap_or("?"),
        )),
        _ => findings.good(format!("project {name}, described by the environment")),
    }
    for warning in &descriptor.warnings {
        findings.warning(warning.clone(), None);
    }
    if let Some(path) = &descriptor.own_backups_app {
        findings.warning(
            format!("the project has an app of its own named `backups` ({})", path.display()),
            "Use the native command line, or rename that app before installing Dalsegno's."
                .to_owned(),
        );
    }
}

fn settings(site: &Site, findings: &mut Findings) {
    let settings = site.settings();
    for unknown in &settings.unknown {
        let hint = unknown.nearest.as_ref().map(|nearest| format!("Did you mean `{nearest}`?"));
        findings.bad(format!("`{}` is no setting of Dalsegno", unknown.name), hint);
    }
    for (on, setting, what) in [
        (settings.use_encryption, "BACKUP_USE_ENCRYPTION", "encrypt"),
        (settings.sftp.enabled, "BACKUP_SFTP_ENABLED", "upload"),
    ] {
        if on {
            findings.bad(
                format!("`{setting}` is on, and this version cannot {what}: backups are refused"),
                format!("Set `{setting}` to False."),
            );
        }
    }
}

fn databases(site: &Site, findings: &mut Findings) {
    for alias in site.aliases() {
        let live = match site.database(&alias, "back up") {
            Ok(live) => live,
            Err(error) => {
                findings.bad(error.to_string(), error.hint());
                continue;
            }
        };
        database(&live, findings);
    }
}

fn database(live: &LiveDatabase, findings: &mut Findings) {
    let (alias, place) = (&live.alias, live.place());
    if let Some(Err(error)) = live.file().map(|file| file.metadata()) {
        return findings.bad(
            format!("database {alias}: `{place}` cannot be read: {error}"),
            "Check `NAME` in the `DATABASES` setting, and the rights of this user.".to_owned(),
        );
    }
    match live.database.table_counts(PATIENCE, &mut Quiet) {
        Ok(tables) => {
            findings.good(format!(
                "database {alias}: {}, {}{} {}, `{place}`",
                engine_name(live.database.vendor()),
                live.database
                    .size()
                    .map(|size| format!("{}, ", ByteSize(size)))
                    .unwrap_or_default(),
                tables.len(),
                if tables.len() == 1 { "table" } else { "tables" }
            ));
            if !is_native(live.database.vendor()) {
                through_django(alias, &tables, findings);
            }
        }
        Err(error) => findings.bad(format!("database {alias}: {error}"), error.hint()),
    }
    if let Some(file) = live.file() {
        writable(file.parent(), &format!("the folder of database {alias}"), findings);
    }
}

/// A database that only Django speaks to: no rollback, and nothing but the rows of models.
fn through_django(alias: &str, tables: &[TableCount], findings: &mut Findings) {
    findings.warning(
        format!(
            "database {alias} is backed up and restored through Django: rows of models only, no rollback"
        ),
        "Keep the backups that are made before restores, and the site's migrations.".to_owned(),
    );
    for table in tables.iter().filter(|table| table.rows.is_none()) {
        let reason = table.note.as_deref().unwrap_or("it cannot be read");
        findings.warning(format!("database {alias}, table `{}`: {reason}", table.name), None);
    }
}

fn engine_name(vendor: &str) -> &str {
    match vendor {
        "sqlite" => "SQLite",
        "postgresql" => "PostgreSQL",
        "mysql" => "MySQL",
        other => other,
    }
}

fn storages(site: &Site, findings: &mut Findings) {
    for root in site.media_roots() {
        let path = root.location.display();
        if !root.location.is_dir() {
            findings.warning(
                format!("storage {}: `{path}` does not exist", root.alias),
                "If the site has media, check MEDIA_ROOT or the storage's location.".to_owned(),
            );
        } else if std::fs::read_dir(&root.location).is_err() {
            findings.bad(
                format!("storage {}: `{path}` cannot be read by this user", root.alias),
                "Run as the site's user, or give this one the right to read it.".to_owned(),
            );
        } else {
            findings.good(format!("storage {}: `{path}`", root.alias));
            for alias in site.aliases() {
                let inside = site
                    .database(&alias, "back up")
                    .is_ok_and(|d| d.file().is_some_and(|f| f.starts_with(&root.location)));
                if inside {
                    findings.warning(
                        format!(
                            "database {alias} lies inside storage {}: it may be served to visitors",
                            root.alias
                        ),
                        format!("Move the database out of `{path}`."),
                    );
                }
            }
            if rustix::fs::access(&root.location, rustix::fs::Access::WRITE_OK).is_err() {
                let what = format!("the folder that holds storage {}", root.alias);
                writable(root.location.parent(), &what, findings);
            }
        }
    }
    for other in site.other_storages().into_iter().filter(|o| o.matters) {
        findings.bad(
            format!("storage {} is not captured: {}", other.alias, other.reason),
            "Backups of this site are partial (exit code 3).".to_owned(),
        );
    }
}

fn writable(folder: Option<&Path>, what: &str, findings: &mut Findings) {
    let Some(folder) = folder else { return };
    if rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).is_err() {
        findings.warning(
            format!(
                "{what}, `{}`, may not be written by this user: restores are refused",
                folder.display()
            ),
            "Restore as the site's user or as root.".to_owned(),
        );
    }
}

fn folders(site: &Site, findings: &mut Findings) {
    for (name, folder) in
        [("BACKUP_DIR", &site.settings().dir), ("BACKUP_ROOT", &site.settings().root)]
    {
        let nearest = folder.ancestors().find(|p| p.is_dir());
        let can =
            nearest.is_some_and(|p| rustix::fs::access(p, rustix::fs::Access::WRITE_OK).is_ok());
        if !can {
            findings.bad(
                format!("{name}: `{}` may not be written by this user", folder.display()),
                format!("Set {name} to a folder this user may write."),
            );
            continue;
        }
        let free =
            free_space(folder).map_or_else(|| "unknown".to_owned(), |f| ByteSize(f).to_string());
        findings.good(format!("{name}: `{}`, {free} free", folder.display()));
        if let Ok(meta) = folder.metadata() {
            let mode = meta.permissions().mode() & 0o7777;
            if mode & 0o007 != 0 {
                findings.warning(
                    format!(
                        "{name}: `{}` is open to every user (mode {mode:04o})",
                        folder.display()
                    ),
                    format!("chmod 750 '{}'", folder.display()),
                );
            }
        }
        for root in site.media_roots() {
            if folder.starts_with(&root.location) {
                findings.warning(
                    format!(
                        "{name} lies inside storage {}: backups may be served to visitors",
                        root.alias
                    ),
                    format!("Set {name} to a folder outside `{}`.", root.location.display()),
                );
            }
        }
    }
}
