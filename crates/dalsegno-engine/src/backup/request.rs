//! What is asked for, and what that means for this site.

use std::path::PathBuf;

use dalsegno_format::{BackupType, Form, LeftOut};
use dalsegno_media::Selection;
use dalsegno_project::descriptor::ModelDescriptor;
use dalsegno_project::settings::nearest_name;

use crate::site::{LiveDatabase, MediaRoot};
use crate::{EngineError, Site};

/// What to back up, and how.
#[derive(Debug, Clone, Default)]
pub struct BackupRequest {
    /// Folder to write into; `None`: `BACKUP_DIR`.
    pub output_dir: Option<PathBuf>,
    /// File name without extension; `None`: `backup_YYYYMMDD_HHMMSS`.
    pub filename: Option<String>,
    /// Form; `None`: `.tar.gz`, or `.tar` without compression.
    pub form: Option<Form>,
    /// Compression on or off; `None`: `BACKUP_USE_COMPRESSION`.
    pub compress: Option<bool>,
    /// Compression level 1 to 9; `None`: the form's default.
    pub level: Option<u32>,
    /// Leave media out.
    pub skip_media: bool,
    /// Leave databases out.
    pub skip_database: bool,
    /// Aliases to capture; empty: `default`; `all`: every one.
    pub databases: Vec<String>,
    /// Include project fixtures.
    pub include_fixtures: bool,
    /// What to back up; `None`: what the two `skip` options leave.
    pub backup_type: Option<BackupType>,
    /// Name; `None`: the file name.
    pub name: Option<String>,
    /// A note.
    pub description: String,
    /// Labels.
    pub tags: Vec<String>,
    /// Models whose rows are left out.
    pub exclude_data: Vec<String>,
    /// Path patterns of media left out.
    pub exclude_media: Vec<String>,
}

/// What this backup will hold.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) backup_type: BackupType,
    pub(crate) form: Form,
    pub(crate) level: Option<u32>,
    pub(crate) databases: Vec<ScopedDatabase>,
    pub(crate) media: Vec<ScopedMedia>,
    pub(crate) left_out: Vec<LeftOut>,
    /// Storages that hold media but cannot be captured: the backup is partial.
    pub(crate) missing: Vec<LeftOut>,
    pub(crate) request: BackupRequest,
}

/// A storage of the scope and what stays out of it.
#[derive(Debug)]
pub(crate) struct ScopedMedia {
    pub(crate) root: MediaRoot,
    pub(crate) selection: Selection,
    /// Folders that are not entered: those of backups.
    pub(crate) skip: Vec<(u64, u64)>,
}

/// A database of the scope and the tables whose rows stay out.
#[derive(Debug)]
pub(crate) struct ScopedDatabase {
    pub(crate) live: LiveDatabase,
    pub(crate) exclude_rows_of: Vec<String>,
}

pub(crate) fn scope(site: &Site, request: &BackupRequest) -> Result<Scope, EngineError> {
    refuse_what_cannot_be_done(site)?;
    let backup_type = backup_type(request)?;
    let (form, level) = form(site, request)?;
    let mut scope = Scope {
        backup_type,
        form,
        level,
        databases: Vec::new(),
        media: Vec::new(),
        left_out: Vec::new(),
        missing: Vec::new(),
        request: request.clone(),
    };
    add_databases(site, &mut scope)?;
    add_media(site, &mut scope)?;
    if scope.databases.is_empty() && scope.media.is_empty() && !request.include_fixtures {
        return Err(EngineError::Request {
            problem: "there is nothing to back up".to_owned(),
            hint: Some("`dalsegno describe` shows what was found of the project.".to_owned()),
        });
    }
    Ok(scope)
}

/// What the site asks for and this version cannot do is never skipped in silence.
fn refuse_what_cannot_be_done(site: &Site) -> Result<(), EngineError> {
    let settings = site.settings();
    if settings.use_encryption {
        return Err(EngineError::NotYet { setting: "BACKUP_USE_ENCRYPTION", what: "encrypt" });
    }
    if settings.sftp.enabled {
        return Err(EngineError::NotYet { setting: "BACKUP_SFTP_ENABLED", what: "upload" });
    }
    Ok(())
}

fn backup_type(request: &BackupRequest) -> Result<BackupType, EngineError> {
    let asked = match (request.skip_database, request.skip_media) {
        (false, false) => BackupType::Full,
        (false, true) => BackupType::Database,
        (true, false) => BackupType::Media,
        (true, true) if request.include_fixtures => BackupType::Media,
        (true, true) => {
            return Err(EngineError::Request {
                problem: "`--skip-database` and `--skip-media` together leave nothing to back up"
                    .to_owned(),
                hint: None,
            });
        }
    };
    match request.backup_type {
        None => Ok(asked),
        Some(wanted) if asked == BackupType::Full || asked == wanted => Ok(wanted),
        Some(wanted) => Err(EngineError::Request {
            problem: format!(
                "`--type {}` and the `--skip` options contradict each other",
                wanted.name()
            ),
            hint: None,
        }),
    }
}

