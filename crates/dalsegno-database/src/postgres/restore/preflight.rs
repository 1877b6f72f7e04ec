use super::rights::{Rights, bound_to, sessions_out_of_reach};
use crate::error::DatabaseError;
use crate::postgres::Access;
use crate::postgres::catalog::{Catalog, DatabaseFacts, LAYOUT};
use crate::postgres::connection::{Session, quoted};
use crate::{Place, Result};

/// Refuses what would end badly, before anything is made.
pub(super) fn check(
    server: &mut Session,
    access: &Access,
    rights: &Rights,
    catalog: &Catalog,
) -> Result<()> {
    let place = access.place();
    readable(catalog, &place)?;
    server_version(server.server, catalog, &place)?;
    roles(server, rights, catalog, &place)?;
    extensions(server, rights, catalog, &place)?;
    unbound(server, access)
}

/// Refuses a live database that a rename would tear from something, or whose sessions cannot be
/// ended.
pub(super) fn unbound(server: &mut Session, access: &Access) -> Result<()> {
    let place = access.place();
    let bound = bound_to(server, &access.database)?;
    if let Some((what, ends)) = bound.first() {
        return Err(refused(
            &place,
            format!("{what} is bound to it"),
            format!("End it first: `{ends}`."),
        ));
    }
    let holders = sessions_out_of_reach(server, &access.database)?;
    if holders.is_empty() {
        return Ok(());
    }
    let who: Vec<String> = holders.iter().take(5).map(ToString::to_string).collect();
    Err(refused(
        &place,
        format!("sessions that this role may not end have it open: {}", who.join(", ")),
        "Close them, or `GRANT pg_signal_backend` to the role.".to_owned(),
    ))
}

/// Refuses files of a newer layout than this build knows.
pub(super) fn readable(catalog: &Catalog, place: &Place) -> Result<()> {
    if catalog.layout <= LAYOUT {
        return Ok(());
    }
    Err(refused(
        place,
        format!("its files have layout {}, and this program reads up to {LAYOUT}", catalog.layout),
        "Restore with a newer version of this program.".to_owned(),
    ))
}

fn server_version(server: u32, catalog: &Catalog, place: &Place) -> Result<()> {
    let (here, there) = (server / 10_000, catalog.server_number / 10_000);
    if here >= there {
        return Ok(());
    }
    Err(refused(
        place,
        format!("the backup is of PostgreSQL {there}, and this server is {here}"),
        format!("Restore into a server of version {there} or newer."),
    ))
}

/// Roles that own something or have a right must be there, and those that own must be ours to
/// give to.
fn roles(server: &mut Session, rights: &Rights, catalog: &Catalog, place: &Place) -> Result<()> {
    let mut wanted = catalog.roles.clone();
    wanted.push(catalog.database.owner.clone());
    wanted.extend(catalog.database.settings.iter().filter_map(|it| it.role.clone()));
    wanted.sort();
    wanted.dedup();
    let missing = names(
        server,
        "SELECT w FROM unnest($1::text[]) w WHERE NOT EXISTS \
         (SELECT FROM pg_catalog.pg_roles WHERE rolname::text = w) ORDER BY w",
        &wanted,
    )?;
    if !missing.is_empty() {
        let create: Vec<String> =
            missing.iter().map(|role| format!("CREATE ROLE {} NOLOGIN", quoted(role))).collect();
        return Err(refused(
            place,
            format!("the server lacks the role {}", listed(&missing)),
            format!("Create what is missing: `{}`.", create.join("; ")),
        ));
    }
    if rights.superuser {
        return Ok(());
    }
    let foreign = names(
        server,
        "SELECT w FROM unnest($1::text[]) w \
         WHERE NOT pg_catalog.pg_has_role(current_user, w, 'MEMBER') ORDER BY w",
        std::slice::from_ref(&catalog.database.owner),
    )?;
    if foreign.is_empty() {
        return Ok(());
    }
    Err(refused(
        place,
        format!("the role `{}` is no member of {}, its owner", rights.role, listed(&foreign)),
        format!(
            "Make it one: `GRANT {} TO {}`; or restore as a superuser.",
            quoted(&foreign[0]),
            quoted(&rights.role)
        ),
    ))
}

