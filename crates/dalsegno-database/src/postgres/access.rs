use std::path::PathBuf;

use dalsegno_format::Secret;

use crate::{Place, Tls};

/// A database on a `PostgreSQL` server, and how to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// A name, an address, or the absolute folder of a socket.
    pub host: String,
    /// The port; of a socket it is part of the name.
    pub port: u16,
    /// The role that logs in.
    pub user: String,
    /// Its password, if the server asks for one.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// How the connection is protected.
    pub tls: Tls,
    /// The role to take on after logging in: Django's `assume_role`.
    pub role: Option<String>,
    /// `-c name=value` options of the connection.
    pub options: Option<String>,
    /// Folders in which client programs are looked for before the usual ones.
    pub client_folders: Vec<PathBuf>,
}

impl Access {
    /// Where the database is.
    pub fn place(&self) -> Place {
        let separator = if self.host.starts_with('/') { "/.s.PGSQL." } else { ":" };
        Place::Server {
            server: format!("{}{separator}{}", self.host, self.port),
            database: self.database.clone(),
        }
    }
}
