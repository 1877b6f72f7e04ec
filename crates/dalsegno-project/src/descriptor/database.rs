//! One database alias.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};

use super::connection::Connection;
use super::setting::DatabaseOptions;
use crate::Secret;
use crate::sqlite_location::SqliteLocation;

/// What `connection.vendor` says, whatever engine is wrapped around it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(from = "String")]
#[non_exhaustive]
pub enum Vendor {
    /// `sqlite`
    Sqlite,
    /// `postgresql`
    Postgresql,
    /// `mysql`, which MariaDB is too.
    Mysql,
    /// Any other, by its name.
    Other(String),
}

impl Vendor {
    /// The name Django uses.
    pub fn name(&self) -> &str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgresql => "postgresql",
            Self::Mysql => "mysql",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for Vendor {
    fn from(name: String) -> Self {
        match name.as_str() {
            "sqlite" => Self::Sqlite,
            "postgresql" => Self::Postgresql,
            "mysql" => Self::Mysql,
            _ => Self::Other(name),
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Vendor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One entry of `DATABASES`, and what the database said of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DatabaseDescriptor {
    /// Which kind of database it is; `None` where its driver cannot be loaded.
    #[serde(default)]
    pub vendor: Option<Vendor>,
    /// The dotted `ENGINE`.
    pub engine: String,
    /// `NAME`; of SQLite the absolute path, `:memory:`, or a `file:` URI with an absolute path.
    #[serde(default)]
    pub name: Option<String>,
    /// A SQLite database without a file.
    #[serde(default)]
    pub memory: bool,
    /// `HOST`; `None` where it is empty.
    #[serde(default)]
    pub host: Option<String>,
    /// `PORT` as text; `None` where it is empty.
    #[serde(default)]
    pub port: Option<String>,
    /// `USER`; `None` where it is empty.
    #[serde(default)]
    pub user: Option<String>,
    /// `PASSWORD`; `None` where it is empty.
    #[serde(default)]
    pub password: Option<Secret>,
    /// `OPTIONS`.
    #[serde(default)]
    pub options: DatabaseOptions,
    /// How its server is reached; `None` where there is none, or that cannot be told.
    #[serde(default)]
    pub connection: Option<Connection>,
    /// `TIME_ZONE` of the alias.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// `ATOMIC_REQUESTS`.
    #[serde(default)]
    pub atomic_requests: bool,
    /// The alias that tests use in its place, which often marks a replica.
    #[serde(default)]
    pub test_mirror: Option<String>,
    /// Whether it answered; `None` where it was not asked.
    #[serde(default)]
    pub reachable: Option<bool>,
    /// Why it was not asked or did not answer.
    #[serde(default)]
    pub reason: Option<String>,
    /// What the server, or the library of SQLite, calls its version.
    #[serde(default)]
    pub server_version: Option<String>,
    /// Whether a MySQL server is MariaDB; `None` for other vendors.
    #[serde(default)]
    pub is_mariadb: Option<bool>,
    /// What its migrations table holds.
    #[serde(default)]
    pub migrations: AppliedMigrations,
}

impl DatabaseDescriptor {
    /// Where a SQLite database lies; `None` for other vendors and for an empty name.
    ///
    /// `base` is the project's folder, for names that are still relative.
    pub fn sqlite_location(&self, base: &Path) -> Option<SqliteLocation> {
        if self.vendor != Some(Vendor::Sqlite) {
            return None;
        }
        let name = self.name.as_deref()?;
        Some(if self.memory { SqliteLocation::Memory } else { SqliteLocation::parse(name, base) })
    }
}

/// An app and the name of one of its migrations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MigrationKey {
    /// The app label.
    pub app: String,
    /// The name, as in `0001_initial`.
    pub name: String,
}

impl fmt::Display for MigrationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.app, self.name)
    }
}

/// A migration on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Migration {
    /// Which one.
    #[serde(flatten)]
    pub key: MigrationKey,
    /// The migrations it was squashed from.
    #[serde(default)]
    pub replaces: Vec<MigrationKey>,
}

/// The migrations one database holds; all `None` where it did not answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedMigrations {
    /// Whether there is a migrations table at all.
    #[serde(default)]
    pub table: Option<bool>,
    /// Its rows, oldest first.
    #[serde(default)]
    pub applied: Option<Vec<MigrationKey>>,
    /// What `migrate` would apply, in its order.
    #[serde(default)]
    pub pending: Option<Vec<MigrationKey>>,
}
