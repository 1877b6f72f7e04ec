//! Routines, views, triggers and events as they are in a live database now.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{Entry, Section};
use super::connection::Session;
use super::definitions;
use super::survey::Survey;
use crate::Result;

/// Every object of the live database, in an order in which they can be made again; none, if there
/// is no such database.
pub(super) fn read(session: &mut Session, live: &str) -> Result<Vec<Entry>> {
    if !session.has_schema(live)? {
        return Ok(Vec::new());
    }
    session.enter_schema(live)?;
    // Definitions of tables are not wanted: there may be thousands.
    let nothing =
        Survey { tables: BTreeMap::new(), sequences: BTreeSet::new(), views: BTreeSet::new() };
    let schema = definitions::read(session, &nothing, &mut Vec::new())?;
    Ok(schema.entries.into_iter().filter(|entry| entry.section == Section::Post).collect())
}
