use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno_format::ErrorKind;
use thiserror::Error as ThisError;

use crate::{Holder, Place, mysql, postgres};

/// The result of everything in this crate.
pub type Result<T, E = DatabaseError> = std::result::Result<T, E>;

/// What can go wrong with a database.
#[non_exhaustive]
#[derive(Debug, ThisError)]
pub enum DatabaseError {
    /// There is no database at this place.
    #[error("no database file at `{}`", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A folder, a socket or the like stands where a database file should be.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// What was found.
        path: PathBuf,
    },
    /// The file's content is not a database, or it is encrypted.
    #[error("`{}` is not an SQLite database, or it is encrypted", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The rights of this process do not suffice to open the database.
    #[error("cannot open `{}` with the rights of this user", path.display())]
    NoAccess {
        /// The database file.
        path: PathBuf,
        /// What the engine said.
        source: rusqlite::Error,
    },
    /// A crashed writer left a transaction that must be undone, and this process may not write.
    #[error("`{}` needs recovery after a crash, and this user may not write to it", path.display())]
    NeedsRecovery {
        /// The database file.
        path: PathBuf,
    },
    /// The database may not be written by this process.
    #[error("`{}` is read-only for this user", path.display())]
    ReadOnly {
        /// The database file.
        path: PathBuf,
    },
    /// A database name that cannot be understood.
    #[error("the database name `{name}` cannot be used: {reason}")]
    BadName {
        /// The name as the settings have it.
        name: String,
        /// Why not.
        reason: &'static str,
    },
    /// Others hold the database, and waiting did not help.
    #[error("cannot {action} `{place}`: it is in use{}", by(holders))]
    Locked {
        /// What was attempted.
        action: &'static str,
        /// The database.
        place: Place,
        /// The processes that have it open; empty where they cannot be seen.
        holders: Vec<Holder>,
    },
    /// The SQLite library refused a step.
    #[error("cannot {action} `{}`", path.display())]
    Sqlite {
        /// What was attempted.
        action: &'static str,
        /// The database file.
        path: PathBuf,
        /// What it said.
        source: rusqlite::Error,
    },
    /// The system refused a step.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was attempted.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The receiver of a captured file failed.
    #[error("cannot store the captured file `{name}`")]
    Sink {
        /// The file inside the capture.
        name: String,
        /// The receiver's own error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The receiver of a captured file took less than the file.
    #[error("the captured file `{name}` was stored short: {taken} of {size} bytes")]
    SinkShort {
        /// The file inside the capture.
        name: String,
        /// Bytes of the file.
        size: u64,
        /// Bytes that were taken.
        taken: u64,
    },
    /// The receiver of a captured file took nothing for so long that the site's lock was given back.
    #[error(
        "cannot capture `{}`: for {} s nothing of it could be written",
        path.display(),
        waited.as_secs()
    )]
    Stalled {
        /// The live database.
        path: PathBuf,
        /// How long nothing was taken.
        waited: Duration,
    },
    /// The SQLite library of this build lacks what reading pages needs.
    #[error("this build of SQLite has no `sqlite_dbpage`")]
    NoPageAccess,
    /// A table that does not exist.
    #[error("`{}` has no table `{table}`", path.display())]
    UnknownTable {
        /// The database file.
        path: PathBuf,
        /// The table asked for.
        table: String,
    },
    /// A table whose rows cannot be left out.
    #[error("the rows of `{table}` cannot be left out: it is {reason}")]
    NotExcludable {
        /// The table.
        table: String,
        /// What it is.
        reason: &'static str,
    },
    /// A staged copy is not what was announced.
    #[error("the staged copy `{}` is damaged: {problem}", path.display())]
    Damaged {
        /// The staged copy.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The backup lacks a file of the database.
    #[error("`{name}` is missing in the backup")]
    MissingFile {
        /// The file, below the folder of the database.
        name: String,
    },
    /// A new database was asked for under a name that is taken.
    #[error("`{place}` already exists")]
    Taken {
        /// Where.
        place: Place,
    },
    /// A file of a captured database cannot be read.
    #[error("cannot read the captured file `{name}`: {source}")]
    StoredFile {
        /// The file, below the folder of the database.
        name: String,
        /// Why not.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A captured database has no such table, or its rows were left out.
    #[error("the captured database has no rows of a table `{table}`")]
    NoStoredTable {
        /// The table asked for.
        table: String,
    },
    /// Captures of this engine have no rows that could be read without it.
    #[error("rows of a captured `{vendor}` database cannot be read here")]
    NoStoredRows {
        /// The engine.
        vendor: String,
    },
    /// A record of another engine's restore.
    #[error("the record of the restore speaks of {place}, which is another engine's")]
    OtherEngine {
        /// What it speaks of.
        place: Place,
    },
    /// Django, or what runs it, failed at a database that only it can speak to.
    #[error("cannot {action} `{place}` through Django")]
    ThroughDjango {
        /// What was attempted.
        action: &'static str,
        /// The database.
        place: Place,
        /// What was said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// A table that no model of a database has.
    #[error("`{place}` has no table `{table}`")]
    NoSuchTable {
        /// The database.
        place: Place,
        /// The table asked for.
        table: String,
    },
    /// Rows that were replaced where they lie cannot be put back.
    #[error("the rows of `{place}` were replaced in place, and no old copy of them was kept")]
    NoOldCopy {
        /// The live database.
        place: Place,
    },
    /// Something that may be the only copy of what was there is not removed in passing.
    #[error("`{place}` keeps data and is not removed")]
    KeepsData {
        /// Where it is.
        place: Place,
    },
    /// The live database is not what the switch was planned for.
    #[error("`{}` changed while it was being restored: {change}", path.display())]
    Moved {
        /// The live database.
        path: PathBuf,
        /// What changed.
        change: String,
    },
    /// A rollback would lose what was written after the restore.
    #[error("`{place}` was written to after it was restored")]
    ChangedSince {
        /// The live database.
        place: Place,
    },
    /// The kept old copy that a rollback needs is gone.
    #[error("the kept old copy `{place}` is gone")]
    KeptMissing {
        /// Where it should be.
        place: Place,
    },
    /// A restore of this id has already left a file here.
    #[error("`{}` already exists", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A `PostgreSQL` database.
    #[error(transparent)]
    Postgres(Box<postgres::Failure>),
    /// A restore into this server that would not come to a good end is not begun.
    #[error("cannot restore into `{place}`: {reason}")]
    NotRestorable {
        /// The live database.
        place: Place,
        /// What stands against it.
        reason: String,
        /// The next thing to do.
        hint: String,
    },
    /// What was captured, or what was made of it beside the live database, is not whole.
    #[error("the backup of `{place}` is damaged: {problem}")]
    DamagedBackup {
        /// The live database.
        place: Place,
        /// What is wrong.
        problem: String,
    },
    /// A file of the backup cannot be read.
    #[error("cannot read `{name}`")]
    Unreadable {
        /// The file, below the folder of the database.
        name: String,
        /// What was said.
        source: io::Error,
    },
    /// A restore of this id has already left a database here.
    #[error("`{place}` already exists")]
    PlaceTaken {
        /// The database.
        place: Place,
    },
    /// A `MySQL` or `MariaDB` server, or the way to it, failed.
    #[error(transparent)]
    Mysql(#[from] mysql::ServerError),
    /// The work was stopped on request.
    #[error("cancelled")]
    Cancelled,
}

fn by(holders: &[Holder]) -> String {
    if holders.is_empty() {
        return String::new();
    }
    let names: Vec<String> = holders.iter().take(5).map(ToString::to_string).collect();
    let more = holders.len().saturating_sub(5);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!(" by {}{more}", names.join(", "))
}

impl DatabaseError {
    /// What kind of failure this is, for exit codes.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked { .. } => ErrorKind::Locked,
            Self::ChangedSince { .. }
            | Self::Moved { .. }
            | Self::Exists { .. }
            | Self::NoOldCopy { .. }
            | Self::NotRestorable { .. }
            | Self::PlaceTaken { .. }
            | Self::Taken { .. } => ErrorKind::Refused,
            Self::BadName { .. }
            | Self::NoStoredTable { .. }
            | Self::UnknownTable { .. }
            | Self::NoSuchTable { .. }
            | Self::NotExcludable { .. } => ErrorKind::Usage,
            Self::Damaged { .. }
            | Self::DamagedBackup { .. }
            | Self::MissingFile { .. }
            | Self::StoredFile { .. } => ErrorKind::Damaged,
            Self::Postgres(failure) => failure.kind(),
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Mysql(error) => error.kind(),
            _ => ErrorKind::Failed,
        }
    }

    /// The next thing to do, as a full sentence.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Postgres(failure) => return failure.hint(),
            Self::Mysql(error) => return error.hint(),
            Self::Missing { .. } => "Check `NAME` in the `DATABASES` setting.",
            Self::NotADatabase { .. } => {
                "Check `NAME` in the `DATABASES` setting; a database encrypted by an extension \
                 cannot be read."
            }
            Self::NoAccess { .. } | Self::ReadOnly { .. } => {
                "Run as the user of the site: SQLite needs to write to the database file and to \
                 its folder, even for reading."
            }
            Self::NeedsRecovery { .. } => {
                "Run once as a user who may write to the database file and its folder, or let the \
                 site open it."
            }
            Self::Locked { .. } => {
                "Wait until the others are done or stop them, then run this again."
            }
            Self::Io { source, .. } if is_full(source) => {
                "Free some space on that filesystem, then run this again."
            }
            Self::Sqlite { source, .. } if is_disk_full(source) => {
                "Free some space on the filesystem of the database, then run this again."
            }
            Self::Stalled { .. } => {
                "The site can write again; see what holds up the disk of the backups, or write to \
                 another one."
            }
            Self::NoPageAccess => {
                "Build with `LIBSQLITE3_FLAGS=-DSQLITE_ENABLE_DBPAGE_VTAB` in the environment."
            }
            Self::NotRestorable { hint, .. } => hint,
            Self::Damaged { .. } | Self::DamagedBackup { .. } | Self::MissingFile { .. } => {
                "The live database was not touched; restore another backup."
            }
            Self::Moved { .. } => "Nothing was changed; run the restore again.",
            Self::ChangedSince { .. } => {
                "Use `--force` to roll back all the same; the present state is kept first."
            }
            Self::KeptMissing { .. } | Self::NoOldCopy { .. } => {
                "Restore the backup made before that restore instead."
            }
            Self::Taken { .. } => "Give it another name, or drop it first.",
            Self::Exists { .. } | Self::PlaceTaken { .. } => {
                "Finish, roll back or discard the earlier restore first."
            }
            _ => return None,
        };
        Some(text.to_owned())
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn is_disk_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}
