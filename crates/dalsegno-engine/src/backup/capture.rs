//! One capture: every member of the tree, in its order.

use std::collections::BTreeMap;

use dalsegno_archive::{ArchiveError, Closing, TreeWriter, WriteOptions, Written, restore_script};
use dalsegno_format::{
    BackupOptions, BackupType, ByteSize, CaptureKind, Completion, DatabaseCompletion,
    DatabaseMetadata, Entry, EntryKind, FORMAT_VERSION, FixtureCompletion, Form, Metadata, Options,
    Outcome, Problem, References, StorageCompletion, StorageMetadata, Timestamp, TreePath,
    Versions, tree,
};
use serde_json::json;

use super::output::Output;
use super::private_copy::PrivateCopies;
use super::references::ReferenceCheck;
use super::request::{Scope, ScopedMedia};
use super::{database, fixtures, media};
use crate::run::rfc3339;
use crate::space::free_space;
use crate::{EngineError, Run, Site, compatibility, workers};

/// Problems and warnings that a manifest lists; of further problems it holds the number.
const LISTED: usize = 100;

/// What is gathered on the way into `backup_complete.json`.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) databases: BTreeMap<String, DatabaseCompletion>,
    pub(super) storages: BTreeMap<String, StorageCompletion>,
    pub(super) fixtures: Option<FixtureCompletion>,
    pub(super) references: Option<References>,
    pub(super) warnings: Vec<String>,
    pub(super) problems: Vec<Problem>,
    pub(super) more_problems: u64,
}

/// Bytes of each storage, by alias, as they were before they were read.
pub(super) type Sizes = BTreeMap<String, u64>;

/// What every part of a capture needs.
pub(super) struct Capturing<'a> {
    pub(super) site: &'a Site,
    pub(super) scope: &'a Scope,
    pub(super) output: &'a Output,
    pub(super) run: Run<'a>,
    pub(super) sizes: Sizes,
    pub(super) copies: PrivateCopies,
    pub(super) writer: TreeWriter,
    pub(super) gathered: Gathered,
}

pub(super) fn capture(
    site: &Site,
    scope: &Scope,
    output: &Output,
    run: Run<'_>,
) -> Result<Written, EngineError> {
    let (estimate, sizes) = estimate(scope, run)?;
    let compressed = matches!(scope.form, Form::TarGz | Form::TarZst);
    let copies = PrivateCopies::plan(site, scope, output.folder());
    copies.require_space(output.folder(), if compressed { 1 << 20 } else { estimate })?;
    let metadata = metadata(site, scope, output);
    captured(site, scope, output, run, (sizes, copies), &metadata).map_err(|error| match error {
        EngineError::Archive(ArchiveError::NoSpace { .. }) => EngineError::NoSpace {
            folder: output.folder().to_owned(),
            needed: ByteSize(estimate),
            free: ByteSize(free_space(output.folder()).unwrap_or(0)),
        },
        EngineError::Archive(ArchiveError::Cancelled) => EngineError::Cancelled,
        error => error,
    })
}

fn captured(
    site: &Site,
    scope: &Scope,
    output: &Output,
    run: Run<'_>,
    (sizes, copies): (Sizes, PrivateCopies),
    metadata: &Metadata,
) -> Result<Written, EngineError> {
    let options = WriteOptions {
        name: output.stem.clone(),
        form: scope.form,
        level: scope.level,
        workers: workers(),
        file_mode: output.file_mode,
        max_size: None,
        spool_dir: output.folder().to_owned(),
        finished_mtime: Some(begun(output)),
    };
    let mut writer = TreeWriter::create(output.staged(), options)?;
    writer.add_metadata(metadata)?;
    let gathered = Gathered::default();
    let mut work = Capturing { site, scope, output, run, sizes, copies, writer, gathered };
    for missing in &scope.missing {
        work.problem(format!("storage {}", missing.name), missing.reason.clone());
    }
    let mut references = ReferenceCheck::begin(site, scope, output.folder())?;
    database::capture(&mut work, references.as_mut())?;
    if scope.request.include_fixtures {
        fixtures::capture(&mut work)?;
    }
    media::capture(&mut work, references.as_mut())?;
    work.gathered.references = references.map(ReferenceCheck::finish).transpose()?;
    work.run.progress.stage("making it durable", None);
    work.run.check_cancelled()?;
    let Capturing { writer, gathered, .. } = work;
    let script = restore_script(metadata);
    Ok(writer.finish(&script, |closing| completion(output, run, gathered, closing))?)
}

impl Capturing<'_> {
    /// Something that could not be captured: the backup is partial.
    pub(super) fn problem(&mut self, subject: String, reason: String) {
        self.run.progress.warn(&format!("{subject}: {reason}"));
        if self.gathered.problems.len() < LISTED {
            self.gathered.problems.push(Problem { subject, reason });
        } else {
            self.gathered.more_problems += 1;
        }
    }

    /// Something the operator should know.
    pub(super) fn warning(&mut self, text: String) {
        self.run.progress.warn(&text);
        if self.gathered.warnings.len() < LISTED {
            self.gathered.warnings.push(text);
        }
    }

    /// A folder of the tree that is nobody's on the site.
    pub(super) fn own_folder(&mut self, path: &TreePath) -> Result<(), EngineError> {
        let entry = own_entry(path.clone(), EntryKind::Directory, 0o700, begun(self.output));
        Ok(self.writer.add(&entry)?)
    }
}

