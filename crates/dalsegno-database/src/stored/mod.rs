//! Captured databases as they lie in a backup: read and judged without a server.
//!
//! Not here: what wrote them, archives, SQLite files, which have their own check.

mod check;
mod list;
mod rows;

use std::error::Error;
use std::io::Read;

pub use check::check;
pub use list::{StoredTable, tables};
pub use rows::rows;

/// Whether databases of this engine are captured as fixtures: every one that has no module of its
/// own.
fn through_django(vendor: &str) -> bool {
    !matches!(vendor, "sqlite" | "postgresql" | "mysql")
}

/// What a file of a backup could not be read for.
pub type ReadError = Box<dyn Error + Send + Sync>;

/// The files of one captured database, as a backup holds them.
pub trait StoredFiles {
    /// Opens one by its name below the folder of the alias.
    fn open(&mut self, name: &str) -> Result<Box<dyn Read + '_>, ReadError>;
}
