//! Databases into the tree.

use std::error::Error;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use dalsegno_archive::{ArchiveError, Content};
use dalsegno_database::{Captured, DatabaseError, FileSink, Watch};
use dalsegno_format::{
    DatabaseCompletion, Entry, EntryKind, ErrorKind, Sha256, TableRows, TreePath, tree,
};
use serde_json::Value;

use super::capture::{Capturing, begun, own_entry};
use super::private_copy;
use super::references::ReferenceCheck;
use super::request::ScopedDatabase;
use crate::site::is_native;
use crate::{EngineError, Run};

/// How long work waits for locks that the site holds.
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Progress and cancellation of a run, as databases ask for them.
pub(crate) struct RunWatch<'a>(pub(crate) Run<'a>);

impl Watch for RunWatch<'_> {
    fn bytes(&mut self, n: u64) {
        self.0.progress.advance(n);
    }

    fn cancelled(&self) -> bool {
        self.0.cancel.requested()
    }

    fn flag(&self) -> Option<Arc<AtomicBool>> {
        Some(self.0.cancel.flag())
    }
}

pub(super) fn capture(
    work: &mut Capturing<'_>,
    mut references: Option<&mut ReferenceCheck>,
) -> Result<(), EngineError> {
    if work.scope.databases.is_empty() {
        return Ok(());
    }
    work.own_folder(&tree::path(tree::DATABASE))?;
    let mut databases: Vec<&ScopedDatabase> = work.scope.databases.iter().collect();
    databases.sort_by_key(|d| tree::database(&d.live.alias));
    for database in databases {
        capture_one(work, database, references.as_deref_mut())?;
    }
    Ok(())
}

fn capture_one(
    work: &mut Capturing<'_>,
    database: &ScopedDatabase,
    references: Option<&mut ReferenceCheck>,
) -> Result<(), EngineError> {
    let alias = &database.live.alias;
    let failed = || EngineError::database(alias);
    let run = work.run;
    let spools = work.copies.folder(alias, work.output.folder());
    let options = private_copy::options(database, spools, BUSY_TIMEOUT);
    let size = database.live.database.size();
    run.progress.stage(&format!("backing up database {alias}"), size);
    let mut watch = RunWatch(run);
    let folder = tree::database(alias);
    // From the capture on the site may be waiting for its lock: nothing is written meanwhile but
    // the database itself.
    work.own_folder(&folder)?;
    let mut snapshot = database.live.database.capture(&options, &mut watch).map_err(failed())?;
    let mut sink = MemberSink { work, database, folder: &folder, made: Vec::new() };
    let captured = match snapshot.write(&mut sink, &mut watch) {
        Err(DatabaseError::Sink { source, .. }) if source.is::<EngineError>() => {
            return Err(*source.downcast::<EngineError>().expect("the guard looked"));
        }
        captured => captured.map_err(failed())?,
    };
    let through_django = !is_native(&captured.vendor);
    for table in &captured.tables {
        let reason = table.note.clone().unwrap_or_default();
        let subject = format!("database {alias}, table `{}`", table.name);
        if table.damaged {
            work.problem(subject, reason);
        } else if through_django && table.note.is_some() {
            work.warning(format!("{subject}: {reason}"));
        }
    }
    if let Some(references) = references {
        for unreadable in references.read(alias, snapshot.as_mut()).map_err(failed())? {
            work.warning(unreadable);
        }
    }
    work.gathered.databases.insert(alias.clone(), completion(&captured));
    Ok(())
}

fn completion(captured: &Captured) -> DatabaseCompletion {
    let tables = captured
        .tables
        .iter()
        .map(|t| TableRows { name: t.name.clone(), rows: t.rows, note: t.note.clone() })
        .collect();
    let mut facts = match serde_json::to_value(captured) {
        Ok(Value::Object(facts)) => facts,
        _ => serde_json::Map::new(),
    };
    facts.remove("tables");
    DatabaseCompletion { bytes: captured.size, tables, facts }
}

/// Files of one database become members of the tree.
struct MemberSink<'a, 'b> {
    work: &'a mut Capturing<'b>,
    database: &'a ScopedDatabase,
    folder: &'a TreePath,
    /// Folders below it that have an entry.
    made: Vec<TreePath>,
}

impl MemberSink<'_, '_> {
    /// The mode and owner of the live file: what a restore gives a database that is gone.
    fn entry(&self, path: TreePath, size: u64) -> Entry {
        let kind = EntryKind::File { size, extents: None };
        let mut entry = own_entry(path, kind, 0o600, begun(self.work.output));
        if let Some(Ok(live)) = self.database.live.file().map(|file| file.metadata()) {
            entry.mode = live.mode() & 0o777;
            entry.uid = live.uid();
            entry.gid = live.gid();
        }
        entry
    }
}

impl MemberSink<'_, '_> {
    /// An entry for each folder of a file's name that has none.
    fn make_folders(&mut self, name: &str) -> Result<(), EngineError> {
        for (end, _) in name.match_indices('/') {
            let folder = self.path(&name[..end])?;
            if !self.made.contains(&folder) {
                self.work.own_folder(&folder)?;
                self.made.push(folder);
            }
        }
        Ok(())
    }

    fn path(&self, name: &str) -> Result<TreePath, EngineError> {
        self.folder
            .join(name)
            .map_err(|e| EngineError::Request { problem: e.to_string(), hint: None })
    }
}

impl FileSink for MemberSink<'_, '_> {
    fn file(
        &mut self,
        name: &str,
        size: u64,
        data: &mut dyn Read,
    ) -> Result<Sha256, Box<dyn Error + Send + Sync>> {
        self.make_folders(name)?;
        let entry = self.entry(self.path(name)?, size);
        let added = self.work.writer.add_file(&entry, Content::Stream(data));
        added.map_err(|error| match error {
            ArchiveError::Content { source, .. } => read_failed(source),
            error => Box::new(EngineError::Archive(error)) as Box<dyn Error + Send + Sync>,
        })
    }

    fn stores_files(&self) -> bool {
        self.work.copies.direct
    }

    fn stored(&mut self, name: &str) -> Result<PathBuf, Box<dyn Error + Send + Sync>> {
        let path = self.path(name)?;
        let stored = self.work.writer.stored(&path).map_err(EngineError::Archive)?;
        stored.ok_or_else(|| format!("`{path}` is not stored as a file").into())
    }
}

/// An error of the database that came through the reader goes back as it was.
fn read_failed(source: std::io::Error) -> Box<dyn Error + Send + Sync> {
    match source.downcast::<DatabaseError>() {
        Ok(error) if error.kind() == ErrorKind::Cancelled => Box::new(EngineError::Cancelled),
        Ok(error) => Box::new(error),
        Err(source) => Box::new(source),
    }
}