/// Owners of single objects, which the schema names: they must be ours to give to.
pub(super) fn owners(
    server: &mut Session,
    rights: &Rights,
    owners: &[String],
    place: &Place,
) -> Result<()> {
    if rights.superuser {
        return Ok(());
    }
    let foreign = names(
        server,
        "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname::text = ANY ($1::text[]) \
         AND rolname <> 'pg_database_owner' \
         AND NOT pg_catalog.pg_has_role(current_user, oid, 'MEMBER') ORDER BY 1",
        owners,
    )?;
    if foreign.is_empty() {
        return Ok(());
    }
    Err(refused(
        place,
        format!("objects belong to {}, and `{}` is no member of it", listed(&foreign), rights.role),
        format!(
            "Make it one: `GRANT {} TO {}`; or restore as a superuser.",
            quoted(&foreign[0]),
            quoted(&rights.role)
        ),
    ))
}

fn extensions(
    server: &mut Session,
    rights: &Rights,
    catalog: &Catalog,
    place: &Place,
) -> Result<()> {
    let wanted: Vec<String> = catalog.extensions.iter().map(|it| it.name.clone()).collect();
    let missing = names(
        server,
        "SELECT w FROM unnest($1::text[]) w WHERE NOT EXISTS \
         (SELECT FROM pg_catalog.pg_available_extensions WHERE name::text = w) ORDER BY w",
        &wanted,
    )?;
    if !missing.is_empty() {
        return Err(refused(
            place,
            format!("the server lacks the extension {}", listed(&missing)),
            "Install the package of it on the server.".to_owned(),
        ));
    }
    if rights.superuser || server.server < 130_000 {
        return Ok(());
    }
    let untrusted = names(
        server,
        "SELECT w FROM unnest($1::text[]) w WHERE w <> 'plpgsql' AND NOT EXISTS \
         (SELECT FROM pg_catalog.pg_available_extension_versions v WHERE v.name::text = w \
          AND (v.trusted OR NOT v.superuser)) ORDER BY w",
        &wanted,
    )?;
    if untrusted.is_empty() {
        return Ok(());
    }
    Err(refused(
        place,
        format!("the extension {} needs a superuser, which this role is not", listed(&untrusted)),
        "Restore as a superuser.".to_owned(),
    ))
}

fn names(server: &mut Session, sql: &str, of: &[String]) -> Result<Vec<String>> {
    let rows = server.rows("look for what is needed", sql, &[&of])?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// At most a dozen, each between backticks.
pub(super) fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(12).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(12);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("{}{more}", shown.join(", "))
}

/// The refusal of a restore that was not begun.
pub(super) fn refused(place: &Place, reason: String, hint: String) -> DatabaseError {
    DatabaseError::NotRestorable { place: place.clone(), reason, hint }
}

/// The tablespace of the captured database, if this server has it; without it, the usual one.
pub(super) fn tablespace<'f>(
    server: &mut Session,
    facts: &'f DatabaseFacts,
) -> Result<Option<&'f str>> {
    let Some(name) = facts.tablespace.as_deref() else { return Ok(None) };
    let sql = "SELECT FROM pg_catalog.pg_tablespace WHERE spcname::text = $1";
    let found = server.rows("list the tablespaces", sql, &[&name])?;
    Ok((!found.is_empty()).then_some(name))
}

/// Refuses a role that may not write every row of the live database.
pub(super) fn owns_all(live: &mut Session, rights: &Rights, place: &Place) -> Result<()> {
    let foreign = live.rows(
        "look whose the tables are",
        "SELECT DISTINCT pg_catalog.pg_get_userbyid(c.relowner)::text \
         FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'S', 'm') AND c.relpersistence <> 't' \
         AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' \
         AND NOT pg_catalog.pg_has_role(current_user, c.relowner, 'USAGE') ORDER BY 1",
        &[],
    )?;
    let large = "SELECT FROM pg_catalog.pg_largeobject_metadata LIMIT 1";
    let large = !live.rows("look for large objects", large, &[])?.is_empty();
    if foreign.is_empty() && !large {
        return Ok(());
    }
    let owners: Vec<String> = foreign.iter().map(|row| row.get(0)).collect();
    let what = if large {
        "it has large objects, which cannot be replaced beside the rows".to_owned()
    } else {
        format!("it has tables of {}", listed(&owners))
    };
    Err(refused(
        place,
        format!("{}, and {what}", rights.lacks()),
        format!(
            "Grant it: `ALTER ROLE {} CREATEDB`, and let it own the database; or restore as a \
             superuser.",
            quoted(&rights.role)
        ),
    ))
}
