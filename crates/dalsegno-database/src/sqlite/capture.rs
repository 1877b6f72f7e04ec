use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::connection::{journal_mode, open_reader};
use super::error::failed;
use super::header::Header;
use super::location::Location;
use super::pages::{Pages, live_header};
use super::spool::Spool;
use super::{exclusion, references, tables};
use crate::{Captured, DatabaseError, FileColumn, FileSink, Result, Snapshot, Unreadable, Watch};

/// The one file of a captured database.
pub const FILE_NAME: &str = "db.sqlite3";

/// How to capture.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// How long to wait for a lock that another process holds.
    pub busy_timeout: Duration,
    /// A folder for a private copy, where one is needed; it takes as many bytes as the database.
    pub spool_dir: PathBuf,
    /// Tables to capture without their rows.
    pub exclude_rows_of: Vec<String>,
}

/// What an `SQLite` file says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `wal`, `delete`, `truncate`, `persist`, `memory` or `off`; only `wal` is stored in the file.
    pub journal_mode: String,
    /// Bytes of a page.
    pub page_size: u32,
    /// `PRAGMA user_version`.
    pub user_version: i32,
    /// `PRAGMA application_id`.
    pub application_id: i32,
    /// `none`, `full` or `incremental`.
    pub auto_vacuum: String,
    /// `PRAGMA schema_version`.
    pub schema_cookie: u32,
}

/// Takes a snapshot of the live database at `location`.
///
/// In WAL mode the snapshot is one read transaction, and writers go on. In rollback-journal mode a
/// reader holds up every commit, so the pages are copied to a private spool first, at the speed of
/// the disk, and the lock is released before this returns: counting, references and writing then
/// read the spool. A capture that leaves rows out works on a spool in both modes. `watch` is asked
/// whether to stop while the spool is filled.
pub fn capture(
    location: &Location,
    options: &CaptureOptions,
    watch: &mut dyn Watch,
) -> Result<Box<dyn Snapshot>> {
    let path = location.path();
    let connection = open_reader(path, options.busy_timeout)?;
    let journal = journal_mode(&connection, path)?;
    connection.execute_batch("BEGIN").map_err(failed("read", path))?;
    let header = live_header(&connection, path)?;
    let excluded = exclusion::checked(&connection, path, &options.exclude_rows_of)?;
    let snapshot = if journal == "wal" && excluded.is_empty() {
        SqliteSnapshot::new(path, header, journal, connection, false)?
    } else {
        let spool = Spool::fill(&connection, path, &options.spool_dir, watch)?;
        drop(connection);
        let connection = spool.into_connection();
        exclusion::empty(&connection, path, &excluded)?;
        let mut snapshot = SqliteSnapshot::new(path, header, journal, connection, true)?;
        snapshot.excluded = excluded;
        snapshot
    };
    Ok(Box::new(snapshot))
}

struct SqliteSnapshot {
    /// The live database; errors name it even when the spool is read.
    path: PathBuf,
    header: Option<Header>,
    journal: String,
    /// In a read transaction, or alone with the spool.
    connection: Connection,
    spooled: bool,
    excluded: Vec<String>,
    size: u64,
}

impl SqliteSnapshot {
    fn new(
        path: &Path,
        header: Option<Header>,
        journal: String,
        connection: Connection,
        spooled: bool,
    ) -> Result<Self> {
        let size = Pages::open(&connection, path)?.size();
        let excluded = Vec::new();
        Ok(Self { path: path.to_owned(), header, journal, connection, spooled, excluded, size })
    }

    fn facts(&self) -> Result<Facts> {
        let page_size = Pages::open(&self.connection, &self.path)?.page_size();
        let header = self.header.as_ref();
        Ok(Facts {
            journal_mode: self.journal.clone(),
            page_size,
            user_version: header.map_or(0, Header::user_version),
            application_id: header.map_or(0, Header::application_id),
            auto_vacuum: header.map_or("none", Header::auto_vacuum).to_owned(),
            schema_cookie: header.map_or(0, Header::schema_cookie),
        })
    }

    /// The spool says "rollback journal" so that the library reads it without sidecars; the
    /// captured file says what the live one says.
    fn stream(&mut self, sink: &mut dyn FileSink, watch: &mut dyn Watch) -> Result<()> {
        let mut pages = Pages::open(&self.connection, &self.path)?;
        let size = pages.size();
        let mut stream = pages.stream(self.header.map(|header| header.journal_bytes()), watch)?;
        let stored = sink.file(FILE_NAME, size, &mut stream);
        let (left, failure) = stream.finish();
        if let Some(failure) = failure {
            return Err(failure);
        }
        stored.map_err(|source| DatabaseError::Sink { name: FILE_NAME.to_owned(), source })?;
        if left > 0 {
            return Err(DatabaseError::SinkShort {
                name: FILE_NAME.to_owned(),
                size,
                taken: size - left,
            });
        }
        Ok(())
    }
}

impl Snapshot for SqliteSnapshot {
    fn estimate(&self) -> u64 {
        self.size
    }

    fn write(&mut self, sink: &mut dyn FileSink, watch: &mut dyn Watch) -> Result<Captured> {
        self.stream(sink, watch)?;
        let header = self.header.as_ref();
        Ok(Captured {
            vendor: "sqlite".to_owned(),
            server_version: rusqlite::version().to_owned(),
            encoding: header.map_or("UTF-8", |header| header.encoding().name()).to_owned(),
            size: self.size,
            tables: tables::count_all(&self.connection, &self.path, watch)?,
            excluded: self.excluded.clone(),
            fingerprint: tables::schema_fingerprint(&self.connection, &self.path)?,
            foreign_key_violations: None,
            spooled: self.spooled,
            sqlite: Some(self.facts()?),
        })
    }

    fn file_references(
        &mut self,
        columns: &[FileColumn],
        found: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<Vec<Unreadable>> {
        references::distinct(&self.connection, &self.path, columns, found)
    }
}
