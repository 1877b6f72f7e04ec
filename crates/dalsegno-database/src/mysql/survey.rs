//! Which tables there are, and how their rows are read.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{Column, Flavor, Form, Rows, Table};
use super::connection::{Server, Session};
use super::quote;
use crate::Result;

/// Engines whose rows lie in other tables or on another server, or nowhere.
const ELSEWHERE: [&str; 8] =
    ["FEDERATED", "CONNECT", "SPIDER", "MRG_MYISAM", "BLACKHOLE", "OQGRAPH", "SPHINX", "S3"];

/// What is stored in a database, as the server lists it now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// Tables by name.
    pub(super) tables: BTreeMap<String, Surveyed>,
    /// Sequences by name.
    pub(super) sequences: BTreeSet<String>,
    /// Views by name.
    pub(super) views: BTreeSet<String>,
}

/// A table as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Surveyed {
    engine: String,
    versioned: bool,
    /// Whether a snapshot covers its rows.
    transactional: bool,
    /// Whether it is clustered by its primary key.
    clustered: bool,
    columns: Vec<SurveyedColumn>,
    partitions: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct SurveyedColumn {
    name: String,
    data_type: String,
    column_type: String,
    generated: Option<String>,
}

/// How the rows of a table are read.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    /// The table.
    pub(super) table: Table,
    /// Columns whose empty text is an error's value.
    pub(super) enumerations: Vec<bool>,
    /// Whether a snapshot covers it; else it is locked until it is read.
    pub(super) transactional: bool,
    expressions: Vec<String>,
    source: String,
}

impl Survey {
    /// What is there now.
    pub(super) fn take(session: &mut Session) -> Result<Self> {
        let database = session.database().to_owned();
        let mut survey =
            Self { tables: BTreeMap::new(), sequences: BTreeSet::new(), views: BTreeSet::new() };
        let sql = format!(
            "SELECT t.TABLE_NAME, t.TABLE_TYPE, t.ENGINE, e.TRANSACTIONS \
             FROM information_schema.TABLES t \
             LEFT JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE WHERE {}",
            here("t")
        );
        for row in session.ask("list the tables of", &database, &sql)? {
            let (name, kind) = (row.text(0), row.text(1));
            match kind.as_str() {
                "VIEW" => {
                    survey.views.insert(name);
                }
                "SEQUENCE" => {
                    survey.sequences.insert(name);
                }
                "BASE TABLE" | "SYSTEM VERSIONED" => {
                    let Some(engine) = row.maybe(2) else {
                        let what = "the server cannot open it";
                        return Err(session.unexpected("read the table", &name, what));
                    };
                    let table = Surveyed {
                        versioned: kind == "SYSTEM VERSIONED",
                        transactional: row.text(3) == "YES",
                        clustered: false,
                        columns: Vec::new(),
                        partitions: Vec::new(),
                        engine,
                    };
                    survey.tables.insert(name, table);
                }
                "TEMPORARY" | "TEMPORARY SEQUENCE" | "LOCAL TEMPORARY" => {}
                other => {
                    let what = format!("it is a `{other}`, which is not supported");
                    return Err(session.unexpected("capture", &name, what));
                }
            }
        }
        survey.add_columns(session, &database)?;
        survey.add_keys(session, &database)?;
        Ok(survey)
    }

    fn add_columns(&mut self, session: &mut Session, database: &str) -> Result<()> {
        let sql = format!(
            "SELECT TABLE_NAME, COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, EXTRA, GENERATION_EXPRESSION \
             FROM information_schema.COLUMNS c WHERE {} ORDER BY TABLE_NAME, ORDINAL_POSITION",
            here("c")
        );
        for row in session.ask("list the columns of", database, &sql)? {
            let Some(table) = self.tables.get_mut(&row.text(0)) else { continue };
            let extra = row.text(4).to_ascii_uppercase();
            // `DEFAULT_GENERATED` is a default that is an expression.
            let generated = ["VIRTUAL GENERATED", "STORED GENERATED", "PERSISTENT"]
                .iter()
                .any(|word| extra.contains(word));
            table.columns.push(SurveyedColumn {
                name: row.text(1),
                data_type: row.text(2).to_ascii_lowercase(),
                column_type: row.text(3),
                generated: generated.then(|| row.text(5).to_ascii_uppercase()),
            });
        }
        Ok(())
    }

