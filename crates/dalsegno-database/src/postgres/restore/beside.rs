use super::names::{Names, Role, parse};
use super::session::{maintenance, other};
use crate::error::DatabaseError;
use crate::postgres::Access;
use crate::postgres::connection::{Session, quoted};
use crate::{Leftover, Place, Result};

/// Which databases of one restore the server has, by their numbers, which a rename does not change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Beside {
    pub(super) live: Option<u32>,
    pub(super) new: Option<u32>,
    pub(super) old: Option<u32>,
    pub(super) present: Option<u32>,
}

impl Beside {
    /// One look at the server's list: names change there in one transaction.
    pub(super) fn look(server: &mut Session, names: &Names) -> Result<Self> {
        let wanted =
            [names.live.clone(), names.of(Role::New), names.of(Role::Old), names.of(Role::Present)];
        let rows = server.rows(
            "list the databases",
            "SELECT datname::text, oid FROM pg_catalog.pg_database \
             WHERE datname::text = ANY ($1::text[])",
            &[&&wanted[..]],
        )?;
        let mut found = Self::default();
        for row in rows {
            let (name, oid): (String, u32) = (row.get(0), row.get(1));
            let at = match wanted.iter().position(|wanted| *wanted == name) {
                Some(0) => &mut found.live,
                Some(1) => &mut found.new,
                Some(2) => &mut found.old,
                _ => &mut found.present,
            };
            *at = Some(oid);
        }
        Ok(found)
    }
}

/// Removes a database that is ours by its name; none is as good.
pub(super) fn drop_database(server: &mut Session, name: &str) -> Result<()> {
    let force = if server.server >= 130_000 { " WITH (FORCE)" } else { "" };
    server.run(
        format_args!("remove the database `{name}`"),
        &format!("DROP DATABASE IF EXISTS {}{force}", quoted(name)),
    )
}

/// Every database that a restore into this one left, by name.
pub fn leftovers(access: &Access) -> Result<Vec<Leftover>> {
    let place = access.place();
    let rows = maintenance(access)?.rows(
        "list the databases",
        "SELECT datname::text FROM pg_catalog.pg_database ORDER BY 1",
        &[],
    )?;
    let names = rows.iter().map(|row| row.get::<_, String>(0));
    Ok(names
        .filter_map(|name| {
            let (restore_id, role) = parse(&access.database, &name)?;
            let place = other(&place, &name);
            Some(Leftover { place, restore_id, unfinished: role == Role::New })
        })
        .collect())
}

/// Removes one that is unfinished.
pub fn remove_leftover(access: &Access, left: &Leftover) -> Result<()> {
    match &left.place {
        Place::Server { database, .. }
            if left.unfinished
                && other(&access.place(), database) == left.place
                && matches!(parse(&access.database, database), Some((_, Role::New))) =>
        {
            drop_database(&mut maintenance(access)?, database)
        }
        place => Err(DatabaseError::KeepsData { place: place.clone() }),
    }
}
