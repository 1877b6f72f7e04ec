//! What every engine does with a live database, from the capture to the way back.

use std::fmt::Debug;
use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Captured, Holder, Place, Result, Snapshot, TableCount, Watch, fixtures, mysql, postgres, sqlite,
};

/// How to capture.
#[derive(Debug, Clone)]
pub struct CaptureOptions {
    /// How long to wait for a lock that another process holds.
    pub lock_timeout: Duration,
    /// A folder for a private copy, where one is needed; it takes as many bytes as the database.
    pub spool_dir: PathBuf,
    /// Tables to capture without their rows.
    pub exclude_rows_of: Vec<String>,
    /// Connections that may read at once.
    pub workers: usize,
}

/// How to check a staged copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions<'c> {
    /// The rows that the manifest promises; no table at all: rows are not compared.
    pub expected_counts: &'c [TableCount],
    /// Also read everything back: row hashes, or indexes against tables and dangling foreign keys.
    pub full: bool,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Damage; empty if the copy is sound.
    pub problems: Vec<String>,
    /// What could not be judged here, and why.
    pub notes: Vec<String>,
    /// Rows of every table.
    pub counts: Vec<TableCount>,
    /// Rows whose foreign key points nowhere: not damage, since the live database may have had
    /// them. `None` if nobody looked.
    pub foreign_key_violations: Option<u64>,
    /// The first of them.
    pub violations: Vec<Violation>,
}

/// A row whose foreign key points nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Its table.
    pub table: String,
    /// Its rowid; `None` in a table without rowids.
    pub rowid: Option<i64>,
    /// The table it points into.
    pub parent: String,
}

/// What a table holds, in one comparable value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableHash {
    /// The table, unquoted; with its schema where that is not the usual one.
    pub name: String,
    /// Its rows; `None` if it cannot be read here.
    pub rows: Option<u64>,
    /// 32 hexadecimal digits: the sum modulo 2^128 of the XXH3-128 of every row, so that the order
    /// of rows does not matter and equal rows do not cancel. What a row's bytes are, each engine
    /// says; only hashes of one engine compare. `None` where it cannot be read here.
    pub hash: Option<String>,
    /// Why something is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Everything that can be said about a captured database without the site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepReport {
    /// Damage; empty if it is sound.
    pub problems: Vec<String>,
    /// What could not be judged here, and why.
    pub notes: Vec<String>,
    /// Rows whose foreign key points nowhere; `None` if that could not be judged.
    pub foreign_key_violations: Option<u64>,
    /// The first of them.
    pub violations: Vec<Violation>,
    /// Every table.
    pub tables: Vec<TableHash>,
}

/// How a restore would put a staged copy in place; found without changing anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwitchPlan {
    /// In words, for the plan and the report: `a new database, renamed`.
    pub way: String,
    /// Whether the old data stay and can be put back.
    pub keeps: bool,
    /// What it costs, and what will not be as it was.
    pub notes: Vec<String>,
    /// Who has the database open: of a file they are in the way, of a server their sessions are ended
    /// or waited for.
    pub holders: Vec<Holder>,
}

/// How long a switch or rollback waits, in all, for locks that others hold.
#[derive(Debug, Clone, Copy)]
pub struct SwitchOptions {
    /// The time.
    pub lock_timeout: Duration,
}

/// How to roll back.
#[derive(Debug, Clone, Copy)]
pub struct RollbackOptions {
    /// How long to wait for locks that others hold.
    pub lock_timeout: Duration,
    /// Roll back also if the database was written to since; its present state is kept first.
    pub force: bool,
}

/// The record of a switch that took place, fit for a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "vendor", rename_all = "lowercase")]
pub enum Switched {
    /// Of an `SQLite` file.
    Sqlite(sqlite::Switched),
    /// Of a `PostgreSQL` database.
    Postgresql(postgres::Switched),
    /// Of a `MySQL` or `MariaDB` database.
    Mysql(mysql::Switched),
    /// Of a database that only Django can speak to.
    Fixtures(fixtures::Switched),
}

/// What [`Target::recover`] found and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// The restore left nothing: it did not begin to stage, or is over.
    Nothing,
    /// The switch had not taken place: the live database is the old one, the rest is removed.
    Undone,
    /// The switch had taken place: the live database is the new one, and the old one is kept.
    Switched(Box<Switched>),
}

/// A rollback that took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// What was written after the restore, if a forced rollback found any: a complete database.
    pub present: Option<Place>,
}

/// Something a restore left beside a live database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Where.
    pub place: Place,
    /// The restore, or the first characters of its id.
    pub restore_id: String,
    /// Whether it is a copy that was being made; anything else keeps data.
    pub unfinished: bool,
}

/// A live database, there or not.
pub trait Database: Debug + Send + Sync {
    /// Django's word for the engine: `sqlite`, `postgresql`, `mysql`, or any other.
    fn vendor(&self) -> &str;

    /// Where it is. Two aliases of one database have one place.
    fn place(&self) -> Place;

    /// Whether there is a database, with or without tables. An error where that cannot be told.
    fn exists(&self) -> Result<bool>;

    /// Bytes it takes, by a quick look; `None` where that cannot be told.
    fn size(&self) -> Option<u64>;

