//! The server's own statement for every object, and the session each was made in.

use std::collections::{BTreeMap, HashMap};

use super::catalog::{Entry, Kind, Schema, Section, Session as Made};
use super::connection::{Answer, Session};
use super::ddl;
use super::error::code;
use super::quote;
use super::rights;
use super::survey::Survey;
use crate::{DatabaseError, Result};

/// Reads all definitions. Ids count from 1 in the order of the entries; what an operator should
/// know goes into `notes`.
pub(super) fn read(
    session: &mut Session,
    survey: &Survey,
    notes: &mut Vec<String>,
) -> Result<Schema> {
    rights::require(session, notes)?;
    let mut entries = Vec::new();
    for name in &survey.sequences {
        let row = show(session, "SEQUENCE", name)?;
        let sql = text(session, "SEQUENCE", name, &row, 1)?;
        entries.push(Entry::new(Kind::Sequence, name, sql));
    }
    // Bytes as they are: a default may hold some that are no text.
    session.answer_in("binary")?;
    for name in survey.tables.keys() {
        let row = show(session, "TABLE", name)?;
        let bytes = row.bytes(1).unwrap_or_default();
        let sql = ddl::readable(bytes)
            .ok_or_else(|| session.unexpected("read the definition of", name, "it is no text"))?;
        if ddl::may_lack_characters(&sql) {
            notes.push(format!(
                "the server's own definition of `{name}` holds `?` in a text: MariaDB shows so \
                 what lies beyond the basic plane of Unicode, and then it is lost"
            ));
        }
        entries.push(Entry::new(Kind::Table, name, sql));
    }
    session.answer_in("utf8mb4")?;
    routines(session, &mut entries)?;
    views(session, &mut entries)?;
    triggers(session, &mut entries)?;
    events(session, &mut entries)?;
    for (at, entry) in entries.iter_mut().enumerate() {
        entry.id = u32::try_from(at + 1).map_err(|_| {
            session.unexpected("read the definitions of", &entry.name, "there are too many")
        })?;
        settle_character_set(entry, notes);
    }
    depend(&mut entries);
    Ok(Schema { entries })
}

impl Entry {
    fn new(kind: Kind, name: &str, sql: String) -> Self {
        let early = matches!(kind, Kind::Sequence | Kind::Table);
        Self {
            id: 0,
            kind,
            name: name.to_owned(),
            table: None,
            section: if early { Section::Pre } else { Section::Post },
            sql,
            enable: None,
            definer: None,
            session: Made::default(),
            depends_on: Vec::new(),
            broken: None,
        }
    }
}

fn show(session: &mut Session, kind: &str, name: &str) -> Result<Answer> {
    let sql = format!("SHOW CREATE {kind} {}", quote::identifier(name));
    let mut rows = session.ask("read the definition of", name, &sql)?;
    rows.pop().ok_or_else(|| session.unexpected("read the definition of", name, "it is gone"))
}

/// A statement in an answer; the server says NULL where the account may not see it.
fn text(session: &Session, kind: &str, name: &str, row: &Answer, at: usize) -> Result<String> {
    row.maybe(at).filter(|sql| !sql.is_empty()).ok_or_else(|| {
        let what = format!("the server does not show this account the text of the {kind}");
        session.unexpected("read the definition of", name, what)
    })
}

fn routines(session: &mut Session, entries: &mut Vec<Entry>) -> Result<()> {
    let database = session.database().to_owned();
    let sql = "SELECT ROUTINE_NAME, ROUTINE_TYPE, DEFINER FROM information_schema.ROUTINES r \
               WHERE r.ROUTINE_SCHEMA = DATABASE() \
               AND BINARY r.ROUTINE_SCHEMA = BINARY DATABASE() ORDER BY ROUTINE_NAME";
    let rows = session.ask("list the routines of", &database, sql)?;
    let mut found = Vec::new();
    for row in rows {
        let (name, word) = (row.text(0), row.text(1));
        let kind = match word.as_str() {
            "FUNCTION" => Kind::Function,
            "PROCEDURE" => Kind::Procedure,
            "PACKAGE" => Kind::Package,
            "PACKAGE BODY" => Kind::PackageBody,
            other => {
                let what = format!("it is a `{other}`, which is not supported");
                return Err(session.unexpected("capture", &name, what));
            }
        };
        let shown = show(session, &word, &name)?;
        let sql = text(session, &word, &name, &shown, 2)?;
        let mut entry = Entry::new(kind, &name, sql);
        entry.definer = row.maybe(2);
        entry.session = made(&shown, Some(1), 3);
        found.push(entry);
    }
    found.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    entries.extend(found);
    Ok(())
}

/// The session that an answer tells of: `sql_mode` in one column, and from another on client,
/// connection and database.
fn made(row: &Answer, mode: Option<usize>, from: usize) -> Made {
    Made {
        sql_mode: mode.and_then(|at| row.maybe(at)),
        character_set_client: row.maybe(from),
        collation_connection: row.maybe(from + 1),
        database_collation: row.maybe(from + 2),
        time_zone: None,
    }
}