/// An entry that belongs to who makes the backup.
pub(super) fn own_entry(path: TreePath, kind: EntryKind, mode: u32, mtime: Timestamp) -> Entry {
    Entry {
        path,
        kind,
        mode,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        user: String::new(),
        group: String::new(),
        mtime,
    }
}

/// When the backup began, as a file's time.
pub(super) fn begun(output: &Output) -> Timestamp {
    let nanos = output.begun.timestamp().as_nanosecond();
    Timestamp {
        secs: i64::try_from(nanos.div_euclid(1_000_000_000)).unwrap_or(0),
        nanos: u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0),
    }
}

/// Bytes that the members will have, as far as can be told before reading them.
fn estimate(scope: &Scope, run: Run<'_>) -> Result<(u64, Sizes), EngineError> {
    let (mut bytes, mut sizes) = (1 << 20, Sizes::new());
    for database in &scope.databases {
        bytes += database.live.database.size().unwrap_or(0);
    }
    for media in &scope.media {
        let stored = media::survey(media, run)?.stored;
        sizes.insert(media.root.alias.clone(), stored);
        bytes += stored;
    }
    Ok((bytes, sizes))
}

fn metadata(site: &Site, scope: &Scope, output: &Output) -> Metadata {
    let descriptor = site.descriptor();
    let request = &scope.request;
    let compressed = matches!(scope.form, Form::TarGz | Form::TarZst);
    let default_storage = descriptor.storage("default");
    let migrations = scope
        .databases
        .iter()
        .filter_map(|d| Some((d.live.alias.clone(), compatibility::applied(site, &d.live.alias)?)))
        .collect();
    Metadata {
        format: FORMAT_VERSION,
        id: output.id,
        name: request.name.clone().unwrap_or_else(|| output.stem.clone()),
        folder: output.stem.clone(),
        description: request.description.clone(),
        tags: request.tags.clone(),
        created_at: rfc3339(output.begun.timestamp()),
        backup_timestamp: output.begun.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string(),
        time_zone: site.time_zone().to_owned(),
        backup_type: scope.backup_type,
        capture: CaptureKind::Native,
        form: scope.form,
        django_version: descriptor.django.clone(),
        backup_options: BackupOptions {
            include_files: scope.backup_type != BackupType::Database,
            skip_db: scope.backup_type == BackupType::Media,
            compress: compressed,
            models: json!("all"),
        },
        storage_backend: default_storage.and_then(|s| s.class_name.clone()),
        database_engine: descriptor.databases.get("default").map(|d| d.engine.clone()),
        versions: Versions {
            dalsegno: env!("CARGO_PKG_VERSION").to_owned(),
            django: descriptor.django.clone(),
            python: descriptor.python.clone(),
        },
        project: site.identity(),
        host: Site::host(),
        options: Options {
            compression_level: scope.level,
            media_exclude: site.settings().media_exclude.clone(),
            exclude_media: request.exclude_media.clone(),
            exclude_data: request.exclude_data.clone(),
            include_fixtures: request.include_fixtures,
        },
        databases: scope
            .databases
            .iter()
            .map(|d| {
                let described = DatabaseMetadata {
                    vendor: d.live.database.vendor().to_owned(),
                    engine: d.live.engine.clone(),
                    name: d.live.place().to_string(),
                    folder: tree::database(&d.live.alias).to_string(),
                };
                (d.live.alias.clone(), described)
            })
            .collect(),
        storages: scope
            .media
            .iter()
            .map(|ScopedMedia { root, .. }| {
                let described = StorageMetadata {
                    backend: root.backend.clone(),
                    location: root.location.to_string_lossy().into_owned(),
                    folder: tree::storage(&root.alias).to_string(),
                };
                (root.alias.clone(), described)
            })
            .collect(),
        left_out: scope.left_out.clone(),
        migrations,
    }
}

fn completion(output: &Output, run: Run<'_>, gathered: Gathered, closing: &Closing) -> Completion {
    let now = run.clock.now();
    let millis = now.as_millisecond() - output.begun.timestamp().as_millisecond();
    let partial = !gathered.problems.is_empty();
    let mut problems = gathered.problems;
    if gathered.more_problems > 0 {
        let reason = format!("{} more problems are not listed", gathered.more_problems);
        problems.push(Problem { subject: "and more".to_owned(), reason });
    }
    Completion {
        format: FORMAT_VERSION,
        id: output.id,
        finished_at: rfc3339(now),
        duration_ms: u64::try_from(millis).unwrap_or(0),
        outcome: if partial { Outcome::Partial } else { Outcome::Complete },
        databases: gathered.databases,
        storages: gathered.storages,
        fixtures: gathered.fixtures,
        references: gathered.references,
        members: closing.members,
        bytes: closing.bytes,
        digests: closing.digests.clone(),
        warnings: gathered.warnings,
        problems,
    }
}
