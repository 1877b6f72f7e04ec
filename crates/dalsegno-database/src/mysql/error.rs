use std::time::Duration;

use dalsegno_format::ErrorKind;
use thiserror::Error;

use crate::{DatabaseError, Place};

/// What can go wrong with a `MySQL` or `MariaDB` server.
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum ServerError {
    /// Nobody answers, or not as such a server does.
    #[error("cannot connect to {place}")]
    Unreachable {
        /// The database.
        place: Place,
        /// What was said.
        source: Said,
    },
    /// The server does not let this account in.
    #[error("{place} does not let `{user}` in")]
    Denied {
        /// The database.
        place: Place,
        /// The account.
        user: String,
        /// What was said.
        source: Said,
    },
    /// The server has no such database, or does not show it to this account.
    #[error("there is no database {place}")]
    NoDatabase {
        /// The database.
        place: Place,
        /// What was said.
        source: Said,
    },
    /// The server takes no more connections.
    #[error("{place} takes no more connections")]
    TooManyConnections {
        /// The database.
        place: Place,
        /// What was said.
        source: Said,
    },
    /// The connection cannot be encrypted as the settings want it.
    #[error("cannot make an encrypted connection to {place}")]
    Encryption {
        /// The database.
        place: Place,
        /// What was said.
        source: Said,
    },
    /// The connection broke.
    #[error("cannot {action} `{object}`: the connection to {place} broke")]
    Gone {
        /// What was attempted.
        action: &'static str,
        /// The object.
        object: String,
        /// The database.
        place: Place,
        /// What was said.
        source: Said,
    },
    /// Somebody else's lock was in the way for too long.
    #[error("cannot {action} `{object}` on {place}: it is locked{by}")]
    Locked {
        /// What was attempted.
        action: &'static str,
        /// The object.
        object: String,
        /// The database.
        place: Place,
        /// ` by …`, or nothing where that cannot be seen.
        by: String,
        /// What was said.
        source: Said,
    },
    /// The account lacks a right.
    #[error("cannot {action} `{object}` on {place}: `{user}` may not")]
    NoRight {
        /// What was attempted.
        action: &'static str,
        /// The object.
        object: String,
        /// The database.
        place: Place,
        /// The account.
        user: String,
        /// What was said.
        source: Said,
    },
    /// The server refused a statement.
    #[error("cannot {action} `{object}` on {place}")]
    Statement {
        /// What was attempted.
        action: &'static str,
        /// The object.
        object: String,
        /// The database.
        place: Place,
        /// What was said.
        source: Said,
    },
    /// Tables came, went or changed whenever a snapshot was opened.
    #[error(
        "cannot open a snapshot of {place}: its tables changed in each of {tries} tries, last {what}"
    )]
    Changing {
        /// The database.
        place: Place,
        /// How often it was tried.
        tries: u32,
        /// What changed.
        what: String,
    },
    /// A row that is larger than what is held in memory at a time.
    #[error("a row of `{table}` is too large: {row}, more than {limit} bytes")]
    RowTooLarge {
        /// The table.
        table: String,
        /// The row by its key, and its size, as far as they are known.
        row: String,
        /// The most that is captured.
        limit: u64,
    },
    /// A restore that would fail, or do harm.
    #[error("cannot restore into {place}: {reason}")]
    Unfit {
        /// The live database.
        place: Place,
        /// Why not.
        reason: String,
        /// What would help.
        hint: String,
    },
    /// A table that does not exist.
    #[error("{place} has no table `{table}`")]
    UnknownTable {
        /// The database.
        place: Place,
        /// The table asked for.
        table: String,
    },
    /// The capture that held the snapshot has failed.
    #[error("the snapshot of {place} is lost")]
    SnapshotLost {
        /// The database.
        place: Place,
    },
    /// The server answered something else than its manual says.
    #[error("cannot {action} `{object}` on {place}: {what}")]
    Unexpected {
        /// What was attempted.
        action: &'static str,
        /// The object.
        object: String,
        /// The database.
        place: Place,
        /// What is wrong.
        what: String,
    },
}

/// What the server, or the library that speaks to it, said. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Said {
    /// The server's error number, if it was the server.
    pub code: Option<u16>,
    /// Its words.
    pub text: String,
}

impl From<&mysql::Error> for Said {
    fn from(error: &mysql::Error) -> Self {
        match error {
            mysql::Error::MySqlError(error) => Self {
                code: Some(error.code),
                text: format!("{} (error {})", error.message, error.code),
            },
            // These two would print a value.
            mysql::Error::FromValueError(_) | mysql::Error::FromRowError(_) => {
                Self { code: None, text: "a value is of another type".to_owned() }
            }
            mysql::Error::IoError(error) => Self { code: None, text: error.to_string() },
            other => Self { code: None, text: other.to_string() },
        }
    }
}

