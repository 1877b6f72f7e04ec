use rusqlite::functions::FunctionFlags;
use rusqlite::{Connection, Result};

use super::tables::words;

/// Stand-ins for what a site registers on its own connections and its schema names.
///
/// A function stands in by returning NULL, which satisfies every CHECK; a collation by comparing
/// bytes. What depends on one of them cannot be judged: `StandIns` tells which findings.
#[derive(Debug, Default)]
pub(super) struct StandIns {
    functions: Vec<String>,
}

/// Lets statements name collations that are not known here.
pub(super) fn accept_collations(connection: &Connection) -> Result<()> {
    connection.collation_needed(|connection, name| {
        connection.create_collation(name, |a: &str, b: &str| a.cmp(b))
    })
}

impl StandIns {
    /// Runs `work`, standing in for one more function each time it misses one.
    pub(super) fn run<T>(
        &mut self,
        connection: &Connection,
        mut work: impl FnMut(&Connection) -> Result<T>,
    ) -> Result<T> {
        accept_collations(connection)?;
        loop {
            let error = match work(connection) {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            let Some(name) = missing_function(&words(&error)) else { return Err(error) };
            if self.functions.contains(&name) {
                return Err(error);
            }
            connection.create_scalar_function(
                name.as_str(),
                -1,
                FunctionFlags::SQLITE_UTF8
                    | FunctionFlags::SQLITE_DETERMINISTIC
                    | FunctionFlags::SQLITE_INNOCUOUS,
                |_| Ok(rusqlite::types::Null),
            )?;
            self.functions.push(name);
        }
    }

    /// The names that were missing so far, functions and collations.
    pub(super) fn names(&self, connection: &Connection) -> Result<Vec<String>> {
        let mut names = self.functions.clone();
        let mut statement = connection.prepare("SELECT name FROM pragma_collation_list")?;
        for name in statement.query_map([], |row| row.get::<_, String>(0))? {
            let name = name?;
            if !matches!(name.as_str(), "BINARY" | "NOCASE" | "RTRIM") {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Tables and indexes whose definition, or that of something on the same table, names what is
    /// missing: findings about them prove nothing.
    pub(super) fn affected(&self, connection: &Connection) -> Result<Vec<String>> {
        let missing: Vec<String> =
            self.names(connection)?.iter().map(|name| name.to_lowercase()).collect();
        if missing.is_empty() {
            return Ok(Vec::new());
        }
        let mut statement =
            connection.prepare("SELECT tbl_name, name, coalesce(sql, '') FROM sqlite_schema")?;
        let objects: Vec<(String, String, String)> = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_>>()?;
        let tables: Vec<&String> = objects
            .iter()
            .filter(|(_, _, sql)| missing.iter().any(|name| sql.to_lowercase().contains(name)))
            .map(|(table, _, _)| table)
            .collect();
        Ok(objects
            .iter()
            .filter(|(table, _, _)| tables.contains(&table))
            .map(|(_, name, _)| name.clone())
            .collect())
    }
}

/// The function a message of the library says is missing.
fn missing_function(message: &str) -> Option<String> {
    let rest = message
        .split_once("no such function: ")
        .or_else(|| message.split_once("unknown function: "))?
        .1;
    let name = rest.split(['(', ' ', '\n']).next().unwrap_or_default();
    (!name.is_empty()).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_wordings_name_the_function() {
        for (message, name) in [
            ("no such function: django_date_trunc in SELECT", Some("django_date_trunc")),
            ("unknown function: REGEXP()", Some("REGEXP")),
            ("no such table: x", None),
        ] {
            assert_eq!(missing_function(message).as_deref(), name);
        }
    }

    #[test]
    fn a_function_is_stood_in_for_once() {
        let connection = Connection::open_in_memory().unwrap();
        let mut stand_ins = StandIns::default();
        let value: Option<i64> = stand_ins
            .run(&connection, |c| c.query_row("SELECT a(1) + b(1, 2)", [], |row| row.get(0)))
            .unwrap();
        assert_eq!(value, None);
        assert_eq!(stand_ins.names(&connection).unwrap(), ["a", "b"]);
        let error =
            stand_ins.run(&connection, |c| c.execute_batch("SELECT * FROM nowhere")).unwrap_err();
        assert!(error.to_string().contains("nowhere"));
    }
}
