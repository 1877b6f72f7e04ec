//! What restores ask a session: about schemas beside the one it was opened for.

use std::path::PathBuf;

use mysql::prelude::Queryable;

use super::connection::{Answer, Session};
use super::journal::Defaults;
use super::quote;
use crate::{Place, Result};

/// Pinned for everything that a restore sends: no check that the captured rows had not passed, no
/// number for a row that has number 0, no date refused that the old table had.
const PINS: &str = "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', \
                    foreign_key_checks = 0, unique_checks = 0";
/// Pinned where the server knows it and has another value: then only it matters who may set it.
const PINS_OF_SOME: [(&str, &str, &str); 5] = [
    ("check_constraint_checks", "0", "OFF"),
    ("system_versioning_alter_history", "KEEP", "KEEP"),
    ("system_versioning_insert_history", "1", "ON"),
    ("sql_generate_invisible_primary_key", "0", "OFF"),
    ("sql_require_primary_key", "0", "OFF"),
];

impl Session {
    /// Opens a session in no schema, set up for restores.
    pub(super) fn for_restore(access: &super::Access) -> Result<Self> {
        let mut session = Self::open_on_server(access)?;
        session.pin_for_restore()?;
        Ok(session)
    }

    /// The pins of a restore, again after statements that need others.
    pub(super) fn pin_for_restore(&mut self) -> Result<()> {
        let server = self.database().to_owned();
        self.run("set the session of", &server, PINS)?;
        for (name, value, shown) in PINS_OF_SOME {
            let sql = format!("SHOW SESSION VARIABLES WHERE Variable_name = '{name}'");
            let now = self.ask("look at the settings of", &server, &sql)?;
            if now.first().is_some_and(|row| row.text(1) != shown) {
                self.run("set the session of", &server, &format!("SET SESSION {name} = {value}"))?;
            }
        }
        Ok(())
    }

    /// A schema on this server.
    pub(super) fn place_of(&self, schema: &str) -> Place {
        match self.place() {
            Place::Server { server, .. } => Place::Server { server, database: schema.to_owned() },
            file @ Place::File(_) => file,
        }
    }

    /// The same, where a path is asked for.
    pub(super) fn path_of(&self, schema: &str) -> PathBuf {
        PathBuf::from(self.place_of(schema).to_string())
    }

    /// The first warnings of the last statement, in the server's words.
    pub(super) fn warnings(&mut self, object: &str) -> Result<String> {
        let rows = self.ask("read the warnings about", object, "SHOW WARNINGS LIMIT 3")?;
        let texts: Vec<String> =
            rows.iter().map(|row| format!("{} (error {})", row.text(2), row.text(1))).collect();
        Ok(texts.join("; "))
    }

    /// The one number that a query answers.
    pub(super) fn count(&mut self, action: &'static str, object: &str, sql: &str) -> Result<u64> {
        let rows = self.ask(action, object, sql)?;
        rows.first()
            .and_then(|row| row.number(0))
            .ok_or_else(|| self.unexpected(action, object, "the server answered no number"))
    }

    /// Whether there is such a schema.
    pub(super) fn has_schema(&mut self, schema: &str) -> Result<bool> {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
            quote::text(schema)
        );
        Ok(self.count("look for the database", schema, &sql)? > 0)
    }

    /// Tables and sequences of a schema, sorted; views are none.
    pub(super) fn tables_of(&mut self, schema: &str) -> Result<Vec<String>> {
        let sql = format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES \
             WHERE TABLE_SCHEMA = {} AND TABLE_TYPE NOT LIKE '%VIEW' ORDER BY TABLE_NAME",
            quote::text(schema)
        );
        self.names("list the tables of", schema, &sql)
    }

    /// The first column of a query.
    pub(super) fn names(
        &mut self,
        action: &'static str,
        object: &str,
        sql: &str,
    ) -> Result<Vec<String>> {
        Ok(self.ask(action, object, sql)?.iter().map(|row| row.text(0)).collect())
    }

    /// The options of a schema; `None` if there is none of this name.
    pub(super) fn defaults_of(&mut self, schema: &str) -> Result<Option<Defaults>> {
        let action = "look at the database";
        let sql = "SELECT COUNT(*) FROM information_schema.COLUMNS \
                   WHERE TABLE_SCHEMA = 'information_schema' AND TABLE_NAME = 'SCHEMATA' \
                   AND COLUMN_NAME = 'SCHEMA_COMMENT'";
        let comment = if self.count(action, schema, sql)? > 0 { "SCHEMA_COMMENT" } else { "NULL" };
        let sql = format!(
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, {comment} \
             FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = {}",
            quote::text(schema)
        );
        let defaults = |row: &Answer| Defaults {
            character_set: row.text(0),
            collation: row.text(1),
            comment: row.maybe(2),
        };
        Ok(self.ask(action, schema, &sql)?.first().map(defaults))
    }

    /// Works in a schema from now on.
    pub(super) fn enter_schema(&mut self, schema: &str) -> Result<()> {
        self.run("work in the database", schema, &format!("USE {}", quote::identifier(schema)))
    }

    /// Makes a schema.
    pub(super) fn create_schema(&mut self, schema: &str, defaults: &Defaults) -> Result<()> {
        let sql = format!("CREATE DATABASE {}{}", quote::identifier(schema), defaults.clause());
        self.run("create the database", schema, &sql)
    }

    /// Removes a schema that a restore made, if it is there.
    pub(super) fn drop_schema(&mut self, schema: &str) -> Result<()> {
        let sql = format!("DROP DATABASE IF EXISTS {}", quote::identifier(schema));
        self.run("remove the database", schema, &sql)
    }

    /// Runs a statement and leaves the server's own error to the caller.
    pub(super) fn attempt(&mut self, sql: &str) -> mysql::Result<()> {
        self.conn().query_drop(sql)
    }
}
