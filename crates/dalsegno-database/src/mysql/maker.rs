//! What a schema holds besides tables: routines, views, triggers, events. They name the live
//! database's tables, so that they are made there after the switch.

use std::collections::BTreeSet;

use super::catalog::{Entry, Kind};
use super::connection::Session;
use super::{live_objects, quote};
use crate::Result;

/// Makes objects, in a session that is theirs: each wants its own settings.
#[derive(Debug)]
pub(super) struct Maker {
    session: Session,
    schema: String,
    collation: String,
}

impl Maker {
    /// One for this schema.
    pub(super) fn new(access: &super::Access, schema: &str) -> Result<Self> {
        let mut session = Session::for_restore(access)?;
        session.enter_schema(schema)?;
        let defaults = session.defaults_of(schema)?.unwrap_or_default();
        Ok(Self { session, schema: schema.to_owned(), collation: defaults.collation })
    }

    /// Makes these objects, in their order; a view that needs a later one waits for it.
    pub(super) fn make_all<'e>(&mut self, entries: &[&'e Entry]) -> Result<()> {
        let mut waiting: Vec<&'e Entry> = entries.to_vec();
        loop {
            let before = waiting.len();
            let mut later = Vec::new();
            let mut first = None;
            for &entry in &waiting {
                match self.make(entry) {
                    Ok(()) => {}
                    // It did not work before, either.
                    Err(_) if entry.broken.is_some() => {}
                    Err(error) if entry.kind == Kind::View => {
                        later.push(entry);
                        first.get_or_insert(error);
                    }
                    Err(error) => return Err(error),
                }
            }
            match first {
                None => return Ok(()),
                Some(error) if later.len() == before => return Err(error),
                Some(_) => waiting = later,
            }
        }
    }

    /// Makes one object; an event does not work yet.
    pub(super) fn make(&mut self, entry: &Entry) -> Result<()> {
        self.run_as_made(entry, "create the object", &entry.sql)
    }

    /// Sets an event to work, if it did: in its own session again, which this changes, too.
    pub(super) fn enable(&mut self, entry: &Entry) -> Result<()> {
        match &entry.enable {
            Some(sql) => self.run_as_made(entry, "enable the event", sql),
            None => Ok(()),
        }
    }

    /// Runs a statement with the settings under which an object was made.
    fn run_as_made(&mut self, entry: &Entry, action: &'static str, sql: &str) -> Result<()> {
        let wanted = entry.session.database_collation.clone();
        let foreign = wanted.filter(|wanted| *wanted != self.collation);
        if let Some(collation) = &foreign {
            self.collate(collation)?;
        }
        let made = self.run_here(entry, action, sql);
        if foreign.is_some() {
            let own = self.collation.clone();
            self.collate(&own)?;
        }
        made
    }

    /// Removes an object.
    pub(super) fn remove(&mut self, entry: &Entry) -> Result<()> {
        let sql = format!(
            "DROP {} IF EXISTS {}.{}",
            word(entry.kind),
            quote::identifier(&self.schema),
            quote::identifier(&entry.name)
        );
        self.session.run("remove the old", &entry.name, &sql)
    }

    fn run_here(&mut self, entry: &Entry, action: &'static str, text: &str) -> Result<()> {
        let own = &entry.session;
        let mut settings = vec![format!(
            "sql_mode = {}",
            quote::text(own.sql_mode.as_deref().unwrap_or_default())
        )];
        // The text is sent in UTF-8; another character set would read it as something else.
        let client = own
            .character_set_client
            .as_deref()
            .filter(|set| entry.sql.is_ascii() || set.starts_with("utf8"));
        settings.push(format!("character_set_client = {}", client.unwrap_or("utf8mb4")));
        if let Some(collation) = &own.collation_connection {
            settings.push(format!("collation_connection = {collation}"));
        }
        if let Some(zone) = &own.time_zone {
            settings.push(format!("time_zone = {}", quote::text(zone)));
        }
        let sql = format!("SET SESSION {}", settings.join(", SESSION "));
        self.session.run("set the session of", &entry.name, &sql)?;
        let made = self.session.run(action, &entry.name, text);
        self.session.run(
            "set the session of",
            &entry.name,
            "SET SESSION sql_mode = '', SESSION character_set_client = utf8mb4, \
             SESSION collation_connection = utf8mb4_general_ci, SESSION time_zone = '+00:00'",
        )?;
        made
    }

    fn collate(&mut self, collation: &str) -> Result<()> {
        let sql = format!("ALTER DATABASE {} COLLATE {collation}", quote::identifier(&self.schema));
        self.session.run("set the collation of", &self.schema.clone(), &sql)
    }
}

