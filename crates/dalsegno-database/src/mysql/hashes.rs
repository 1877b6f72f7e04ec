//! The rows of a whole schema, read back and hashed as the capture hashed them.

use std::time::Duration;

use super::Access;
use super::look::table_hashes;
use crate::{Result, TableHash, Watch};

/// How long to wait for those who change tables just now.
const PATIENCE: Duration = Duration::from_secs(60);

/// Rows and hash of every table whose rows lie in this schema. Reads it whole, in one view.
pub(super) fn of_schema(
    access: &Access,
    schema: &str,
    watch: &mut dyn Watch,
) -> Result<Vec<TableHash>> {
    let there = Access { database: schema.to_owned(), ..access.clone() };
    let mut hashes = table_hashes(&there, PATIENCE, watch)?;
    // A table without rows of its own is a view of others.
    hashes.retain(|table| table.rows.is_some());
    Ok(hashes)
}