    /// Whether a capture makes a private copy, as large as the database, given whether the sink
    /// stores files.
    fn takes_private_copy(&self, options: &CaptureOptions, stores_files: bool) -> Result<bool>;

    /// Opens a snapshot. [`Snapshot::write`] is to be called at once: writers may be waiting.
    fn capture(&self, options: &CaptureOptions, watch: &mut dyn Watch)
    -> Result<Box<dyn Snapshot>>;

    /// Rows of every table, from one view.
    fn table_counts(
        &self,
        lock_timeout: Duration,
        watch: &mut dyn Watch,
    ) -> Result<Vec<TableCount>>;

    /// Rows and a hash of every table, from one view.
    fn table_hashes(&self, lock_timeout: Duration, watch: &mut dyn Watch)
    -> Result<Vec<TableHash>>;

    /// How a restore of this capture would be put in place; refused where it could not be.
    fn plan(&self, captured: &Captured, lock_timeout: Duration) -> Result<SwitchPlan>;

    /// The place of one restore: an id of letters, digits, `-` and `_`.
    fn target(&self, restore_id: &str) -> Result<Box<dyn Target>>;

    /// What restores left beside it, sorted.
    fn leftovers(&self) -> Result<Vec<Leftover>>;

    /// Removes one that is unfinished; it may be gone already. One that keeps data is refused.
    fn remove_leftover(&self, left: &Leftover) -> Result<()>;
}

/// One restore into one live database.
pub trait Target: Debug + Send {
    /// Begins a staged copy of what was captured.
    fn begin(&self, captured: &Captured) -> Result<Box<dyn Staging>>;

    /// Finishes or undoes what a killed restore left. Only for one that no process works on.
    /// `begun` is what [`Staged::content`] said if the switch was begun, `existed` whether there was
    /// a live database before.
    fn recover(
        &self,
        begun: Option<&str>,
        existed: bool,
        lock_timeout: Duration,
    ) -> Result<Recovered>;

    /// Whether the live database is still what this switch put there, in place if not in content:
    /// false when a rollback that was killed had put the old one back.
    fn holds(&self, switched: &Switched) -> Result<bool>;

    /// Whether the live database holds anything else than what the switch put there. Reads as much
    /// as that takes; one that is gone counts as written to.
    fn written_since(&self, switched: &Switched, lock_timeout: Duration) -> Result<bool>;

    /// The same switch, reversed. Refused if the live database was written to since, unless forced.
    /// May be run again after being killed.
    fn rollback(
        &self,
        switched: &Switched,
        options: RollbackOptions,
        watch: &mut dyn Watch,
    ) -> Result<RolledBack>;

    /// Removes everything the restore left beside the live database, which is not touched.
    fn discard(&self) -> Result<()>;
}

/// The first file of a capture from a server: what is known when it begins.
pub const CATALOG_FILE: &str = "1-catalog.json";

/// One file of a capture, as the backup holds it.
#[derive(Debug, Clone, Copy)]
pub struct CapturedFile<'a> {
    /// Its name below the folder of the alias.
    pub name: &'a str,
    /// Its bytes.
    pub size: u64,
    /// The mode the live database had, where it was a file.
    pub mode: u32,
}

/// A copy that is being made beside the live database. Dropped, it is removed.
pub trait Staging: Send {
    /// Takes one file of the capture, in the order in which it was captured.
    fn file(
        &mut self,
        file: CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<()>;

    /// After the last file: everything is loaded and built. A capture that lacks a file is damaged.
    fn finish(self: Box<Self>, watch: &mut dyn Watch) -> Result<Box<dyn Staged>>;
}

/// A whole copy beside the live database. Dropped without a switch, it is removed.
pub trait Staged: Send {
    /// Reads the copy against what the capture promised. Damage is in the report; an error means
    /// that checking itself failed.
    fn check(&mut self, options: &CheckOptions<'_>, watch: &mut dyn Watch) -> Result<CheckReport>;

    /// What [`Target::recover`] wants to know of it: recorded before the switch.
    fn content(&self) -> &str;

    /// Puts the copy in the live database's place, at once. On an error the live database is the
    /// old one.
    fn switch(self: Box<Self>, options: SwitchOptions, watch: &mut dyn Watch) -> Result<Switched>;
}

impl CheckReport {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Switched {
    /// The live database.
    pub fn live(&self) -> Place {
        match self {
            Self::Sqlite(switched) => Place::File(switched.live.clone()),
            Self::Postgresql(switched) => switched.live.clone(),
            Self::Mysql(switched) => switched.live.clone(),
            Self::Fixtures(switched) => switched.live.clone(),
        }
    }

    /// The complete old database; `None` if there was none, or it could not be kept.
    pub fn kept(&self) -> Option<Place> {
        match self {
            Self::Sqlite(switched) => switched.kept.clone().map(Place::File),
            Self::Postgresql(switched) => switched.kept.clone(),
            Self::Mysql(switched) => switched.kept.clone(),
            Self::Fixtures(_) => None,
        }
    }

    /// Whether a rollback can take it back: not where rows were replaced in place.
    pub fn can_be_undone(&self) -> bool {
        !matches!(self, Self::Fixtures(_))
    }
}