/// Removes what would keep a table in its schema, work in the middle of a switch, or have the name
/// of a table that comes.
pub(super) fn take_off(
    access: &super::Access,
    schema: &str,
    entries: &[Entry],
    coming: &[String],
) -> Result<()> {
    let off = |entry: &Entry| match entry.kind {
        Kind::Trigger | Kind::Event => true,
        Kind::View => coming.contains(&entry.name),
        _ => false,
    };
    if !entries.iter().any(off) {
        return Ok(());
    }
    let mut maker = Maker::new(access, schema)?;
    // Events first: one that changes rows should still find its triggers.
    for kind in [Kind::Event, Kind::Trigger, Kind::View] {
        for entry in entries.iter().filter(|entry| entry.kind == kind && off(entry)) {
            maker.remove(entry)?;
        }
    }
    Ok(())
}

/// Makes the objects of the live database exactly `wanted`, as far as they differ; what is neither
/// there nor in `gone` is not touched. May be run again after being killed.
pub(super) fn settle(
    session: &mut Session,
    live: &str,
    gone: &[Entry],
    wanted: &[Entry],
) -> Result<()> {
    let there = live_objects::read(session, live)?;
    if there.is_empty() && wanted.is_empty() {
        return Ok(());
    }
    let known: BTreeSet<(Kind, &str)> =
        gone.iter().chain(wanted).map(|entry| (entry.kind, entry.name.as_str())).collect();
    let mut maker = Maker::new(session.access(), live)?;
    // In the opposite order of making: what uses others goes first.
    for entry in there.iter().rev() {
        let ours = known.contains(&(entry.kind, entry.name.as_str()));
        let comes = wanted.iter().find(|w| (w.kind, &w.name) == (entry.kind, &entry.name));
        // A view that does not work could not be made again by a rollback.
        let spared = comes.is_none() && entry.broken.is_some();
        if ours && !spared && comes.is_none_or(|wanted| !same(wanted, entry)) {
            maker.remove(entry)?;
        }
    }
    let missing: Vec<&Entry> =
        wanted.iter().filter(|wanted| !there.iter().any(|entry| same(wanted, entry))).collect();
    maker.make_all(&missing)?;
    missing.iter().try_for_each(|entry| maker.enable(entry))
}

/// A digest of objects: tells whether any was changed, added or removed.
pub(super) fn digest(entries: &[Entry]) -> String {
    let mut texts: Vec<String> = entries
        .iter()
        .map(|entry| {
            let entry = Entry { id: 0, depends_on: Vec::new(), broken: None, ..entry.clone() };
            serde_json::to_string(&entry).expect("entries are plain data")
        })
        .collect();
    texts.sort();
    super::content::digest_of(&texts)
}

/// Whether both are the same object, made in the same way.
fn same(one: &Entry, other: &Entry) -> bool {
    (one.kind, &one.name, &one.table, &one.sql, &one.enable, &one.session)
        == (other.kind, &other.name, &other.table, &other.sql, &other.enable, &other.session)
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Sequence => "SEQUENCE",
        Kind::Table => "TABLE",
        Kind::Function => "FUNCTION",
        Kind::Procedure => "PROCEDURE",
        Kind::Package => "PACKAGE",
        Kind::PackageBody => "PACKAGE BODY",
        Kind::View => "VIEW",
        Kind::Trigger => "TRIGGER",
        Kind::Event => "EVENT",
    }
}
