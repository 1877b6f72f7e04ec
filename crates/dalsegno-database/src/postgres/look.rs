//! Whether there is a database, and how large it is.

use super::connection::Session;
use super::{Access, Cause, Failure};
use crate::{DatabaseError, Result};

/// Whether there is such a database, with or without tables. An error where that cannot be told.
pub(super) fn exists(access: &Access) -> Result<bool> {
    match Session::open(access) {
        Ok(_) => Ok(true),
        Err(DatabaseError::Postgres(failure))
            if matches!(*failure, Failure::Connect { cause: Cause::NoDatabase, .. }) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Bytes that it takes on the server, indexes included.
pub(super) fn size(access: &Access) -> Result<u64> {
    let mut session = Session::open(access)?;
    let row = session.one(
        "measure the database",
        "SELECT pg_catalog.pg_database_size(pg_catalog.current_database())",
        &[],
    )?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}