/// Error numbers, of both families.
pub(super) mod code {
    /// Too many connections.
    pub(in crate::mysql) const TOO_MANY: [u16; 3] = [1040, 1203, 1226];
    /// Access denied, to the server or from this host.
    pub(in crate::mysql) const DENIED: [u16; 4] = [1045, 1129, 1130, 1698];
    /// Access denied, to a database, a table, a column, a routine, or for want of a right.
    pub(in crate::mysql) const NO_RIGHT: [u16; 6] = [1044, 1142, 1143, 1227, 1370, 1419];
    /// Unknown database.
    pub(in crate::mysql) const NO_DATABASE: u16 = 1049;
    /// Table doesn't exist.
    pub(in crate::mysql) const NO_TABLE: u16 = 1146;
    /// Unknown system variable.
    pub(in crate::mysql) const NO_VARIABLE: u16 = 1193;
    /// Lock wait timeout.
    pub(in crate::mysql) const LOCK_WAIT: u16 = 1205;
    /// Table definition has changed.
    pub(in crate::mysql) const CHANGED: u16 = 1412;
    /// What makes a view useless: it, its definer, or a database, table, column or routine of it is
    /// gone, or its definer may not use one.
    pub(in crate::mysql) const BROKEN_VIEW: [u16; 10] =
        [1356, 1449, 1049, 1146, 1054, 1305, 1142, 1143, 1370, 1044];
    /// The server is going down, or ended this connection.
    pub(in crate::mysql) const ENDED: [u16; 4] = [1053, 1152, 1927, 4031];
}

impl ServerError {
    /// What kind of failure this is, for exit codes.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Locked { .. } => ErrorKind::Locked,
            Self::RowTooLarge { .. } | Self::Unfit { .. } => ErrorKind::Refused,
            Self::UnknownTable { .. } => ErrorKind::Usage,
            _ => ErrorKind::Failed,
        }
    }

    /// The next thing to do, as a full sentence.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Unfit { hint, .. } => hint,
            Self::Unreachable { .. } => {
                "Check that the server runs, and `HOST`, `PORT` and `OPTIONS` in the `DATABASES` \
                 setting."
            }
            Self::Denied { .. } => "Check `USER` and `PASSWORD` in the `DATABASES` setting.",
            Self::NoDatabase { .. } => {
                "Check `NAME` in the `DATABASES` setting, and that the account has rights on it."
            }
            Self::TooManyConnections { .. } => {
                "Wait until others are done, or raise `max_connections` or the limit of the \
                 account."
            }
            Self::Encryption { .. } => {
                "Check `ssl` and `ssl_mode` in `OPTIONS` of the `DATABASES` setting, and the \
                 server's certificate."
            }
            Self::Gone { .. } => "See the log of the server, then run this again.",
            Self::Locked { .. } => {
                "Wait until the others are done or stop them, then run this again."
            }
            Self::NoRight { .. } => {
                "Grant the account `SELECT`, `SHOW VIEW`, `TRIGGER`, `EVENT` and `LOCK TABLES` on \
                 the database, and the right to see its routines."
            }
            Self::Changing { .. } => "Run this again when no migration is at work.",
            Self::RowTooLarge { .. } => {
                "Leave out the rows of this table, and copy them in another way."
            }
            Self::Statement { .. }
            | Self::Unexpected { .. }
            | Self::UnknownTable { .. }
            | Self::SnapshotLost { .. } => return None,
        };
        Some(text.to_owned())
    }

    /// The server's error number, if it said one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Unreachable { source, .. }
            | Self::Denied { source, .. }
            | Self::NoDatabase { source, .. }
            | Self::TooManyConnections { source, .. }
            | Self::Encryption { source, .. }
            | Self::Gone { source, .. }
            | Self::Locked { source, .. }
            | Self::NoRight { source, .. }
            | Self::Statement { source, .. } => source.code,
            _ => None,
        }
    }
}

/// The server's error number of a failed statement.
pub(super) fn code_of(error: &DatabaseError) -> Option<u16> {
    match error {
        DatabaseError::Mysql(error) => error.code(),
        _ => None,
    }
}

/// Whole seconds for a server's timeout, at least one.
pub(super) fn seconds(time: Duration) -> u64 {
    time.as_secs().max(1)
}