fn views(session: &mut Session, entries: &mut Vec<Entry>) -> Result<()> {
    let database = session.database().to_owned();
    let sql = format!(
        "SELECT TABLE_NAME, VIEW_DEFINITION, DEFINER FROM information_schema.VIEWS v WHERE {} \
         ORDER BY TABLE_NAME",
        super::survey::here("v")
    );
    let mut views = BTreeMap::new();
    for row in session.ask("list the views of", &database, &sql)? {
        let (name, definition) = (row.text(0), row.text(1));
        let shown = show(session, "VIEW", &name)?;
        let sql = text(session, "VIEW", &name, &shown, 1)?;
        let mut entry = Entry::new(Kind::View, &name, sql);
        entry.definer = row.maybe(2);
        entry.session = made(&shown, None, 2);
        entry.broken = broken(session, &name)?;
        views.insert(name, (entry, definition));
    }
    let names: Vec<&str> = views.keys().map(String::as_str).collect();
    let needs: HashMap<String, Vec<String>> = views
        .iter()
        .map(|(name, (_, definition))| {
            let used = ddl::tables_named(definition, &database);
            let used = used.into_iter().filter(|used| used != name && views.contains_key(used));
            (name.clone(), used.collect())
        })
        .collect();
    for name in ddl::in_order(&names, &needs) {
        if let Some((entry, _)) = views.get(&name) {
            entries.push(entry.clone());
        }
    }
    Ok(())
}

/// Why a view does not work: its tables, functions or definer are gone.
fn broken(session: &mut Session, name: &str) -> Result<Option<String>> {
    let sql = format!("SELECT 1 FROM {} LIMIT 0", quote::identifier(name));
    match session.ask("open the view", name, &sql) {
        Ok(_) => Ok(None),
        Err(DatabaseError::Mysql(error))
            if error.code().is_some_and(|code| code::BROKEN_VIEW.contains(&code)) =>
        {
            let said = std::error::Error::source(&error).map(ToString::to_string);
            Ok(Some(said.unwrap_or_else(|| error.to_string())))
        }
        Err(error) => Err(error),
    }
}

fn triggers(session: &mut Session, entries: &mut Vec<Entry>) -> Result<()> {
    let database = session.database().to_owned();
    // Made in this order, each comes after those that it came after.
    let sql = "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE, DEFINER \
               FROM information_schema.TRIGGERS t WHERE t.TRIGGER_SCHEMA = DATABASE() \
               AND BINARY t.TRIGGER_SCHEMA = BINARY DATABASE() \
               ORDER BY EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER";
    for row in session.ask("list the triggers of", &database, sql)? {
        let name = row.text(0);
        let shown = show(session, "TRIGGER", &name)?;
        let sql = text(session, "TRIGGER", &name, &shown, 2)?;
        let mut entry = Entry::new(Kind::Trigger, &name, sql);
        entry.table = row.maybe(1);
        entry.definer = row.maybe(2);
        entry.session = made(&shown, Some(1), 3);
        entries.push(entry);
    }
    Ok(())
}

fn events(session: &mut Session, entries: &mut Vec<Entry>) -> Result<()> {
    let database = session.database().to_owned();
    let sql = "SELECT EVENT_NAME, STATUS, DEFINER FROM information_schema.EVENTS e \
               WHERE e.EVENT_SCHEMA = DATABASE() \
               AND BINARY e.EVENT_SCHEMA = BINARY DATABASE() ORDER BY EVENT_NAME";
    for row in session.ask("list the events of", &database, sql)? {
        let (name, status) = (row.text(0), row.text(1));
        let shown = show(session, "EVENT", &name)?;
        let sql = text(session, "EVENT", &name, &shown, 3)?;
        let mut entry = Entry::new(Kind::Event, &name, sql);
        if status == "ENABLED" {
            entry.sql = ddl::event_disabled(&entry.sql).ok_or_else(|| {
                session.unexpected("read the definition of", &name, "it does not say `ENABLE`")
            })?;
            entry.enable = Some(format!("ALTER EVENT {} ENABLE", quote::identifier(&name)));
        }
        entry.definer = row.maybe(2);
        entry.session = made(&shown, Some(1), 4);
        entry.session.time_zone = shown.maybe(2);
        entries.push(entry);
    }
    Ok(())
}

/// The text is UTF-8 here. One with other letters than ASCII, made by a client that wrote another
/// character set, is to be made again by one that writes this.
fn settle_character_set(entry: &mut Entry, notes: &mut Vec<String>) {
    let Some(client) = &entry.session.character_set_client else { return };
    if client.starts_with("utf8") || entry.sql.is_ascii() {
        return;
    }
    notes.push(format!(
        "the text of `{}` was written in {client}, and is captured in UTF-8",
        entry.name
    ));
    entry.session.character_set_client = Some("utf8mb4".to_owned());
}

fn depend(entries: &mut [Entry]) {
    let tables: HashMap<String, u32> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Table)
        .map(|entry| (entry.name.clone(), entry.id))
        .collect();
    let specifications: HashMap<String, u32> = entries
        .iter()
        .filter(|entry| entry.kind == Kind::Package)
        .map(|entry| (entry.name.clone(), entry.id))
        .collect();
    for entry in entries {
        let on = match entry.kind {
            Kind::Trigger => entry.table.as_ref().and_then(|table| tables.get(table)),
            Kind::PackageBody => specifications.get(&entry.name),
            _ => None,
        };
        entry.depends_on.extend(on);
    }
}
