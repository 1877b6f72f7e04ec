use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::connection::{set_cache, settle};
use super::error::failed;
use super::header::{self, Header};
use super::pages::Pages;
use crate::{DatabaseError, Result, Watch};

/// Bytes between two looks at the watch.
const CHUNK: usize = 1 << 20;

/// A private copy of a database that has no name: it is gone when its connection closes, however
/// the process ends.
pub(super) struct Spool {
    connection: Connection,
}

impl Spool {
    /// Copies what the transaction of `live` sees into a file in `folder`.
    ///
    /// The library has no way to open a file without a name, so it opens the file while it still
    /// has one and is empty; the name is removed before the first byte is written.
    pub(super) fn fill(
        live: &Connection,
        path: &Path,
        folder: &Path,
        watch: &mut dyn Watch,
    ) -> Result<Self> {
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
        copy(live, path, folder, file, watch)?;
        private(&connection, path)?;
        Ok(Self { connection })
    }

    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }
}

/// Nobody else can reach the file: no journal on disk, no lock taken twice.
fn private(connection: &Connection, path: &Path) -> Result<()> {
    settle(connection, path)?;
    let set = |name, value| connection.pragma_update(None, name, value);
    set("locking_mode", "EXCLUSIVE").map_err(failed("read a spool of", path))?;
    set("journal_mode", "MEMORY").map_err(failed("read a spool of", path))?;
    set("synchronous", "OFF").map_err(failed("read a spool of", path))?;
    set_cache(connection, 2 << 10, path)
}

fn copy(
    live: &Connection,
    path: &Path,
    folder: &Path,
    file: File,
    watch: &mut dyn Watch,
) -> Result<()> {
    let mut out = BufWriter::with_capacity(CHUNK, file);
    let pages = Pages::open(live, path)?;
    let (count, page_size) = (pages.count(), pages.page_size() as usize);
    let mut result = Ok(());
    let mut until_look = 0;
    pages.each(|number, page| {
        if until_look == 0 && watch.cancelled() {
            result = Err(DatabaseError::Cancelled);
            return false;
        }
        until_look = (until_look + page_size) % CHUNK;
        let written = if number == 1 && Header::of(page).is_some() {
            let mut first = page.to_vec();
            header::set_pages(&mut first, count);
            header::set_journal_bytes(&mut first, [1, 1]);
            out.write_all(&first)
        } else {
            out.write_all(page)
        };
        result = written.map_err(DatabaseError::io("write a spool in", folder));
        result.is_ok()
    })?;
    result?;
    out.flush().map_err(DatabaseError::io("write a spool in", folder))
}
