//! The journal of a restore: a small schema of its own, from before anything is staged until
//! nothing of the restore is left. A step is written there before it is done.

use serde::{Deserialize, Serialize};

use super::catalog::{Entry, Kind};
use super::connection::Session;
use super::names::{Names, Role};
use super::quote;
use super::switched::Way;
use crate::{DatabaseError, Result};

/// The journal's one table.
const TABLE: &str = "journal";

/// How far a restore has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Phase {
    /// A copy is being made; the live database is not touched.
    Staging,
    /// From before the first change of the live database until everything is in its place.
    Switching,
    /// The live database is the new one.
    Switched,
    /// From before the first change of a rollback until everything is back.
    RollingBack,
    /// The live database is the old one; what is left is to be tidied away.
    RolledBack,
}

/// What the steps of a restore need to know after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// The restore.
    pub(super) restore_id: String,
    /// How far it has come.
    pub(super) phase: Phase,
    /// Whether there was a live database before, with or without tables.
    pub(super) existed: bool,
    /// The tables and sequences of the backup.
    pub(super) new: Contents,
    /// Those that were live before.
    pub(super) old: Contents,
    /// Those that a rollback takes out.
    pub(super) present: Contents,
    /// Statements that follow the switch, in the live database.
    pub(super) after: Vec<String>,
    /// Digest of the rows of the backup.
    pub(super) rows: String,
    /// What tells later whether the live database was written to.
    pub(super) content: Option<String>,
}

/// Everything in one schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Contents {
    /// What changes schema by `RENAME TABLE`: tables and sequences.
    pub(super) tables: Vec<String>,
    /// What is made anew from its text: routines, views, triggers, events; in the order in which
    /// they can be made.
    pub(super) objects: Vec<Entry>,
    /// What the schema gives to tables that say nothing themselves.
    pub(super) defaults: Defaults,
}

/// The options of a schema.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Defaults {
    /// Default character set; empty stands for the server's own.
    pub(super) character_set: String,
    /// Default collation.
    pub(super) collation: String,
    /// Its comment, where the server keeps one.
    pub(super) comment: Option<String>,
}

impl Defaults {
    /// As `CREATE DATABASE` and `ALTER DATABASE` take them.
    pub(super) fn clause(&self) -> String {
        if self.character_set.is_empty() {
            return String::new();
        }
        let comment = self
            .comment
            .as_ref()
            .map_or(String::new(), |comment| format!(" COMMENT {}", quote::text(comment)));
        let (set, collation) = (&self.character_set, &self.collation);
        format!(" CHARACTER SET {set} COLLATE {collation}{comment}")
    }
}

impl Facts {
    /// Of a restore that begins.
    pub(super) fn new(restore_id: &str) -> Self {
        Self {
            restore_id: restore_id.to_owned(),
            phase: Phase::Staging,
            existed: true,
            new: Contents::default(),
            old: Contents::default(),
            present: Contents::default(),
            after: Vec::new(),
            rows: String::new(),
            content: None,
        }
    }

    /// How the switch is done: triggers keep a table in its schema.
    pub(super) fn way(&self) -> Way {
        let trigger = |entry: &Entry| entry.kind == Kind::Trigger;
        let any = [&self.old, &self.new].iter().any(|side| side.objects.iter().any(trigger));
        if any { Way::RenameWithTriggers } else { Way::Rename }
    }

    /// Begins the journal.
    pub(super) fn create(&self, session: &mut Session, names: &Names) -> Result<()> {
        let log = names.of(Role::Log);
        let schema = quote::identifier(&log);
        session.run(
            "create the journal",
            &log,
            &format!("CREATE DATABASE {schema} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"),
        )?;
        session.run(
            "create the journal",
            &log,
            &format!(
                "CREATE TABLE {schema}.{TABLE} (id INT PRIMARY KEY, facts LONGTEXT NOT NULL) \
                 ENGINE=InnoDB"
            ),
        )?;
        self.write(session, names)
    }

    /// Writes the next line: durable, as far as the server's settings go, when this returns.
    pub(super) fn write(&self, session: &mut Session, names: &Names) -> Result<()> {
        let text = serde_json::to_string(self).expect("facts are plain data");
        let log = names.of(Role::Log);
        let sql = format!(
            "REPLACE INTO {}.{TABLE} (id, facts) VALUES (1, {})",
            quote::identifier(&log),
            quote::text(&text)
        );
        session.run("write the journal", &log, &sql)
    }

    /// Goes on to a phase.
    pub(super) fn enter(
        &mut self,
        phase: Phase,
        session: &mut Session,
        names: &Names,
    ) -> Result<()> {
        self.phase = phase;
        self.write(session, names)
    }

    /// Reads the journal; `None` if there is none. One that was cut off while it was begun is that
    /// of a restore which has staged nothing yet.
    pub(super) fn read(session: &mut Session, names: &Names) -> Result<Option<Self>> {
        let log = names.of(Role::Log);
        if !session.has_schema(&log)? {
            return Ok(None);
        }
        if !session.tables_of(&log)?.iter().any(|table| table == TABLE) {
            return Ok(Some(Self::new("")));
        }
        let sql = format!("SELECT facts FROM {}.{TABLE} WHERE id = 1", quote::identifier(&log));
        let lines = session.names("read the journal", &log, &sql)?;
        let Some(text) = lines.first() else { return Ok(Some(Self::new(""))) };
        serde_json::from_str(text).map(Some).map_err(|error| DatabaseError::Damaged {
            path: session.path_of(&log),
            problem: format!("its journal cannot be understood: {error}"),
        })
    }
}
