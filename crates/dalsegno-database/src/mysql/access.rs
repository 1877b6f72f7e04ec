use std::path::PathBuf;

use dalsegno_format::Secret;

use crate::{Place, Tls};

/// A database on a `MySQL` or `MariaDB` server, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// A name or an address.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The socket to use instead of host and port.
    pub socket: Option<PathBuf>,
    /// The account that logs in.
    pub user: String,
    /// Its password, if the server asks for one.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// How the connection is protected.
    pub tls: Tls,
    /// What the settings want run first; what we pin comes after it.
    pub init_command: Option<String>,
}

impl Access {
    /// Where the database is.
    pub fn place(&self) -> Place {
        let server = match &self.socket {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", self.host, self.port),
        };
        Place::Server { server, database: self.database.clone() }
    }
}