fn form(site: &Site, request: &BackupRequest) -> Result<(Form, Option<u32>), EngineError> {
    let compress = request.compress.unwrap_or(site.settings().use_compression);
    let form = request.form.unwrap_or(if compress { Form::TarGz } else { Form::Tar });
    let compressed = matches!(form, Form::TarGz | Form::TarZst);
    if request.level.is_some() && !compressed {
        return Err(EngineError::Request {
            problem: format!("`--compression-level` means nothing for the form {}", form.name()),
            hint: Some("Leave it out, or choose `--form tar.gz` or `--form tar.zst`.".to_owned()),
        });
    }
    if request.compress == Some(true) && !compressed {
        return Err(EngineError::Request {
            problem: format!("`--compress` and `--form {}` contradict each other", form.name()),
            hint: None,
        });
    }
    Ok((form, request.level))
}

fn add_databases(site: &Site, scope: &mut Scope) -> Result<(), EngineError> {
    let request = scope.request.clone();
    if scope.backup_type == BackupType::Media {
        if !request.exclude_data.is_empty() {
            return Err(EngineError::Request {
                problem: "`--exclude-data` means nothing without a database".to_owned(),
                hint: None,
            });
        }
        return Ok(());
    }
    let all = request.databases.iter().any(|alias| alias == "all");
    let wanted: Vec<String> = match (all, request.databases.is_empty()) {
        (true, _) => site.aliases(),
        (false, true) => vec!["default".to_owned()],
        (false, false) => request.databases.clone(),
    };
    for alias in &wanted {
        let live = site.database(alias, "back up")?;
        match scope.databases.iter().find(|d| d.live.place() == live.place()) {
            Some(same) if same.live.alias == live.alias => {}
            Some(same) => scope.left_out.push(LeftOut {
                what: "database".to_owned(),
                name: alias.clone(),
                reason: format!("it is the same database as `{}`", same.live.alias),
            }),
            None => scope.databases.push(ScopedDatabase { live, exclude_rows_of: Vec::new() }),
        }
    }
    for alias in site.aliases().into_iter().filter(|alias| !wanted.contains(alias)) {
        scope.left_out.push(LeftOut {
            what: "database".to_owned(),
            name: alias,
            reason: "not asked for; `--database` names more than one alias, or `all`".to_owned(),
        });
    }
    for label in &request.exclude_data {
        let model = model(site, label)?;
        let mut found = false;
        for database in &mut scope.databases {
            if model.databases.is_empty() || model.databases.contains(&database.live.alias) {
                database.exclude_rows_of.push(model.db_table.clone());
                found = true;
            }
        }
        if !found {
            return Err(EngineError::Request {
                problem: format!("`{label}` lies in no database of this backup"),
                hint: Some("Name its database with `--database`.".to_owned()),
            });
        }
    }
    Ok(())
}

fn model<'a>(site: &'a Site, label: &str) -> Result<&'a ModelDescriptor, EngineError> {
    let descriptor = site.descriptor();
    match descriptor.model(label) {
        Some(model) if model.has_table() => Ok(model),
        _ => {
            let labels: Vec<&str> = descriptor
                .models()
                .filter(|model| model.has_table())
                .map(|model| model.label.as_str())
                .collect();
            let bare = |label: &'_ str| label.rsplit('.').next().unwrap_or_default().to_lowercase();
            let same = labels.iter().find(|known| bare(known) == bare(label)).copied();
            let nearest = same.or_else(|| nearest_name(label, labels, 0)).map(str::to_owned);
            Err(EngineError::UnknownModel { label: label.to_owned(), nearest })
        }
    }
}

fn add_media(site: &Site, scope: &mut Scope) -> Result<(), EngineError> {
    if scope.backup_type == BackupType::Database || scope.request.skip_media {
        return Ok(());
    }
    let output = scope.request.output_dir.as_deref().and_then(identity);
    for root in site.media_roots() {
        if output.is_some() && identity(&root.location) == output {
            let left_out = LeftOut {
                what: "storage".to_owned(),
                name: root.alias,
                reason: format!("the backup is written into `{}`", root.location.display()),
            };
            scope.missing.push(left_out.clone());
            scope.left_out.push(left_out);
        } else if root.location.is_dir() {
            let (names, paths) = (&site.settings().media_exclude, &scope.request.exclude_media);
            let selection = site
                .selection(&root.location, names, paths, None)
                .map_err(|e| EngineError::Request { problem: e.to_string(), hint: e.hint() })?;
            let mut skip = site.own_folders();
            skip.extend(output);
            scope.media.push(ScopedMedia { root, selection, skip });
        } else {
            scope.left_out.push(LeftOut {
                what: "storage".to_owned(),
                name: root.alias,
                reason: format!("its folder `{}` does not exist", root.location.display()),
            });
        }
    }
    for other in site.other_storages() {
        let left_out =
            LeftOut { what: "storage".to_owned(), name: other.alias, reason: other.reason };
        if other.matters {
            scope.missing.push(left_out.clone());
        }
        scope.left_out.push(left_out);
    }
    Ok(())
}

/// Device and inode of a folder that exists.
pub(super) fn identity(folder: &std::path::Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|m| (m.dev(), m.ino()))
}