    fn add_keys(&mut self, session: &mut Session, database: &str) -> Result<()> {
        let sql = format!(
            "SELECT DISTINCT TABLE_NAME FROM information_schema.STATISTICS s \
             WHERE {} AND INDEX_NAME = 'PRIMARY'",
            here("s")
        );
        for row in session.ask("list the keys of", database, &sql)? {
            if let Some(table) = self.tables.get_mut(&row.text(0)) {
                table.clustered = table.engine == "InnoDB";
            }
        }
        let sql = format!(
            "SELECT DISTINCT TABLE_NAME, PARTITION_NAME FROM information_schema.PARTITIONS p \
             WHERE {} AND PARTITION_NAME IS NOT NULL ORDER BY 1, 2",
            here("p")
        );
        for row in session.ask("list the partitions of", database, &sql)? {
            if let Some(table) = self.tables.get_mut(&row.text(0)) {
                table.partitions.push(row.text(1));
            }
        }
        Ok(())
    }

    /// What differs from an older one, in words; `None` if nothing does.
    pub(super) fn change_since(&self, old: &Self) -> Option<String> {
        let all = self.tables.keys().chain(old.tables.keys());
        let table = all.into_iter().find(|name| self.tables.get(*name) != old.tables.get(*name));
        let sequence = self.sequences.symmetric_difference(&old.sequences).next();
        let view = self.views.symmetric_difference(&old.views).next();
        let found = table.or(sequence).or(view)?;
        Some(format!("`{found}`"))
    }

    /// Statements that read a first row of everything: from then on the server lets nobody change
    /// these tables until the transaction ends, and a change since the snapshot is an error.
    pub(super) fn touches(&self) -> Vec<(&str, String)> {
        let mut touches = Vec::new();
        for (name, table) in &self.tables {
            if is_elsewhere(&table.engine) {
                continue;
            }
            let from = quote::identifier(name);
            if table.partitions.is_empty() {
                touches.push((name.as_str(), format!("SELECT 1 FROM {from} LIMIT 1")));
            }
            for partition in &table.partitions {
                let partition = quote::identifier(partition);
                let sql = format!("SELECT 1 FROM {from} PARTITION ({partition}) LIMIT 1");
                touches.push((name.as_str(), sql));
            }
        }
        for name in &self.sequences {
            let sql = format!("SELECT 1 FROM {} LIMIT 1", quote::identifier(name));
            touches.push((name.as_str(), sql));
        }
        touches
    }

    /// Tables that a snapshot does not cover.
    pub(super) fn uncovered(&self) -> Vec<&str> {
        let uncovered = |table: &Surveyed| !table.transactional && !is_elsewhere(&table.engine);
        let tables = self.tables.iter().filter(|(_, table)| uncovered(table));
        tables.map(|(name, _)| name.as_str()).collect()
    }
}

impl Surveyed {
    /// How its rows are read; with notes for the operator.
    pub(super) fn reading(
        &self,
        name: &str,
        id: u32,
        server: &Server,
        notes: &mut Vec<String>,
    ) -> Reading {
        let bounds = self.history(name, server, notes);
        let mut columns = Vec::new();
        let mut expressions = Vec::new();
        let mut enumerations = Vec::new();
        for column in &self.columns {
            if column.generated.is_some() {
                continue;
            }
            let (form, expression) = column.read(server.flavor);
            enumerations.push(column.data_type == "enum");
            columns.push(Column { name: column.name.clone(), form });
            expressions.push(expression);
        }
        for bound in bounds.iter().flatten() {
            columns.push(Column { name: bound.clone(), form: Form::Bytes });
            expressions.push(quote::identifier(bound));
            enumerations.push(false);
        }
        let elsewhere = is_elsewhere(&self.engine);
        let mut source = quote::identifier(name);
        if bounds.is_some() {
            source.push_str(" FOR SYSTEM_TIME ALL");
        } else if self.clustered {
            // In the order in which it lies, which is also the quickest one to load.
            source.push_str(" FORCE INDEX (PRIMARY)");
        }
        let table = Table {
            id,
            name: name.to_owned(),
            engine: self.engine.clone(),
            rows: if elsewhere { Rows::Elsewhere } else { Rows::Captured },
            columns,
            history: bounds.is_some(),
            data_length: 0,
        };
        Reading { table, enumerations, transactional: self.transactional, expressions, source }
    }

