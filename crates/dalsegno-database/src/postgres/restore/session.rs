use crate::postgres::Access;
use crate::postgres::connection::Session;
use crate::{Place, Result};

/// Databases that every server has and nobody restores.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// What a session that writes sets beside what every session does. What is committed becomes
/// durable with the first commit that is waited for: that of the switch.
const WRITING: &str = "SET default_transaction_read_only = off; \
     SET default_transaction_isolation = 'read committed'; SET synchronous_commit = off; \
     SET client_min_messages = error; SET default_tablespace = ''; \
     SET maintenance_work_mem = '256MB'";

/// A session in `database` of the same server, to write there.
pub(super) fn session(access: &Access, database: &str) -> Result<Session> {
    let mut session = Session::open(&in_database(access, database))?;
    session.run("set up a session", WRITING)?;
    Ok(session)
}

/// A session in a database that is not the live one: none can rename itself.
pub(super) fn maintenance(access: &Access) -> Result<Session> {
    let mut refused = None;
    for name in MAINTENANCE.into_iter().filter(|name| *name != access.database) {
        match session(access, name) {
            Ok(session) => return Ok(session),
            Err(error) => {
                refused.get_or_insert(error);
            }
        }
    }
    Err(refused.expect("one of two names is not the live one"))
}

/// The way into another database of the same server.
pub(super) fn in_database(access: &Access, database: &str) -> Access {
    Access { database: database.to_owned(), ..access.clone() }
}

/// Another database of the same server.
pub(super) fn other(place: &Place, database: &str) -> Place {
    match place {
        Place::Server { server, .. } => {
            Place::Server { server: server.clone(), database: database.to_owned() }
        }
        Place::File(_) => place.clone(),
    }
}

/// A name within a schema, as SQL text.
pub(super) fn qualified(schema: &str, name: &str) -> String {
    use crate::postgres::connection::quoted;
    format!("{}.{}", quoted(schema), quoted(name))
}
