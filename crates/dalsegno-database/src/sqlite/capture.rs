use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::connection::{self, journal_mode, open_reader};
use super::error::failed;
use super::flow::{self, Source, SpoolReader};
use super::header::Header;
use super::location::Location;
use super::pages::{Pages, Reading, live_header};
use super::passage::{Stop, Until, beside, in_sink, watched};
use super::spool::Spool;
use super::{exclusion, references, tables};
use crate::{
    CaptureOptions, Captured, DatabaseError, FileColumn, FileSink, Result, Snapshot, TableCount,
    Unreadable, Watch,
};

/// The one file of a captured database.
pub const FILE_NAME: &str = "db.sqlite3";

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

/// Opens a snapshot of the live database at `location`.
///
/// In WAL mode it is one read transaction, and writers go on. In rollback-journal mode a reader
/// holds up every commit: call [`Snapshot::write`] at once. It copies the pages at the speed of the
/// disk, into the sink if that stores files, else into a private spool; then the lock is gone,
/// and counting, references and a slow sink read the copy. A capture that leaves rows out works on a
/// spool in both modes.
pub fn capture(
    location: &Location,
    options: &CaptureOptions,
    watch: &mut dyn Watch,
) -> Result<Box<dyn Snapshot>> {
    if watch.cancelled() {
        return Err(DatabaseError::Cancelled);
    }
    let path = location.path();
    let connection = open_reader(path, options.lock_timeout)?;
    let journal = journal_mode(&connection, path)?;
    connection.execute_batch("BEGIN").map_err(failed("read", path))?;
    let header = live_header(&connection, path)?;
    let excluded = exclusion::checked(&connection, path, &options.exclude_rows_of)?;
    let pages = Pages::open(&connection, path)?;
    let (size, page_size) = (pages.size(), pages.page_size());
    drop(pages);
    Ok(Box::new(SqliteSnapshot {
        path: path.to_owned(),
        header,
        journal,
        page_size,
        connection: Some(connection),
        spool_dir: options.spool_dir.clone(),
        excluded,
        size,
    }))
}

/// Whether a capture makes a private copy of the database at `location`, as large as that is, given
/// whether the sink stores files.
pub fn takes_private_copy(
    location: &Location,
    options: &CaptureOptions,
    stores_files: bool,
) -> Result<bool> {
    if !options.exclude_rows_of.is_empty() {
        return Ok(true);
    }
    if stores_files {
        return Ok(false);
    }
    let connection = open_reader(location.path(), options.lock_timeout)?;
    Ok(journal_mode(&connection, location.path())? != "wal")
}

struct SqliteSnapshot {
    /// The live database; errors name it even when a copy is read.
    path: PathBuf,
    header: Option<Header>,
    journal: String,
    page_size: u32,
    /// In a read transaction of the live database, or alone with a copy of it. Lent out while the
    /// database is written, and lost when that fails.
    connection: Option<Connection>,
    spool_dir: PathBuf,
    excluded: Vec<String>,
    size: u64,
}

impl SqliteSnapshot {
    fn facts(&self) -> Facts {
        let header = self.header.as_ref();
        Facts {
            journal_mode: self.journal.clone(),
            page_size: self.page_size,
            user_version: header.map_or(0, Header::user_version),
            application_id: header.map_or(0, Header::application_id),
            auto_vacuum: header.map_or("none", Header::auto_vacuum).to_owned(),
            schema_cookie: header.map_or(0, Header::schema_cookie),
        }
    }

    /// From a read transaction that stands in nobody's way.
    fn write_beside_writers(
        &self,
        live: Connection,
        sink: &mut dyn FileSink,
        watch: &mut dyn Watch,
    ) -> Result<(Connection, Contents)> {
        let path = &self.path;
        let (gather, chunks) = flow::chunks(watch.flag());
        beside(Source::Chunks(chunks), (path, self.size), sink, watch, move |stop| {
            let Reading::Whole = gather.read(&live, path)? else { return Ok(None) };
            let contents = Contents::read(&live, path, stop)?;
            Ok(Some((live, contents)))
        })
    }

    /// From a locked database into a sink whose file can be read instead of it afterwards.
    fn write_as_file(
        &self,
        live: Connection,
        sink: &mut dyn FileSink,
        watch: &mut dyn Watch,
    ) -> Result<(Connection, Contents)> {
        let path = &self.path;
        let (gather, chunks) = flow::chunks(watch.flag());
        let gather = gather.impatient();
        beside(Source::Chunks(chunks), (path, self.size), sink, watch, move |_| {
            let read = gather.read(&live, path)?;
            // Closed here, not by whoever sees the end of the bytes: writers are waiting.
            drop(live);
            Ok((read == Reading::Whole).then_some(()))
        })?;
        let stored = sink.stored(FILE_NAME).map_err(in_sink)?;
        let copy = connection::Source::Private(&stored).open()?;
        watched(path, watch, move |stop| {
            let contents = Contents::read(&copy, path, stop)?;
            Ok((copy, contents))
        })
    }

