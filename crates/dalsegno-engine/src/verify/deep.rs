//! The captured databases themselves: rows, structure, foreign keys.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use dalsegno_archive::Archive;
use dalsegno_database::{DeepReport, TableHash, sqlite, stored};
use dalsegno_format::{Manifest, TableRows, tree};
use dalsegno_store::{FolderOptions, LocalFolder, ObjectName, Staged, create_folders, sweep_of};

use crate::backup::RunWatch;
use crate::look::copy;
use crate::open::open;
use crate::step::step;
use crate::tables::Members;
use crate::{EngineError, Run};

/// What was found in each database, by alias.
#[derive(Debug)]
pub struct DeepCheck {
    /// One for each captured database.
    pub databases: BTreeMap<String, DatabaseCheck>,
}

/// What was found in one database.
#[derive(Debug)]
pub struct DatabaseCheck {
    /// The engine's report.
    pub report: DeepReport,
    /// Tables whose rows are not those of the manifest.
    pub counts: Vec<String>,
}

impl DeepCheck {
    pub(super) fn findings(&self) -> Vec<String> {
        self.databases
            .iter()
            .flat_map(|(alias, check)| {
                let problems = check.report.problems.iter().chain(&check.counts);
                problems.map(move |problem| format!("database {alias}: {problem}"))
            })
            .collect()
    }
}

/// A database taken out of a backup into a private file, removed when dropped.
pub(crate) struct Extracted {
    _folder: Staged,
    pub(crate) path: PathBuf,
}

/// What the name of a scratch folder begins with.
pub(crate) const SCRATCH: &str = "dalsegno-verify";

/// Takes the database of an alias out of a backup, into a folder of its own below `scratch`. Those
/// of killed processes are removed first, and nothing else: `scratch` may be everybody's.
pub(crate) fn extract(
    archive: &Archive,
    alias: &str,
    scratch: &Path,
    run: Run<'_>,
) -> Result<Extracted, EngineError> {
    let name = ObjectName::new(SCRATCH)?;
    for left in sweep_of(scratch, &name)?.removed {
        run.progress.warn(&format!("removed `{}`, which a killed run left", left.path.display()));
    }
    let store = LocalFolder::open(scratch, FolderOptions::default())?;
    let staged = store.stage(&name)?;
    create_folders(staged.path(), 0o700)?;
    let path = staged.path().join(sqlite::FILE_NAME);
    let extracted = Extracted { _folder: staged, path };
    let member = tree::database(alias).join(sqlite::FILE_NAME).expect("a fixed name is a path");
    let mut content = archive.open_member(&member)?;
    let failed =
        |e| EngineError::Store(dalsegno_store::StoreError::io("write", &extracted.path, e));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&extracted.path)
        .map_err(failed)?;
    copy(&mut *content, &mut file, archive.path(), run)?;
    step("extracted");
    Ok(extracted)
}

pub(super) fn check(
    path: &Path,
    manifest: &Manifest,
    scratch: &Path,
    run: Run<'_>,
) -> Result<DeepCheck, EngineError> {
    let archive = open(path)?;
    let mut databases = BTreeMap::new();
    for (alias, described) in &manifest.completion.databases {
        run.progress.stage(&format!("checking the rows of database {alias}"), None);
        let vendor = manifest.metadata.databases.get(alias).map_or("", |d| d.vendor.as_str());
        let report = if vendor == "sqlite" {
            let extracted = extract(&archive, alias, scratch, run)?;
            sqlite::deep_check(&extracted.path, &mut RunWatch(run))
        } else {
            stored::check(vendor, &mut Members::of(&archive, alias), &mut RunWatch(run))
        };
        let report = report.map_err(EngineError::database(alias))?;
        let counts = wrong_counts(&described.tables, &report.tables);
        databases.insert(alias.clone(), DatabaseCheck { report, counts });
    }
    Ok(DeepCheck { databases })
}

/// What cannot be counted here, a virtual table for one, says so in a note of its own.
fn wrong_counts(expected: &[TableRows], found: &[TableHash]) -> Vec<String> {
    let wrong = |table: &TableRows| {
        let rows = table.rows?;
        match found.iter().find(|t| t.name == table.name) {
            None => Some(format!("table `{}` is missing", table.name)),
            Some(t) => t
                .rows
                .filter(|n| *n != rows)
                .map(|n| format!("table `{}` has {n} rows, the manifest says {rows}", table.name)),
        }
    };
    expected.iter().filter_map(wrong).collect()
}
