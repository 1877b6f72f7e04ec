//! Tables of captured databases, read out of a backup without restoring it.

use std::io::{Read, Write};
use std::path::Path;

use dalsegno_archive::Archive;
use dalsegno_database::stored::{self, ReadError, StoredFiles};
use dalsegno_database::{DatabaseError, sqlite};
use dalsegno_format::{TreePath, tree};

use crate::backup::RunWatch;
use crate::open::open;
use crate::verify::extract;
use crate::{EngineError, Run};

/// The files of one captured database of an archive.
pub(crate) struct Members<'a> {
    archive: &'a Archive,
    folder: TreePath,
}

impl<'a> Members<'a> {
    pub(crate) fn of(archive: &'a Archive, alias: &str) -> Self {
        Self { archive, folder: tree::database(alias) }
    }
}

impl StoredFiles for Members<'_> {
    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, ReadError> {
        let path = self.folder.join(name)?;
        Ok(self.archive.open_member(&path)?)
    }
}

/// A table of a captured database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInBackup {
    /// What `get` calls it: the folder of the database, then its name.
    pub path: String,
    /// Its rows; `None` where they were not counted.
    pub rows: Option<u64>,
}

/// The tables of the database whose folder this is; none of any other path.
pub fn tables_in(source: &Path, folder: &TreePath) -> Result<Vec<TableInBackup>, EngineError> {
    let archive = open(source)?;
    let mut databases = archive.manifest().completion.databases.iter();
    let Some((_, held)) = databases.find(|(alias, _)| tree::database(alias) == *folder) else {
        return Ok(Vec::new());
    };
    let tables = held
        .tables
        .iter()
        .map(|table| TableInBackup { path: format!("{folder}/{}", table.name), rows: table.rows });
    Ok(tables.collect())
}

/// Writes the rows of the table at `path` (see [`TableInBackup::path`]) as JSON lines; `None` where
/// the backup has no such table.
pub(crate) fn write_rows(
    archive: &Archive,
    path: &TreePath,
    out: &mut dyn Write,
    run: Run<'_>,
) -> Result<Option<u64>, EngineError> {
    let databases = &archive.manifest().completion.databases;
    let wanted = path.to_string();
    let found = databases.iter().find_map(|(alias, held)| {
        let table = wanted.strip_prefix(&format!("{}/", tree::database(alias)))?;
        held.tables.iter().any(|held| held.name == table).then_some((alias, table))
    });
    let Some((alias, table)) = found else { return Ok(None) };
    run.progress.stage(&format!("reading {path}"), None);
    let vendor = &archive.metadata().databases[alias].vendor;
    let mut watch = RunWatch(run);
    let written = if vendor == "sqlite" {
        let extracted = extract(archive, alias, &std::env::temp_dir(), run)?;
        sqlite::rows(sqlite::Source::Private(&extracted.path), table, out, &mut watch)
    } else {
        stored::rows(vendor, &mut Members::of(archive, alias), table, out, &mut watch)
    };
    match written {
        Err(DatabaseError::Cancelled) => Err(EngineError::Cancelled),
        written => written.map(Some).map_err(EngineError::database(alias)),
    }
}