    /// From a locked database through a spool, which the sink reads behind the one who fills it.
    fn write_through_spool(
        &self,
        live: Connection,
        sink: &mut dyn FileSink,
        watch: &mut dyn Watch,
    ) -> Result<(Connection, Contents)> {
        let path = &self.path;
        let mut spool = Spool::create(path, &self.spool_dir)?;
        let (tell, filled) = channel();
        let reader = SpoolReader::new(spool.reader()?, filled, None);
        let cancelled = watch.flag();
        beside(Source::Spool(reader), (path, self.size), sink, watch, move |stop| {
            let go_on = |bytes| {
                let unwanted = cancelled.as_ref().is_some_and(|c| c.load(Ordering::Relaxed));
                !unwanted && !stop.is_set() && tell.send(bytes).is_ok()
            };
            let read = spool.fill(&live, path, go_on)?;
            drop(live);
            let Reading::Whole = read else { return Ok(None) };
            let copy = spool.into_connection(path)?;
            let contents = Contents::read(&copy, path, stop)?;
            Ok(Some((copy, contents)))
        })
    }

    /// From a spool from which rows were deleted first.
    fn write_without_rows(
        &mut self,
        live: Connection,
        sink: &mut dyn FileSink,
        watch: &mut dyn Watch,
    ) -> Result<(Connection, Contents)> {
        let path = &self.path;
        let mut spool = Spool::create(path, &self.spool_dir)?;
        let file = spool.reader()?;
        if spool.fill(&live, path, |_| !watch.cancelled())? == Reading::Stopped {
            return Err(DatabaseError::Cancelled);
        }
        drop(live);
        let copy = spool.into_connection(path)?;
        exclusion::empty(&copy, path, &self.excluded)?;
        self.size = Pages::open(&copy, path)?.size();
        let (tell, filled) = channel();
        // The receiver is held right here.
        let _ = tell.send(self.size);
        // The spool says "rollback journal"; the captured file says what the live one says.
        let journal = self.header.map(|header| header.journal_bytes());
        let reader = SpoolReader::new(file, filled, journal);
        beside(Source::Spool(reader), (path, self.size), sink, watch, move |stop| {
            let contents = Contents::read(&copy, path, stop)?;
            Ok(Some((copy, contents)))
        })
    }
}

impl Snapshot for SqliteSnapshot {
    fn estimate(&self) -> u64 {
        self.size
    }

    fn write(&mut self, sink: &mut dyn FileSink, watch: &mut dyn Watch) -> Result<Captured> {
        let live = self.connection.take().ok_or_else(|| lost(&self.path))?;
        let (read, spooled) = if !self.excluded.is_empty() {
            (self.write_without_rows(live, sink, watch)?, true)
        } else if self.journal == "wal" {
            (self.write_beside_writers(live, sink, watch)?, false)
        } else if sink.stores_files() {
            (self.write_as_file(live, sink, watch)?, false)
        } else {
            (self.write_through_spool(live, sink, watch)?, true)
        };
        let (connection, contents) = read;
        self.connection = Some(connection);
        let header = self.header.as_ref();
        Ok(Captured {
            vendor: "sqlite".to_owned(),
            server_version: rusqlite::version().to_owned(),
            encoding: header.map_or("UTF-8", |header| header.encoding().name()).to_owned(),
            size: self.size,
            tables: contents.tables,
            excluded: self.excluded.clone(),
            fingerprint: contents.fingerprint,
            foreign_key_violations: None,
            spooled,
            sqlite: Some(self.facts()),
            postgres: None,
        })
    }

    fn file_references(
        &mut self,
        columns: &[FileColumn],
        found: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<Vec<Unreadable>> {
        let connection = self.connection.as_ref().ok_or_else(|| lost(&self.path))?;
        references::distinct(connection, &self.path, columns, found)
    }
}

fn lost(path: &Path) -> DatabaseError {
    let change = "the capture that held it has failed".to_owned();
    DatabaseError::Moved { path: path.to_owned(), change }
}

/// What is learnt of the captured state beside its bytes.
struct Contents {
    tables: Vec<TableCount>,
    fingerprint: String,
}

impl Contents {
    fn read(connection: &Connection, path: &Path, stop: &Stop) -> Result<Self> {
        stop.interrupts(connection);
        Ok(Self {
            tables: tables::count_all(connection, path, &mut Until(stop))?,
            fingerprint: tables::schema_fingerprint(connection, path)?,
        })
    }
}
