//! Routines, views, triggers and events as they are in a schema now.

use super::catalog::{Entry, Kind, Section, Session as MadeIn};
use super::connection::{Answer, Session};
use super::quote;
use crate::Result;

const ACTION: &str = "read the definition of";

/// Every object of a schema, each kind in an order in which it can be made again, but views, which
/// may need each other.
pub(super) fn read(session: &mut Session, schema: &str) -> Result<Vec<Entry>> {
    if !session.has_schema(schema)? {
        return Ok(Vec::new());
    }
    session.enter_schema(schema)?;
    let here = quote::text(schema);
    let mut entries = Vec::new();
    let sql = format!(
        "SELECT ROUTINE_NAME, ROUTINE_TYPE FROM information_schema.ROUTINES \
         WHERE ROUTINE_SCHEMA = {here} ORDER BY ROUTINE_TYPE, ROUTINE_NAME"
    );
    for row in session.ask("list the routines of", schema, &sql)? {
        let kind = match row.text(1).as_str() {
            "FUNCTION" => Kind::Function,
            "PROCEDURE" => Kind::Procedure,
            "PACKAGE" => Kind::Package,
            "PACKAGE BODY" => Kind::PackageBody,
            other => {
                let what = format!("it is a `{other}`, which is not supported");
                return Err(session.unexpected(ACTION, &row.text(0), what));
            }
        };
        entries.push(routine(session, kind, &row.text(0))?);
    }
    let sql = format!(
        "SELECT TABLE_NAME, DEFINER FROM information_schema.VIEWS \
         WHERE TABLE_SCHEMA = {here} ORDER BY TABLE_NAME"
    );
    for row in session.ask("list the views of", schema, &sql)? {
        let name = row.text(0);
        let made = show(session, "VIEW", &name)?;
        let session = MadeIn {
            character_set_client: made.maybe(2),
            collation_connection: made.maybe(3),
            ..MadeIn::default()
        };
        entries.push(entry(Kind::View, name, made.text(1), row.maybe(1), session));
    }
    let sql = format!(
        "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, DEFINER FROM information_schema.TRIGGERS \
         WHERE TRIGGER_SCHEMA = {here} \
         ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER"
    );
    for row in session.ask("list the triggers of", schema, &sql)? {
        let made = show(session, "TRIGGER", &row.text(0))?;
        let text = made.text(2);
        let found = entry(Kind::Trigger, row.text(0), text, row.maybe(2), made_in(&made, 1, 3));
        entries.push(Entry { table: row.maybe(1), ..found });
    }
    let sql = format!(
        "SELECT EVENT_NAME, DEFINER, STATUS FROM information_schema.EVENTS \
         WHERE EVENT_SCHEMA = {here} ORDER BY EVENT_NAME"
    );
    for row in session.ask("list the events of", schema, &sql)? {
        let name = row.text(0);
        let made = show(session, "EVENT", &name)?;
        let own = MadeIn { time_zone: made.maybe(2), ..made_in(&made, 1, 4) };
        let found = entry(Kind::Event, name, made.text(3), row.maybe(1), own);
        entries.push(found);
    }
    Ok(entries)
}

fn routine(session: &mut Session, kind: Kind, name: &str) -> Result<Entry> {
    let word = match kind {
        Kind::Function => "FUNCTION",
        Kind::Procedure => "PROCEDURE",
        Kind::Package => "PACKAGE",
        _ => "PACKAGE BODY",
    };
    let made = show(session, word, name)?;
    let Some(text) = made.maybe(2) else {
        let what = "the account may not see it: it needs `SELECT` on `mysql.proc` (MariaDB) or \
                    `SHOW_ROUTINE` (MySQL)";
        return Err(session.unexpected(ACTION, name, what));
    };
    Ok(entry(kind, name.to_owned(), text, None, made_in(&made, 1, 3)))
}

fn show(session: &mut Session, word: &str, name: &str) -> Result<Answer> {
    let sql = format!("SHOW CREATE {word} {}", quote::identifier(name));
    match session.ask(ACTION, name, &sql)?.pop() {
        Some(row) => Ok(row),
        None => Err(session.unexpected(ACTION, name, "the server answered nothing")),
    }
}

fn made_in(row: &Answer, mode: usize, client: usize) -> MadeIn {
    MadeIn {
        sql_mode: row.maybe(mode),
        character_set_client: row.maybe(client),
        collation_connection: row.maybe(client + 1),
        database_collation: row.maybe(client + 2),
        time_zone: None,
    }
}

fn entry(
    kind: Kind,
    name: String,
    sql: String,
    definer: Option<String>,
    session: MadeIn,
) -> Entry {
    Entry {
        id: 0,
        kind,
        name,
        table: None,
        section: Section::Post,
        sql,
        enable: None,
        definer,
        session,
        depends_on: Vec::new(),
        broken: None,
    }
}
