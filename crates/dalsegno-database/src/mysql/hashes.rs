//! The rows of a whole schema, read back and hashed as the capture hashed them.

use super::attended::attended;
use super::connection::Session;
use super::rows::{self, Wanted};
use super::survey::Survey;
use super::Access;
use crate::{Result, TableHash, Watch};

/// Rows and hash of every table of a schema, ordered by name. Reads it whole, in one view.
pub(super) fn of_schema(
    access: &Access,
    schema: &str,
    watch: &mut dyn Watch,
) -> Result<Vec<TableHash>> {
    let mut session = Session::for_restore(access)?;
    session.enter_schema(schema)?;
    session.run(
        "open a snapshot of",
        schema,
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
         START TRANSACTION WITH CONSISTENT SNAPSHOT",
    )?;
    let survey = Survey::take(&mut session)?;
    let server = session.server().clone();
    session.answer_in("binary")?;
    let mut hashes = Vec::new();
    for (name, table) in &survey.tables {
        let reading = table.reading(name, 0, &server, &mut Vec::new());
        if reading.table.rows != super::catalog::Rows::Captured {
            continue;
        }
        let read = attended(&mut session, watch, |session| {
            rows::read(session, &reading, &mut |_, _| Wanted::More)
        })?;
        let note = read.is_none().then(|| "it was not read to its end".to_owned());
        hashes.push(TableHash {
            name: name.clone(),
            rows: read.as_ref().map(|read| read.rows),
            hash: read.map(|read| read.hash),
            note,
        });
    }
    Ok(hashes)
}
