use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Staged;
use super::connection::open_live;
use super::error::failed;
use super::header::Header;
use super::pages::live_header;
use super::staging::Image;
use super::target::exists;
use crate::{Captured, DatabaseError, Result};

/// How a staged copy takes the live database's place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchMethod {
    /// There is no live file: the copy gets its name.
    Create,
    /// The pages are written into the live file in one transaction; connections stay open.
    InPlace,
    /// The copy gets the live file's name while nobody has it open.
    Replace(ReplaceReason),
}

/// Why pages cannot be written into the live file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplaceReason {
    /// The page sizes differ.
    PageSize {
        /// Of the live file.
        live: u32,
        /// Of the backup.
        backup: u32,
    },
    /// The text encodings differ: open connections could no longer read the schema.
    Encoding {
        /// Of the live file.
        live: String,
        /// Of the backup.
        backup: String,
    },
    /// The live file cannot be read as a database, in the library's words.
    Unreadable(String),
}

impl Staged {
    /// How [`Staged::switch`] would go about it now.
    pub fn plan(&self, busy_timeout: Duration) -> Result<SwitchMethod> {
        plan_for(self.target.live(), &self.image, busy_timeout)
    }
}

/// How a capture would take the place of the database at `live`: what a plan says before anything
/// is staged.
pub fn plan(live: &Path, captured: &Captured, busy_timeout: Duration) -> Result<SwitchMethod> {
    if !exists(live)? {
        return Ok(SwitchMethod::Create);
    }
    // An empty file has neither.
    let facts = captured.sqlite.as_ref().filter(|_| captured.size > 0);
    let backup = facts.map(|facts| (facts.page_size, captured.encoding.as_str()));
    compared(live, backup, busy_timeout)
}

pub(super) fn plan_for(live: &Path, image: &Image, busy_timeout: Duration) -> Result<SwitchMethod> {
    if !exists(live)? {
        return Ok(SwitchMethod::Create);
    }
    compared(live, Some(image.header.compared()), busy_timeout)
}

fn compared(live: &Path, backup: Option<(u32, &str)>, timeout: Duration) -> Result<SwitchMethod> {
    let file = fs::metadata(live).map_err(DatabaseError::io("look at", live))?;
    if !file.is_file() {
        return Err(DatabaseError::NotAFile { path: live.to_owned() });
    }
    let header = match read(live, timeout) {
        Ok(header) => header,
        Err(DatabaseError::NotADatabase { .. }) => {
            let said = "file is not a database".to_owned();
            return Ok(SwitchMethod::Replace(ReplaceReason::Unreadable(said)));
        }
        Err(DatabaseError::Sqlite { source, .. }) if is_corrupt(&source) => {
            let said = super::tables::words(&source);
            return Ok(SwitchMethod::Replace(ReplaceReason::Unreadable(said)));
        }
        Err(error) => return Err(error),
    };
    let reason = header.as_ref().zip(backup).and_then(|(live, backup)| difference(live, backup));
    Ok(reason.map_or(SwitchMethod::InPlace, SwitchMethod::Replace))
}

/// `backup` is its page size and encoding.
pub(super) fn difference(live: &Header, backup: (u32, &str)) -> Option<ReplaceReason> {
    let (page_size, to) = backup;
    if live.page_size() != page_size {
        return Some(ReplaceReason::PageSize { live: live.page_size(), backup: page_size });
    }
    let from = live.encoding().name();
    (from != to).then(|| ReplaceReason::Encoding { live: from.to_owned(), backup: to.to_owned() })
}

fn read(live: &Path, timeout: Duration) -> Result<Option<Header>> {
    let connection = open_live(live, timeout)?;
    connection.execute_batch("BEGIN").map_err(failed("read", live))?;
    live_header(&connection, live)
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt)
}
