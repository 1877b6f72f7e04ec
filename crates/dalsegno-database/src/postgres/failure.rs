//! What a server says, and what it means for an operator.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

use dalsegno_format::ErrorKind;
use postgres::error::SqlState;
use thiserror::Error as ThisError;

use crate::{DatabaseError, Place};

/// What can go wrong with a `PostgreSQL` database.
#[non_exhaustive]
#[derive(Debug, ThisError)]
pub enum Failure {
    /// No session could be opened.
    #[error("cannot connect to `{place}`: {said}")]
    Connect {
        /// The database.
        place: Place,
        /// What is wrong.
        cause: Cause,
        /// The words of the server, or of the system.
        said: String,
    },
    /// The server refused a statement, or the session broke.
    #[error("cannot {action} in `{place}`: {said}")]
    Refused {
        /// What was attempted, on which object.
        action: String,
        /// The database.
        place: Place,
        /// What is wrong.
        cause: Cause,
        /// The words of the server.
        said: String,
    },
    /// Sessions of somebody else hold a table for too long.
    #[error("cannot {action} in `{place}`: {}", blocked(blockers))]
    Blocked {
        /// What was attempted.
        action: String,
        /// The database.
        place: Place,
        /// Sessions that hold or wait for what was needed, with what they run; empty where they
        /// were gone when it was looked for them.
        blockers: Vec<String>,
    },
    /// Something between here and the server hands sessions out by the transaction.
    #[error("`{place}` is reached through a connection pool: {evidence}")]
    Pooled {
        /// The database.
        place: Place,
        /// How it was found.
        evidence: String,
    },
    /// The database holds what cannot be captured.
    #[error("cannot capture {object} of `{place}`: {reason}")]
    NotCapturable {
        /// What: a table, a row.
        object: String,
        /// The database.
        place: Place,
        /// Why.
        reason: String,
        /// The next thing to do.
        advice: &'static str,
    },
    /// There is no client program of a fitting version.
    #[error(
        "the schema of `{place}` needs `{program}` {major} or newer, and {}",
        found_none(found)
    )]
    NoProgram {
        /// The database.
        place: Place,
        /// The program.
        program: &'static str,
        /// The server's major version.
        major: u32,
        /// Those that are too old, with their versions.
        found: Vec<(PathBuf, u32)>,
    },
    /// A client program failed.
    #[error("`{}` failed on `{place}`: {said}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// The database.
        place: Place,
        /// What it said on standard error, or how it ended.
        said: String,
    },
    /// The output of a client program is not what this build understands.
    #[error("cannot read what `{}` wrote: {problem}", program.display())]
    Output {
        /// The program.
        program: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A file of certificates or keys cannot be used.
    #[error("cannot use `{}` for TLS: {problem}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// What is behind a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// There is no database of that name.
    NoDatabase,
    /// The password, or another proof, was not accepted.
    Login,
    /// The role may not do this.
    Rights,
    /// All connections are taken.
    TooManyConnections,
    /// The server starts, stops or recovers.
    NotReady,
    /// Nobody answers there.
    Unreachable,
    /// TLS could not be agreed on.
    Tls,
    /// The session broke off.
    Dropped,
    /// The statement was cancelled.
    Cancelled,
    /// A lock was not given in time.
    LockTimeout,
    /// Row security would hide rows.
    RowSecurity,
    /// The server has no more room for locks.
    OutOfLocks,
    /// A standby gave its replay precedence over the reader.
    Standby,
    /// A row is larger than the server can hand out.
    RowTooLarge,
    /// What the statement names is not there.
    Absent,
    /// Anything else.
    Other,
}

impl Failure {
    /// What kind of failure this is, for exit codes.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Blocked { .. } | Self::Refused { cause: Cause::LockTimeout, .. } => {
                ErrorKind::Locked
            }
            Self::Pooled { .. } | Self::NotCapturable { .. } => ErrorKind::Refused,
            _ => ErrorKind::Failed,
        }
    }

    /// The next thing to do, as a full sentence.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Connect { cause, .. } | Self::Refused { cause, .. } => return cause.hint(),
            Self::Blocked { .. } => {
                "Wait until these sessions are done or end them, then run this again."
            }
            Self::Pooled { .. } => {
                "Give the address of the server itself (`HOST`, `PORT`), not that of the pool."
            }
            Self::NotCapturable { advice, .. } => advice,
            Self::NoProgram { major, .. } => {
                return Some(format!(
                    "Install the package `postgresql-client-{major}` (Debian, Ubuntu), \
                     `postgresql{major}` (Red Hat) or `postgresql@{major}` (Homebrew)."
                ));
            }
            Self::Output { .. } => "Install a `pg_dump` of the server's own major version.",
            Self::Certificate { .. } => {
                "Check `sslrootcert`, `sslcert` and `sslkey` in the `OPTIONS` of the database."
            }
            Self::Program { .. } => return None,
        };
        Some(text.to_owned())
    }
}