    /// The columns that bound each row's time, where the rows of all times can be loaded again.
    fn history(&self, name: &str, server: &Server, notes: &mut Vec<String>) -> Option<[String; 2]> {
        if !self.versioned {
            return None;
        }
        let bound = |which: &str| {
            let marked = |c: &&SurveyedColumn| c.generated.as_deref() == Some(which);
            self.columns.iter().find(marked)
        };
        let (start, end) = (bound("ROW START"), bound("ROW END"));
        let by_transaction = start.is_some_and(|column| column.data_type == "bigint");
        if by_transaction || server.version < (10, 11, 0) {
            notes.push(format!(
                "`{name}` is system-versioned in a way whose history cannot be loaded again: only \
                 its present rows are captured"
            ));
            return None;
        }
        let named = |column: Option<&SurveyedColumn>, usual: &str| {
            column.map_or_else(|| usual.to_owned(), |column| column.name.clone())
        };
        Some([named(start, "row_start"), named(end, "row_end")])
    }
}

impl SurveyedColumn {
    /// How its values go into a data file, and the expression that reads them.
    fn read(&self, flavor: Flavor) -> (Form, String) {
        let name = quote::identifier(&self.name);
        match self.data_type.as_str() {
            // The server shows six digits of a FLOAT, and no more than asked for of a DOUBLE(M,D);
            // as a double each is shown with all it has.
            "float" => (Form::Bytes, format!("{name} * 1e0")),
            "double" if self.column_type.contains('(') => (Form::Bytes, format!("{name} * 1e0")),
            "uuid" | "inet4" | "inet6" => (Form::Text, name),
            "json" if flavor == Flavor::Mysql => (Form::Text, name),
            // An empty label and the value of an error look the same.
            "enum" if has_empty_label(&self.column_type) => (Form::Number, format!("{name} + 0")),
            _ => (Form::Bytes, name),
        }
    }
}

impl Reading {
    /// The query for all rows.
    pub(super) fn rows(&self) -> String {
        let list =
            if self.expressions.is_empty() { "1".to_owned() } else { self.expressions.join(", ") };
        format!("SELECT {list} FROM {}", self.source)
    }

    /// The query for their number.
    pub(super) fn count(&self) -> String {
        format!("SELECT COUNT(*) FROM {}", self.source)
    }
}

/// The condition that a row of `information_schema` is about this database; names that differ in
/// case are two databases on most servers.
pub(super) fn here(alias: &str) -> String {
    format!("{alias}.TABLE_SCHEMA = DATABASE() AND BINARY {alias}.TABLE_SCHEMA = BINARY DATABASE()")
}

fn is_elsewhere(engine: &str) -> bool {
    ELSEWHERE.iter().any(|known| known.eq_ignore_ascii_case(engine))
}

/// Whether an enumeration has `''` among its labels.
fn has_empty_label(column_type: &str) -> bool {
    let labels = column_type.trim_start_matches("enum(").trim_end_matches(')');
    let mut quotes = labels.chars().peekable();
    while quotes.next() == Some('\'') {
        let mut empty = true;
        while let Some(c) = quotes.next() {
            if c == '\'' && quotes.next_if_eq(&'\'').is_none() {
                break;
            }
            empty = false;
        }
        if empty {
            return true;
        }
        // The comma.
        quotes.next();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_label_is_seen_among_quotes_and_commas() {
        for (column_type, empty) in [
            ("enum('a','b,c')", false),
            ("enum('a','')", true),
            ("enum('')", true),
            ("enum('','x')", true),
            ("enum('''')", false),
            ("enum('a'',''','b')", false),
            ("enum('a'',''','')", true),
        ] {
            assert_eq!(has_empty_label(column_type), empty, "{column_type}");
        }
    }
}
