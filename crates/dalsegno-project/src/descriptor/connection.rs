//! How the server of a database is reached.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{DatabaseDescriptor, Vendor};
use crate::{ProjectError, Secret};

/// What the project's driver really used or, where no server answered, what is written down.
///
/// The driver has resolved service files, password files, option files, the environment and its
/// own defaults. Nothing is guessed: a fact that is not known is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// A name or an address.
    #[serde(default)]
    pub host: Option<String>,
    /// The port; of `PostgreSQL` also a part of the name of a socket.
    #[serde(default)]
    pub port: Option<u16>,
    /// The socket that is used instead of a host: of `PostgreSQL` its folder, of MySQL its path.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// Who logs in.
    #[serde(default)]
    pub user: Option<String>,
    /// With which password; `None` where none is needed.
    #[serde(default)]
    pub password: Option<Secret>,
    /// The database; it need not be there.
    #[serde(default)]
    pub database: Option<String>,
    /// How the connection is protected.
    #[serde(default)]
    pub tls: TlsFiles,
    /// The role that is taken on after logging in.
    #[serde(default)]
    pub role: Option<String>,
    /// `-c name=value` options of `PostgreSQL`.
    #[serde(default)]
    pub options: Option<String>,
    /// What is run first on MySQL.
    #[serde(default)]
    pub init_command: Option<String>,
    /// Whether a server answered under these facts.
    #[serde(default)]
    pub resolved: bool,
}

/// How a connection is protected; the files are PEM and have absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFiles {
    /// How much is asked of the server.
    #[serde(default)]
    pub mode: TlsMode,
    /// Certificates of the authorities that are believed; those of the system without it.
    #[serde(default)]
    pub root: Option<PathBuf>,
    /// The client's own certificate.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// The key of that.
    #[serde(default)]
    pub key: Option<PathBuf>,
}

/// How much is asked of a server's certificate, in the words of `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsMode {
    /// No encryption.
    Disable,
    /// Encryption where the server offers it, without a look at its certificate.
    #[default]
    Prefer,
    /// Encryption, without a look at the certificate.
    Require,
    /// The certificate must come from an authority that is believed.
    VerifyCa,
    /// And it must be for the host.
    VerifyFull,
}

impl TlsMode {
    /// The mode of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

/// Everything that a client must know, and does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Where the server listens.
    pub address: Address,
    /// Who logs in.
    pub user: String,
    /// With which password.
    pub password: Option<Secret>,
    /// The database.
    pub database: String,
    /// How the connection is protected.
    pub tls: TlsFiles,
    /// The role that is taken on after logging in.
    pub role: Option<String>,
    /// `-c name=value` options of `PostgreSQL`.
    pub options: Option<String>,
    /// What is run first on MySQL.
    pub init_command: Option<String>,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// At a port.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// At a socket of this machine.
    Socket {
        /// Of `PostgreSQL` its folder, of MySQL its path.
        path: PathBuf,
        /// The port, which is part of the name of `PostgreSQL`'s sockets.
        port: u16,
    },
}

impl DatabaseDescriptor {
    /// How to reach the server of this database, known as `alias`; a port that nobody names is the
    /// one that its kind of server has by default.
    ///
    /// [`ProjectError::NotReachable`] names the first fact that is missing: the database is on no
    /// server, or none answered and what is written down does not say enough.
    pub fn reach(&self, alias: &str) -> Result<Reach, ProjectError> {
        let unknown = |fact: &'static str| ProjectError::NotReachable {
            alias: alias.to_owned(),
            fact,
            reason: self.reason.clone(),
        };
        let usual_port = match self.vendor {
            Some(Vendor::Postgresql) => 5432,
            Some(Vendor::Mysql) => 3306,
            _ => return Err(unknown("server")),
        };
        let known = self.connection.as_ref().ok_or_else(|| unknown("server"))?;
        // What lies elsewhere, and nobody has read.
        let elsewhere = !known.resolved && self.options.expose("service").is_some();
        let port = match known.port {
            Some(port) => port,
            None if elsewhere => return Err(unknown("port")),
            None => usual_port,
        };
        let address = match (&known.socket, &known.host) {
            (Some(path), _) => Address::Socket { path: path.clone(), port },
            (None, Some(host)) => Address::Tcp { host: host.clone(), port },
            (None, None) => return Err(unknown("host")),
        };
        Ok(Reach {
            address,
            user: known.user.clone().ok_or_else(|| unknown("user"))?,
            password: known.password.clone(),
            database: known.database.clone().ok_or_else(|| unknown("name"))?,
            tls: known.tls.clone(),
            role: known.role.clone(),
            options: known.options.clone(),
            init_command: known.init_command.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn described(vendor: &str, connection: &serde_json::Value) -> DatabaseDescriptor {
        serde_json::from_value(json!({
            "vendor": vendor, "engine": "e", "options": {"service": "shop"},
            "reason": "OperationalError: no", "connection": connection,
        }))
        .unwrap()
    }

    #[test]
    fn what_a_client_needs_is_there_or_named() {
        let whole = json!({"host": "h", "user": "u", "database": "d", "resolved": true,
            "password": "hunter2", "tls": {"mode": "verify-ca", "root": "/ca.pem"}});
        let reach = described("postgresql", &whole).reach("default").unwrap();
        assert_eq!(reach.address, Address::Tcp { host: "h".into(), port: 5432 });
        assert_eq!(reach.tls.mode, TlsMode::VerifyCa);
        assert_eq!(reach.password.as_ref().map(Secret::expose), Some("hunter2"));
        assert!(!format!("{reach:?}").contains("hunter2"));
        let on_socket = json!({"socket": "/s", "user": "u", "database": "d", "resolved": true});
        let address = Address::Socket { path: "/s".into(), port: 3306 };
        assert_eq!(described("mysql", &on_socket).reach("default").unwrap().address, address);

        for (fact, vendor, left_out) in [
            ("host", "postgresql", "host"),
            ("user", "mysql", "user"),
            ("name", "mysql", "database"),
            // The service file may name another port than the usual one.
            ("port", "postgresql", "resolved"),
            ("server", "sqlite", "host"),
        ] {
            let mut facts = whole.clone();
            facts.as_object_mut().unwrap().remove(left_out);
            let error = described(vendor, &facts).reach("default").unwrap_err().to_string();
            let expected =
                format!("the {fact} of the database `default` is not known: OperationalError: no");
            assert_eq!(error, expected);
        }
    }
}