impl Cause {
    fn hint(self) -> Option<String> {
        let text = match self {
            Self::NoDatabase => "Check `NAME` in the `DATABASES` setting.",
            Self::Login => "Check `USER` and `PASSWORD` in the `DATABASES` setting.",
            Self::Rights => {
                "Give the role the right, or use one that has it; the owner of the tables has all."
            }
            Self::TooManyConnections => {
                "Wait until sessions have ended, or raise `max_connections` of the server."
            }
            Self::NotReady => "Wait until the server is up, then run this again.",
            Self::Unreachable => {
                "Check `HOST` and `PORT` in the `DATABASES` setting, and that the server runs."
            }
            Self::Tls => "Check `sslmode` and `sslrootcert` in the `OPTIONS` of the database.",
            Self::Dropped => "See the log of the server for the reason, then run this again.",
            Self::LockTimeout => "Wait until the others are done, then run this again.",
            Self::RowSecurity => {
                "Use a role with BYPASSRLS: row security hides rows from this one."
            }
            Self::OutOfLocks => {
                "Raise `max_locks_per_transaction` of the server, which takes a restart."
            }
            Self::Standby => {
                "Run this again, raise `max_standby_streaming_delay` of the standby, or use the \
                 primary."
            }
            Self::RowTooLarge => {
                "A server cannot write a row as text that takes a gigabyte: make that value \
                 smaller, or leave out the rows of this table."
            }
            Self::Cancelled | Self::Absent | Self::Other => return None,
        };
        Some(text.to_owned())
    }

    /// What an error of the client means.
    pub(super) fn of(error: &postgres::Error) -> Self {
        let Some(said) = error.as_db_error() else {
            return if error.is_closed() || io_of(error).is_some() {
                Self::Dropped
            } else {
                Self::Other
            };
        };
        Self::of_state(said.code(), said.message())
    }

    fn of_state(state: &SqlState, message: &str) -> Self {
        let class = state.code().get(..2).unwrap_or_default();
        match state.code() {
            "3D000" => Self::NoDatabase,
            "53300" => Self::TooManyConnections,
            "53200" if message.contains("shared memory") => Self::OutOfLocks,
            "54000" | "53200"
                if message.contains("memory alloc") || message.contains("enlarge") =>
            {
                Self::RowTooLarge
            }
            "XX000" if message.contains("invalid memory alloc request size") => Self::RowTooLarge,
            "57P03" | "57P02" => Self::NotReady,
            "57P01" | "57P05" => Self::Dropped,
            "57014" | "40001" if message.contains("conflict with recovery") => Self::Standby,
            "57014" => Self::Cancelled,
            "55P03" => Self::LockTimeout,
            "42501" if message.contains("row-level security") => Self::RowSecurity,
            "42501" => Self::Rights,
            "42P01" | "3F000" | "42704" => Self::Absent,
            _ if class == "28" => Self::Login,
            _ if class == "08" => Self::Dropped,
            _ => Self::Other,
        }
    }
}

/// The words of the server; without one, those of the system.
pub(super) fn said(error: &postgres::Error) -> String {
    if let Some(said) = error.as_db_error() {
        let more = [said.detail(), said.hint()].into_iter().flatten();
        return more.fold(said.message().to_owned(), |text, more| format!("{text} ({more})"));
    }
    let mut words = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        let text = error.to_string();
        if !words.iter().any(|word| word.contains(&text)) {
            words.push(text);
        }
        source = error.source();
    }
    words.join(": ")
}

pub(super) fn io_of(error: &postgres::Error) -> Option<&std::io::Error> {
    error.source()?.downcast_ref()
}

/// A refusal of the server, of a statement that was to do `action`.
pub(super) fn refused(
    action: impl fmt::Display,
    place: &Place,
) -> impl FnOnce(postgres::Error) -> DatabaseError {
    move |error| {
        Failure::Refused {
            action: action.to_string(),
            place: place.clone(),
            cause: Cause::of(&error),
            said: said(&error),
        }
        .into()
    }
}

impl From<Failure> for DatabaseError {
    fn from(failure: Failure) -> Self {
        Self::Postgres(Box::new(failure))
    }
}

fn blocked(blockers: &[String]) -> String {
    if blockers.is_empty() {
        return "another session held it until the time was over".to_owned();
    }
    let more = blockers.len().saturating_sub(5);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let first: Vec<&str> = blockers.iter().take(5).map(String::as_str).collect();
    format!("in the way is {}{more}", first.join(", "))
}

fn found_none(found: &[(PathBuf, u32)]) -> String {
    if found.is_empty() {
        return "none is installed".to_owned();
    }
    let found: Vec<String> =
        found.iter().map(|(path, major)| format!("`{}` is {major}", path.display())).collect();
    format!("there is only an older one: {}", found.join(", "))
}
