use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::connection::{set_cache, settle};
use super::error::failed;
use super::header::{self, Header};
use super::pages::{Pages, Reading};
use crate::{DatabaseError, Result};

/// Bytes written at once: so many that calls do not count, so few that they stay in the
/// processor's cache. Between two writes the one who fills is asked whether to go on.
const CHUNK: usize = 256 << 10;

/// A private copy of a database that has no name: it is gone when its connection closes, however
/// the process ends.
pub(super) struct Spool {
    connection: Connection,
    file: File,
    folder: PathBuf,
}

impl Spool {
    /// Makes an empty one in `folder` for the database at `path`.
    ///
    /// The library has no way to open a file without a name, so it opens the file while it still
    /// has one and is empty; the name is removed before the first byte is written.
    pub(super) fn create(path: &Path, folder: &Path) -> Result<Self> {
        let named = tempfile::Builder::new()
            .prefix(".dalsegno-")
            .suffix(".spool")
            .tempfile_in(folder)
            .map_err(DatabaseError::io("create a spool in", folder))?;
        let name =
            named.path().canonicalize().map_err(DatabaseError::io("create a spool in", folder))?;
        let connection = Connection::open_with_flags(
            &name,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .map_err(failed("open a spool of", path))?;
        let (file, name) = named.into_parts();
        name.close().map_err(DatabaseError::io("unlink a spool in", folder))?;
        Ok(Self { connection, file, folder: folder.to_owned() })
    }

    /// The same file, for reading what is in it already.
    pub(super) fn reader(&self) -> Result<File> {
        self.file.try_clone().map_err(DatabaseError::io("read a spool in", &self.folder))
    }

    /// Copies what the transaction of `live` sees. The copy says "rollback journal", so that the
    /// library reads it without sidecars. `filled` learns how many bytes are in it; `false` from
    /// it ends the filling, and what is there is of no use.
    pub(super) fn fill(
        &mut self,
        live: &Connection,
        path: &Path,
        mut filled: impl FnMut(u64) -> bool,
    ) -> Result<Reading> {
        let pages = Pages::open(live, path)?;
        let count = pages.count();
        let Self { file, folder, .. } = self;
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut written = 0;
        let mut result = Ok(Reading::Whole);
        let mut write = |chunk: &mut Vec<u8>, result: &mut Result<Reading>| {
            if let Err(error) = file.write_all(chunk) {
                *result = Err(DatabaseError::io("write a spool in", folder.as_path())(error));
                return false;
            }
            written += chunk.len() as u64;
            chunk.clear();
            let go_on = filled(written);
            if !go_on {
                *result = Ok(Reading::Stopped);
            }
            go_on
        };
        pages.each(|number, page| {
            if chunk.len() + page.len() > CHUNK && !write(&mut chunk, &mut result) {
                return false;
            }
            let start = chunk.len();
            chunk.extend_from_slice(page);
            if number == 1 && Header::of(page).is_some() {
                header::set_pages(&mut chunk[start..], count);
                header::set_journal_bytes(&mut chunk[start..], [1, 1]);
            }
            true
        })?;
        if !chunk.is_empty() && matches!(result, Ok(Reading::Whole)) {
            write(&mut chunk, &mut result);
        }
        result
    }

    /// The connection to a filled spool. Nobody else can reach the file: no journal on disk, no
    /// lock taken twice.
    pub(super) fn into_connection(self, path: &Path) -> Result<Connection> {
        let Self { connection, .. } = self;
        settle(&connection, path)?;
        let set = |name, value| connection.pragma_update(None, name, value);
        set("locking_mode", "EXCLUSIVE").map_err(failed("read a spool of", path))?;
        set("journal_mode", "MEMORY").map_err(failed("read a spool of", path))?;
        set("synchronous", "OFF").map_err(failed("read a spool of", path))?;
        set_cache(&connection, 2 << 10, path)?;
        Ok(connection)
    }
}
