//! What the text files of a capture hold: `1-catalog.json`, `2-schema.json`, `9-rows.json`.
//!
//! Names stand in these files alone; the names of files are made of ids.

use serde::{Deserialize, Serialize};

/// The schema, an entry after the other, in the order of their restore.
pub const SCHEMA_FILE: &str = "2-schema.json";
/// The entries before the rows, as text for `psql`.
pub const PRE_FILE: &str = "3-pre.sql";
/// How `psql` takes the rows: for each table that has some a line of its number, a tab and the
/// statement that its parts follow.
pub const LOAD_FILE: &str = "6-load.tsv";
/// Positions of the sequences, read after the rows: one statement a line.
pub const SEQUENCES_FILE: &str = "7-sequences.sql";
/// The entries after the rows, as text for `psql`.
pub const POST_FILE: &str = "8-post.sql";
/// The last file: what the capture held.
pub const ROWS_FILE: &str = "9-rows.json";
/// The version of these files that this build writes, and the newest it reads.
pub const LAYOUT: u32 = 1;

/// The name of a part of a table's rows; parts count from 1.
pub fn data_file(table: u32, part: u32) -> String {
    format!("4-data/{table:06}.{part:06}.copy")
}

/// The name of a part of the large objects; parts count from 1. Each line of it is one statement.
pub fn large_file(part: u32) -> String {
    format!("5-large/{part:06}.sql")
}

/// `1-catalog.json`: what is known when the capture begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// [`LAYOUT`].
    pub layout: u32,
    /// The server's words about itself: `15.20 (Debian …)`.
    pub server_version: String,
    /// `server_version_num`: 150020.
    pub server_number: u32,
    /// The version of the `pg_dump` that wrote the schema.
    pub dump_version: String,
    /// What belongs to the database as a whole.
    pub database: DatabaseFacts,
    /// Settings of the sessions that read the rows: name and value.
    pub settings: Vec<(String, String)>,
    /// Extensions in the order of their names.
    pub extensions: Vec<Extension>,
    /// Roles that are owners, have rights or are named by policies, sorted; without `public` and
    /// the roles that every server has.
    pub roles: Vec<String>,
    /// Everything that has rows or could have, ordered by schema and name; ids count from 1,
    /// the largest first.
    pub tables: Vec<Table>,
    /// How many objects of a kind there are, in `pg_dump`'s words: `("TABLE", 12)`, sorted.
    pub objects: Vec<(String, u64)>,
}

/// What belongs to a database as a whole, and what a plain dump leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFacts {
    /// Its name.
    pub name: String,
    /// Its owner.
    pub owner: String,
    /// `UTF8`, `LATIN1`, `SQL_ASCII`…: what the bytes of the rows are in.
    pub encoding: String,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// `libc`, `icu` or `builtin`.
    pub locale_provider: String,
    /// The locale of the providers `icu` and `builtin`.
    pub locale: Option<String>,
    /// Rules beside the locale, of the provider `icu`.
    pub icu_rules: Option<String>,
    /// The version of the collation, if the server says so.
    pub collation_version: Option<String>,
    /// The tablespace, if it is not the usual one.
    pub tablespace: Option<String>,
    /// -1: no limit.
    pub connection_limit: i32,
    /// The comment.
    pub comment: Option<String>,
    /// Rights, if they are not what a new database has.
    pub grants: Option<Vec<Grant>>,
    /// `ALTER DATABASE … SET`, of all roles or of one, in the order in which the server keeps them.
    pub settings: Vec<Setting>,
    /// Bytes it took on the server.
    pub size: u64,
}

/// A right on a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Who has it; `None` is everybody.
    pub to: Option<String>,
    /// Who gave it.
    pub by: String,
    /// `CONNECT`, `CREATE`, `TEMPORARY`.
    pub right: String,
    /// Whether it may be given on.
    pub grantable: bool,
}

/// A setting that sessions of the database begin with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Of whose sessions; `None` is everybody's.
    pub role: Option<String>,
    /// The parameter.
    pub name: String,
    /// Its value, as `pg_db_role_setting` has it: the text of a list is a list, not one literal.
    pub value: String,
}

/// An extension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// The schema it was made in.
    pub schema: String,
    /// The version of its scripts.
    pub version: String,
}

/// Something that has rows, or could have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its number in this capture.
    pub id: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// What was done with its rows.
    pub rows: RowsTaken,
    /// Whether a crash of the server empties it.
    pub unlogged: bool,
    /// The columns of its rows, in the order of the fields: generated ones are left out.
    pub columns: Vec<Column>,
    /// What the files of its rows are: `copy`, the text format of `COPY`.
    pub format: String,
    /// The partitioned table that it is a part of.
    pub partition_of: Option<u32>,
    /// Bytes of the rows on the server, without indexes.
    pub size: u64,
}

/// What a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// A table, or a partition that has rows of its own.
    Table,
    /// A partitioned table: the rows are in its partitions.
    Partitioned,
    /// A foreign table: the rows are somewhere else.
    Foreign,
}

/// What was done with the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowsTaken {
    /// All of them.
    All,
    /// Those of an extension's table that the extension's scripts do not make: the condition.
    Where(String),
    /// None, on request.
    Excluded,
    /// None: it has no rows of its own.
    None,
}

/// A column of a table's rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the server writes it.
    #[serde(rename = "type")]
    pub type_name: String,
}

/// `2-schema.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// Statements that a session has to run before any entry.
    pub preamble: String,
    /// In the order of their restore; each runs by itself after the preamble.
    pub entries: Vec<Entry>,
}

/// One object, or one property of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, which `depends_on` names.
    pub id: i32,
    /// `pg_dump`'s word for it: `TABLE`, `FK CONSTRAINT`, `ACL`, `MATERIALIZED VIEW DATA`…
    pub kind: String,
    /// When it is restored.
    pub section: Section,
    /// The schema; empty for what has none.
    pub schema: String,
    /// The name; of an index or constraint with what it is of: `table name`.
    pub name: String,
    /// The owner; empty where it has none. The text gives it the object.
    pub owner: String,
    /// Statements; empty for what only holds others together.
    pub sql: String,
    /// Entries that must be there before.
    pub depends_on: Vec<i32>,
}

/// When an entry is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Section {
    /// Before the rows.
    Pre,
    /// With the rows.
    Data,
    /// After the rows.
    Post,
}

/// `9-rows.json`: what the capture held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Of every table whose rows were taken, in the order of their files.
    pub tables: Vec<TableRows>,
    /// Statements in [`SEQUENCES_FILE`].
    pub sequences: u64,
    /// Large objects.
    pub large: LargeObjects,
}

/// What was taken of one table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// The table.
    pub id: u32,
    /// Its rows.
    pub rows: u64,
    /// 32 hexadecimal digits: the sum modulo 2^128 of the XXH3-128 of each line, without its end.
    pub hash: String,
    /// Bytes in all parts.
    pub bytes: u64,
    /// Its files; none where there are no rows.
    pub parts: u32,
}

/// What was taken of the large objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LargeObjects {
    /// How many there are.
    pub objects: u64,
    /// Bytes they hold.
    pub content: u64,
    /// Bytes in all parts.
    pub bytes: u64,
    /// Files.
    pub parts: u32,
}
