use std::path::Path;

use rusqlite::{Connection, Statement};

use super::error::failed;
use super::header::Header;
use crate::{DatabaseError, Result};

/// The pages of a database in order, as one transaction of `connection` sees them.
pub(super) struct Pages<'c> {
    statement: Statement<'c>,
    path: &'c Path,
    count: u32,
    page_size: u32,
}

/// How a reading of all pages ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// With the last page.
    Whole,
    /// Before: nobody wanted more.
    Stopped,
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
