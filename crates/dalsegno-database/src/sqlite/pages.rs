use std::io::{self, Read};
use std::path::Path;

use rusqlite::{Connection, Rows, Statement};

use super::error::failed;
use super::header::{self, HEADER, Header};
use crate::{DatabaseError, Result, Watch};

/// The pages of a database in order, as one transaction of `connection` sees them.
pub(super) struct Pages<'c> {
    statement: Statement<'c>,
    path: &'c Path,
    count: u32,
    page_size: u32,
}

impl<'c> Pages<'c> {
    /// Needs a transaction that is already reading, or one read at most.
    pub(super) fn open(connection: &'c Connection, path: &'c Path) -> Result<Self> {
        let pragma = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, u32>(0))
                .map_err(failed("read", path))
        };
        let (count, page_size) = (pragma("page_count")?, pragma("page_size")?);
        let statement =
            connection.prepare("SELECT data FROM sqlite_dbpage").map_err(failed("read", path))?;
        Ok(Self { statement, path, count, page_size })
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    pub(super) fn page_size(&self) -> u32 {
        self.page_size
    }

    pub(super) fn size(&self) -> u64 {
        u64::from(self.count) * u64::from(self.page_size)
    }

    /// Calls `visit` with each page's number, from 1, and bytes until it returns false.
    pub(super) fn each(mut self, mut visit: impl FnMut(u32, &[u8]) -> bool) -> Result<()> {
        let (path, count) = (self.path, self.count);
        let mut rows = self.statement.query([]).map_err(failed("read", path))?;
        let mut number = 0;
        while let Some(row) = rows.next().map_err(failed("read", path))? {
            number += 1;
            let page = row.get_ref(0).map_err(failed("read", path))?;
            let page = page.as_blob().map_err(|error| failed("read", path)(error.into()))?;
            if !visit(number, page) {
                return Ok(());
            }
        }
        if number == count { Ok(()) } else { Err(moved(path, number, count)) }
    }

    /// Reads the pages as one stream of [`Pages::size`] bytes; the header's page count is made
    /// true, and its journal mode is set to `journal` if given.
    pub(super) fn stream<'s>(
        &'s mut self,
        journal: Option<[u8; 2]>,
        watch: &'s mut dyn Watch,
    ) -> Result<PageStream<'s>> {
        let (left, path, count) = (self.size(), self.path, self.count);
        let rows = self.statement.query([]).map_err(failed("read", path))?;
        Ok(PageStream {
            rows,
            path,
            watch,
            count,
            journal,
            left,
            page: Vec::new(),
            at: 0,
            started: false,
            failure: None,
        })
    }
}

fn moved(path: &Path, found: u32, expected: u32) -> DatabaseError {
    DatabaseError::Moved {
        path: path.to_owned(),
        change: format!("{found} pages instead of {expected}"),
    }
}

/// Page 1 as the transaction of `connection` sees it; `None` for a database without any page.
pub(super) fn first_page(connection: &Connection, path: &Path) -> Result<Option<Vec<u8>>> {
    use rusqlite::OptionalExtension;
    connection
        .query_row("SELECT data FROM sqlite_dbpage WHERE pgno = 1", [], |row| row.get(0))
        .optional()
        .map_err(failed("read", path))
}

/// The header as the transaction of `connection` sees it; `None` for a database without any page.
pub(super) fn live_header(connection: &Connection, path: &Path) -> Result<Option<Header>> {
    first_page(connection, path)?
        .map(|page| {
            Header::of(&page).ok_or_else(|| DatabaseError::NotADatabase { path: path.to_owned() })
        })
        .transpose()
}

/// A [`Read`] over the pages of one transaction.
pub(super) struct PageStream<'s> {
    rows: Rows<'s>,
    path: &'s Path,
    watch: &'s mut dyn Watch,
    count: u32,
    journal: Option<[u8; 2]>,
    /// Bytes not yet handed out.
    left: u64,
    /// The page being handed out, from `at` on.
    page: Vec<u8>,
    at: usize,
    started: bool,
    failure: Option<DatabaseError>,
}

impl PageStream<'_> {
    /// Bytes not yet read, and what stopped the reading if something did.
    pub(super) fn finish(self) -> (u64, Option<DatabaseError>) {
        (self.left, self.failure)
    }

    /// Whole pages go straight into `buffer`; one that does not fit is kept.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && self.left > 0 {
            if self.at == self.page.len() {
                let first = !std::mem::replace(&mut self.started, true);
                let Some(row) = self.rows.next().map_err(failed("read", self.path))? else {
                    return Err(DatabaseError::Moved {
                        path: self.path.to_owned(),
                        change: format!("its last {} bytes are gone", self.left),
                    });
                };
                let page = row.get_ref(0).map_err(failed("read", self.path))?;
                let page = page.as_blob().map_err(|e| failed("read", self.path)(e.into()))?;
                if !first && page.len() <= buffer.len() - filled {
                    buffer[filled..filled + page.len()].copy_from_slice(page);
                    filled += page.len();
                    self.left -= page.len() as u64;
                    continue;
                }
                self.page.clear();
                self.page.extend_from_slice(page);
                self.at = 0;
                if first && self.page.len() >= HEADER {
                    header::set_pages(&mut self.page, self.count);
                    if let Some(bytes) = self.journal {
                        header::set_journal_bytes(&mut self.page, bytes);
                    }
                }
            }
            let n = (self.page.len() - self.at).min(buffer.len() - filled);
            buffer[filled..filled + n].copy_from_slice(&self.page[self.at..self.at + n]);
            self.at += n;
            filled += n;
            self.left -= n as u64;
        }
        Ok(filled)
    }
}

impl Read for PageStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.is_none() && self.watch.cancelled() {
            self.failure = Some(DatabaseError::Cancelled);
        }
        if self.failure.is_some() {
            return Err(io::Error::other("the capture was stopped"));
        }
        match self.fill(buffer) {
            Ok(n) => {
                self.watch.bytes(n as u64);
                Ok(n)
            }
            Err(failure) => {
                let shown = io::Error::other(failure.to_string());
                self.failure = Some(failure);
                Err(shown)
            }
        }
    }
}
