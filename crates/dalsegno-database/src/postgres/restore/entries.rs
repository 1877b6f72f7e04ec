use postgres::error::SqlState;

use crate::error::DatabaseError;
use crate::postgres::catalog::{DatabaseFacts, Entry};
use crate::postgres::connection::{Session, literal};
use crate::postgres::failure::refused;
use crate::{Place, Result};

/// Entries that go over the wire together: thousands of small ones are bound by round trips.
const MOST_ENTRIES: usize = 64;
const MOST_BYTES: usize = 1 << 20;

/// Runs entries of a schema in a session, each to its full success.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    /// The path that the site's own sessions begin with.
    own_path: String,
    place: Place,
}

impl Runner {
    /// For a copy of a database with these facts.
    pub(super) fn new(facts: &DatabaseFacts, place: Place) -> Self {
        let own = facts.settings.iter().find(|it| it.role.is_none() && it.name == "search_path");
        let own_path = own.map_or_else(|| "\"$user\", public".to_owned(), |it| it.value.clone());
        Self { own_path, place }
    }

    /// The statement that gives a session the path of the site's own.
    pub(super) fn own_path(&self) -> String {
        path_to(&self.own_path)
    }

    /// Runs them in this order; what fails in company is tried alone, so that the error names it.
    pub(super) fn run<'e>(
        &self,
        session: &mut Session,
        entries: impl IntoIterator<Item = &'e Entry>,
    ) -> Result<()> {
        let mut batch: Vec<&Entry> = Vec::new();
        let mut bytes = 0;
        for entry in entries.into_iter().filter(|entry| !entry.sql.trim().is_empty()) {
            if batch.len() == MOST_ENTRIES || bytes + entry.sql.len() > MOST_BYTES {
                self.run_batch(session, &batch)?;
                batch.clear();
                bytes = 0;
            }
            bytes += entry.sql.len();
            batch.push(entry);
        }
        self.run_batch(session, &batch)
    }

    fn run_batch(&self, session: &mut Session, batch: &[&Entry]) -> Result<()> {
        if let [entry] = batch {
            return self.run_one(session, entry);
        }
        let sql: String = batch.iter().flat_map(|entry| [entry.sql.as_str(), "\n;\n"]).collect();
        match session.client.batch_execute(&sql) {
            Ok(()) => Ok(()),
            // One transaction for all: nothing of it has happened.
            Err(error) if error.as_db_error().is_some() && !is_stop(&error) => {
                batch.iter().try_for_each(|entry| self.run_one(session, entry))
            }
            Err(error) => Err(self.failure(batch[0], error)),
        }
    }

    /// Texts of `pg_dump` are made for an empty search path; a function that names another without
    /// its schema works only under the path of the site.
    pub(super) fn run_one(&self, session: &mut Session, entry: &Entry) -> Result<()> {
        let Err(first) = session.client.batch_execute(&entry.sql) else { return Ok(()) };
        if !is_unresolved(&first) {
            return Err(self.failure(entry, first));
        }
        let sql = format!("{}; {}\n;\n{}", self.own_path(), entry.sql, path_to(""));
        match session.client.batch_execute(&sql) {
            Ok(()) => Ok(()),
            Err(second) if is_unresolved(&second) => Err(self.failure(entry, first)),
            Err(second) => Err(self.failure(entry, second)),
        }
    }

    fn failure(&self, entry: &Entry, error: postgres::Error) -> DatabaseError {
        let name = if entry.schema.is_empty() {
            entry.name.clone()
        } else {
            format!("{}.{}", entry.schema, entry.name)
        };
        let action = format!("restore the {} `{name}`", entry.kind.to_lowercase());
        refused(action, &self.place)(error)
    }
}

fn path_to(path: &str) -> String {
    format!("SELECT pg_catalog.set_config('search_path', {}, false)", literal(path))
}

fn is_stop(error: &postgres::Error) -> bool {
    error.code() == Some(&SqlState::QUERY_CANCELED)
}

/// Whether a name was not found.
fn is_unresolved(error: &postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [
            SqlState::UNDEFINED_FUNCTION,
            SqlState::UNDEFINED_TABLE,
            SqlState::UNDEFINED_OBJECT,
            SqlState::UNDEFINED_COLUMN,
            SqlState::INVALID_SCHEMA_NAME,
        ]
        .contains(code)
    })
}
