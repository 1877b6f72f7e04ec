//! What a captured database says about itself: `catalog.json`, `schema.json` and `rows.json`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::quote;

/// Texts of the schema, in the order in which they are restored.
pub const SCHEMA_FILE: &str = "schema.json";
/// Types and tables for the plain client.
pub const PRE_FILE: &str = "pre.sql";
/// `LOAD DATA` of every part, for the plain client in the folder of the capture.
pub const LOAD_FILE: &str = "load.sql";
/// Values of sequences for the plain client.
pub const SEQUENCES_FILE: &str = "sequences.sql";
/// Routines, views, triggers and events for the plain client.
pub const POST_FILE: &str = "post.sql";
/// What the rows came to; the last file.
pub const ROWS_FILE: &str = "rows.json";

/// The two families of servers, which differ in what they can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavor {
    /// `MariaDB`.
    Mariadb,
    /// `MySQL`, and what is made of it.
    Mysql,
}

/// `catalog.json`: what is known when a capture begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The family of the server.
    pub flavor: Flavor,
    /// The server's own version text.
    pub server_version: String,
    /// Major, minor, patch.
    pub version: (u16, u16, u16),
    /// The name of the database.
    pub database: String,
    /// Its default character set.
    pub character_set: String,
    /// Its default collation.
    pub collation: String,
    /// Its comment, where the server keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// How the server treats the case of names: 0, 1 or 2.
    pub lower_case_table_names: u8,
    /// The server's own time zone, in which events that say nothing else were made.
    pub time_zone: String,
    /// Every table, also those whose rows are left out; ordered by name.
    pub tables: Vec<Table>,
    /// How many objects of each kind `schema.json` holds.
    pub objects: Vec<Objects>,
    /// What an operator should know of this capture.
    pub notes: Vec<String>,
}

/// How many objects of one kind there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Objects {
    /// The kind.
    pub kind: Kind,
    /// How many.
    pub count: u64,
}

/// A table as it was captured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its running number, which is also that of its entry in `schema.json`.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its storage engine, in the server's word.
    pub engine: String,
    /// What became of its rows.
    pub rows: Rows,
    /// The columns that its data files hold, in this order: all but generated ones, invisible
    /// ones too. None at all, and each row is an empty line.
    pub columns: Vec<Column>,
    /// Whether the rows are those of all times, with the columns that bound each one's time;
    /// loading them needs `system_versioning_insert_history`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub history: bool,
    /// Bytes of its rows as the server estimates them.
    pub data_length: u64,
}

/// What became of the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rows {
    /// They are in the data files.
    Captured,
    /// They were left out on request.
    Excluded,
    /// They lie in other tables or on another server.
    Elsewhere,
}

/// A column of a table's data files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// How the bytes of a field become its value.
    #[serde(default, skip_serializing_if = "Form::is_bytes")]
    pub form: Form,
}

/// How the bytes of a field become the value of a column; character set `binary` everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// As they are.
    #[default]
    Bytes,
    /// As text in UTF-8, of a type that takes no binary text.
    Text,
    /// As a number, where text would say two things.
    Number,
}

/// `schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Every object, in an order in which they can be made.
    pub entries: Vec<Entry>,
}

/// One object of the schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its running number.
    pub id: u32,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The table that it belongs to: of a trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Before the rows or after them.
    pub section: Section,
    /// The server's own statement, without a delimiter. An event is made disabled by it.
    pub sql: String,
    /// A second statement, for after the switch: what sets an event to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enable: Option<String>,
    /// `user@host` whose rights it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definer: Option<String>,
    /// The session in which it was made, and must be made again.
    #[serde(default, skip_serializing_if = "Session::is_unset")]
    pub session: Session,
    /// Objects that must be there before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<u32>,
    /// Why it did not work when it was captured: of a view whose tables or definer are gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// Kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A sequence of `MariaDB`.
    Sequence,
    /// A table.
    Table,
    /// A stored function.
    Function,
    /// A stored procedure.
    Procedure,
    /// The specification of a package of `MariaDB`.
    Package,
    /// The body of a package.
    PackageBody,
    /// A view.
    View,
    /// A trigger.
    Trigger,
    /// An event.
    Event,
}

/// When an object is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Before the rows.
    Pre,
    /// After them.
    Post,
}

/// The session in which an object was made; what is unset does not matter to it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Session {
    /// `sql_mode`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql_mode: Option<String>,
    /// `character_set_client`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub character_set_client: Option<String>,
    /// `collation_connection`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation_connection: Option<String>,
    /// The default collation of the database at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_collation: Option<String>,
    /// `time_zone`, of an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// `rows.json`: what the rows came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsReport {
    /// Every table whose rows were captured.
    pub tables: Vec<TableRows>,
    /// Every sequence, read after the rows.
    pub sequences: Vec<SequenceValue>,
}

/// What the rows of one table came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// The table.
    pub id: u32,
    /// How many rows.
    pub rows: u64,
    /// Sum modulo 2^128 of the XXH3-128 of each row's line without its end; 32 hexadecimal digits.
    pub hash: String,
    /// Bytes of all parts.
    pub bytes: u64,
    /// Data files, numbered from 1.
    pub parts: u32,
    /// Values of enumerations that are an error's (index 0): the server warns of each one when it
    /// is loaded, and of nothing else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub warnings: u64,
}

/// Where a sequence stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SequenceValue {
    /// Its entry.
    pub id: u32,
    /// The next value that no session has.
    pub next: i64,
    /// How often it went round.
    pub cycle: i64,
}

impl Form {
    fn is_bytes(&self) -> bool {
        *self == Self::Bytes
    }
}

impl Session {
    fn is_unset(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Table {
    /// The name of one of its data files; parts count from 1.
    pub fn data_file(&self, part: u32) -> String {
        format!("data/{:06}.{part:04}.tsv", self.id)
    }

    /// What follows the file's name in a `LOAD DATA` of its parts: into the table `into`, which is
    /// a name as a statement takes it.
    pub fn load_clause(&self, into: &str) -> String {
        let mut sql = format!(
            "INTO TABLE {into} CHARACTER SET binary FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' \
             LINES TERMINATED BY '\\n' ("
        );
        let mut sets = Vec::new();
        for (at, column) in self.columns.iter().enumerate() {
            let name = quote::identifier(&column.name);
            let comma = if at == 0 { "" } else { ", " };
            // Writing to a text cannot fail.
            let _ = match column.form {
                Form::Bytes => write!(sql, "{comma}{name}"),
                Form::Text | Form::Number => write!(sql, "{comma}@f{at}"),
            };
            match column.form {
                Form::Bytes => {}
                Form::Text => sets.push(format!("{name} = CONVERT(@f{at} USING utf8mb4)")),
                Form::Number => sets.push(format!("{name} = @f{at} + 0")),
            }
        }
        if self.columns.is_empty() {
            sql.push_str("@nothing");
        }
        sql.push(')');
        if !sets.is_empty() {
            sql.push_str(" SET ");
            sql.push_str(&sets.join(", "));
        }
        sql
    }
}
