//! Whether a restore can work at all: asked before anything is made.

use super::catalog::{Catalog, Flavor, Schema};
use super::connection::Session;
use super::error::ServerError;
use super::grants::Rights;
use super::names::{Names, Role, grant_pattern};
use super::quote;
use crate::{DatabaseError, Result};

/// The server must read the names and texts of the other one as that one did.
pub(super) fn check_server(session: &mut Session, catalog: &Catalog) -> Result<()> {
    let (flavor, here) = (session.server().flavor, session.server().text.clone());
    if flavor != catalog.flavor {
        let reason = format!("it is {here}, and the backup is of {}", catalog.server_version);
        let hint = "Restore into a server of the same family, or restore models instead.";
        return Err(unfit(session, reason, hint));
    }
    let database = session.database().to_owned();
    let sql = "SELECT @@lower_case_table_names";
    let case = session.count("look at the settings of", &database, sql)?;
    let capital = |name: &str| name.chars().any(char::is_uppercase);
    let names = catalog.tables.iter().map(|table| table.name.as_str());
    if case != u64::from(catalog.lower_case_table_names) && names.chain([&*database]).any(capital) {
        let reason = format!(
            "its `lower_case_table_names` is {case}, that of the backup {}, and names have capitals",
            catalog.lower_case_table_names
        );
        let hint = "Restore into a server with the same `lower_case_table_names`.";
        return Err(unfit(session, reason, hint));
    }
    let set = quote::text(&catalog.collation);
    let sql =
        format!("SELECT COUNT(*) FROM information_schema.COLLATIONS WHERE COLLATION_NAME = {set}");
    if catalog.flavor == Flavor::Mysql
        && session.count("look for a collation of", &database, &sql)? == 0
    {
        let reason = format!("it does not know the collation `{}`", catalog.collation);
        return Err(unfit(session, reason, "Restore into a server that knows it."));
    }
    Ok(())
}

/// The account must be able to make schemas beside the live one.
pub(super) fn check_rights(session: &mut Session, names: &Names) -> Result<()> {
    let rights = rights(session)?;
    let schemas = [names.live().to_owned(), names.of(Role::New), names.of(Role::Old)];
    let schemas: Vec<&str> = schemas.iter().map(String::as_str).collect();
    let Some((right, schema)) = rights.missing(&schemas) else { return Ok(()) };
    let (user, host) = account(session)?;
    let pattern = if schema == names.live() { schema.clone() } else { grant_pattern(names.live()) };
    let reason = format!("`{user}` lacks the right `{right}` on `{schema}`");
    let hint = format!(
        "Let an administrator run `GRANT ALL PRIVILEGES ON {}.* TO '{user}'@'{host}'`, then run \
         this again.",
        quote::identifier(&pattern)
    );
    Err(unfit(session, reason, &hint))
}

/// Objects keep whose rights they have; an account that may not set that must not make them its own.
pub(super) fn check_definers(session: &mut Session, schema: &Schema) -> Result<()> {
    if rights(session)?.sets_definers() != Some(false) {
        return Ok(());
    }
    let (user, host) = account(session)?;
    let own = format!("{user}@{host}");
    let other = schema.entries.iter().find_map(|entry| {
        let definer = entry.definer.as_ref().filter(|definer| **definer != own)?;
        Some((entry.name.clone(), definer.clone()))
    });
    let Some((name, definer)) = other else { return Ok(()) };
    let reason =
        format!("`{name}` has the rights of `{definer}`, and `{own}` may not give it these");
    let right = match session.server().flavor {
        Flavor::Mariadb => "SET USER",
        Flavor::Mysql => "SET_ANY_DEFINER",
    };
    let hint = format!(
        "Let an administrator run `GRANT {right} ON *.* TO '{user}'@'{host}'`, or restore with an \
         account that has it."
    );
    Err(unfit(session, reason, &hint))
}

/// Foreign keys of other databases would follow the old tables.
pub(super) fn check_references(session: &mut Session, live: &str) -> Result<()> {
    let live_text = quote::text(live);
    let sql = format!(
        "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME), CONSTRAINT_NAME \
         FROM information_schema.KEY_COLUMN_USAGE \
         WHERE REFERENCED_TABLE_SCHEMA = {live_text} AND TABLE_SCHEMA <> {live_text} LIMIT 1"
    );
    let found = session.ask("list the foreign keys into", live, &sql)?;
    let Some(row) = found.first() else { return Ok(()) };
    let reason = format!(
        "`{}` points into it by the foreign key `{}`, which would follow the old tables",
        row.text(0),
        row.text(1)
    );
    Err(unfit(session, reason, "Drop that foreign key, and make it again after the restore."))
}

fn rights(session: &mut Session) -> Result<Rights> {
    let server = session.database().to_owned();
    Ok(Rights::parse(&session.names("read the grants on", &server, "SHOW GRANTS")?))
}

/// The account as grants name it.
fn account(session: &mut Session) -> Result<(String, String)> {
    let server = session.database().to_owned();
    let name = session.names("read the account on", &server, "SELECT CURRENT_USER()")?;
    let name = name.into_iter().next().unwrap_or_default();
    Ok(match name.rsplit_once('@') {
        Some((user, host)) => (user.to_owned(), host.to_owned()),
        None => (name, String::new()),
    })
}

fn unfit(session: &Session, reason: String, hint: &str) -> DatabaseError {
    ServerError::Unfit { place: session.place(), reason, hint: hint.to_owned() }.into()
}
