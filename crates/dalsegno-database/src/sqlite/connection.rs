use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::error::failed;
use crate::{DatabaseError, Result};

/// Which file to read, and whether others may be using it.
#[derive(Debug, Clone, Copy)]
pub enum Source<'p> {
    /// A live database: read under its locks, waiting this long for them.
    Live(&'p Path, Duration),
    /// A copy that nobody else touches: read without locks, leaving nothing beside it.
    Private(&'p Path),
}

impl<'p> Source<'p> {
    pub(super) fn path(&self) -> &'p Path {
        match *self {
            Self::Live(path, _) | Self::Private(path) => path,
        }
    }

    /// A connection that cannot write.
    pub(super) fn open(&self) -> Result<Connection> {
        match *self {
            Self::Live(path, timeout) => open_reader(path, timeout),
            Self::Private(path) => open_private(path),
        }
    }
}

/// Page cache of connections that only read: pages are read once and in order.
const READER_CACHE: i64 = 2 << 10;

/// The absolute form of a live database's path, links resolved.
///
/// An absolute path can never be taken for a `file:` URI, which this build of SQLite understands
/// in every name.
pub(super) fn resolved(path: &Path) -> Result<PathBuf> {
    let canonical = fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => DatabaseError::Missing { path: path.to_owned() },
        _ => DatabaseError::io("find", path)(error),
    })?;
    let file = fs::metadata(&canonical).map_err(DatabaseError::io("look at", path))?;
    if file.is_file() {
        Ok(canonical)
    } else {
        Err(DatabaseError::NotAFile { path: path.to_owned() })
    }
}

/// Opens a live database, never creating one, for reading.
///
/// The file is opened for writing where the rights allow: a reader of a WAL database has to be
/// able to write the shared memory file, a hot journal has to be played back, and the last
/// connection to close removes `-wal` and `-shm` again, so that no sidecar stays behind. Those that
/// the library creates as root get the owner of the database file.
pub(super) fn open_reader(path: &Path, timeout: Duration) -> Result<Connection> {
    let connection = open_live(path, timeout)?;
    connection.pragma_update(None, "query_only", true).map_err(failed("open", path))?;
    set_cache(&connection, READER_CACHE, path)?;
    Ok(connection)
}

/// Opens a live database, never creating one, for reading and writing.
pub(super) fn open_live(path: &Path, timeout: Duration) -> Result<Connection> {
    let file = resolved(path)?;
    let mut connection = Connection::open_with_flags(
        file,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed("open", path))?;
    be_patient(&mut connection, timeout).map_err(failed("open", path))?;
    // What cannot be read is not to be tidied: closing would write back and remove its log.
    let tidy_up = |tidy: bool| {
        connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !tidy)
            .map_err(failed("open", path))
    };
    tidy_up(false)?;
    settle(&connection, path)?;
    connection
        .pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))
        .map_err(failed("open", path))?;
    tidy_up(true)?;
    Ok(connection)
}

/// How long a connection has waited for locks.
#[derive(Debug, Default)]
pub(super) struct Patience {
    waited_us: AtomicU64,
    over: AtomicBool,
}

impl Patience {
    /// Whether the budget is used up, and the library was told so.
    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Grants the whole budget again.
    pub(super) fn renew(&self) {
        self.waited_us.store(0, Ordering::Relaxed);
    }
}

/// Waits for locks up to `budget` in all until renewed, not for each lock anew.
///
/// It asks far more often than the library's own handler, which sleeps up to 100 ms: a site that
/// commits without a pause leaves gaps of a millisecond.
pub(super) fn be_patient(
    connection: &mut Connection,
    budget: Duration,
) -> rusqlite::Result<Arc<Patience>> {
    let patience = Arc::new(Patience::default());
    let mine = Arc::clone(&patience);
    connection.busy_handler(Some(move |_| {
        if u128::from(mine.waited_us.load(Ordering::Relaxed)) >= budget.as_micros() {
            mine.over.store(true, Ordering::Relaxed);
            return false;
        }
        let start = Instant::now();
        sleep(Duration::from_millis(1));
        let paused = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        mine.waited_us.fetch_add(paused, Ordering::Relaxed);
        true
    }))?;
    Ok(patience)
}

/// Opens a private copy for reading, without locks and sidecars whatever its journal mode.
pub(super) fn open_private(path: &Path) -> Result<Connection> {
    let file = resolved(path)?;
    let mut uri = b"file://".to_vec();
    for &byte in file.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(byte),
            _ if byte.is_ascii_alphanumeric() => uri.push(byte),
            _ => uri.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    uri.extend_from_slice(b"?immutable=1");
    let connection = Connection::open_with_flags(
        OsString::from_vec(uri),
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(failed("open", path))?;
    settle(&connection, path)?;
    set_cache(&connection, READER_CACHE, path)?;
    Ok(connection)
}

/// What every connection of ours has in common: files are never mapped into memory (a file that
/// shrinks under a mapping kills the process), the schema's own expressions are not trusted.
pub(super) fn settle(connection: &Connection, path: &Path) -> Result<()> {
    connection.pragma_update(None, "trusted_schema", false).map_err(failed("open", path))?;
    connection.pragma_update(None, "mmap_size", 0).map_err(failed("open", path))?;
    let usable: bool = connection
        .query_row("SELECT sqlite_compileoption_used('ENABLE_DBPAGE_VTAB')", [], |row| row.get(0))
        .map_err(failed("open", path))?;
    if usable { Ok(()) } else { Err(DatabaseError::NoPageAccess) }
}

/// Sets the page cache to `kib` KiB.
pub(super) fn set_cache(connection: &Connection, kib: i64, path: &Path) -> Result<()> {
    connection.pragma_update(None, "cache_size", -kib).map_err(failed("read", path))
}

/// The journal mode as the library names it: `wal`, `delete`, ...
pub(super) fn journal_mode(connection: &Connection, path: &Path) -> Result<String> {
    connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .map_err(failed("read", path))
}

/// An identifier as SQL wants it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
