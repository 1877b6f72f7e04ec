//! Databases on servers: from what a project says of its connection to what a client needs.

use std::sync::Arc;

use dalsegno_database::{Database, Place, Tls, TlsMode, mysql, postgres};
use dalsegno_project::descriptor::{Address, DatabaseDescriptor, Reach, TlsFiles, Vendor};

use crate::EngineError;

/// How a database of a server is reached.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    Postgres(postgres::Access),
    Mysql(mysql::Access),
}

impl Access {
    /// Of an alias; `None` where its database is on no server.
    pub(crate) fn of(
        alias: &str,
        described: &DatabaseDescriptor,
    ) -> Result<Option<Self>, EngineError> {
        Ok(match described.vendor {
            Some(Vendor::Postgresql) => {
                Some(Self::Postgres(postgres_access(described.reach(alias)?)))
            }
            Some(Vendor::Mysql) => Some(Self::Mysql(mysql_access(described.reach(alias)?))),
            _ => None,
        })
    }

    /// Another database of the same server, reached in the same way.
    pub(crate) fn of_database(mut self, name: &str) -> Self {
        let database = match &mut self {
            Self::Postgres(access) => &mut access.database,
            Self::Mysql(access) => &mut access.database,
        };
        name.clone_into(database);
        self
    }

    /// Its kind, in Django's word.
    pub(crate) fn vendor(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgresql",
            Self::Mysql(_) => "mysql",
        }
    }

    /// The name, address or socket folder of the server.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Postgres(access) => &access.host,
            Self::Mysql(access) => &access.host,
        }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Postgres(access) => access.port,
            Self::Mysql(access) => access.port,
        }
    }

    /// Where it is.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Postgres(access) => access.place(),
            Self::Mysql(access) => access.place(),
        }
    }

    /// The database.
    pub(crate) fn database(self) -> Arc<dyn Database> {
        match self {
            Self::Postgres(access) => Arc::new(access),
            Self::Mysql(access) => Arc::new(access),
        }
    }
}

fn postgres_access(reach: Reach) -> postgres::Access {
    let (host, port) = match reach.address {
        Address::Tcp { host, port } => (host, port),
        Address::Socket { path, port } => (path.to_string_lossy().into_owned(), port),
    };
    postgres::Access {
        host,
        port,
        user: reach.user,
        password: reach.password,
        database: reach.database,
        tls: tls(reach.tls),
        role: reach.role,
        options: reach.options,
        client_folders: Vec::new(),
    }
}

fn mysql_access(reach: Reach) -> mysql::Access {
    let (host, port, socket) = match reach.address {
        Address::Tcp { host, port } => (host, port, None),
        Address::Socket { path, port } => ("localhost".to_owned(), port, Some(path)),
    };
    mysql::Access {
        host,
        port,
        socket,
        user: reach.user,
        password: reach.password,
        database: reach.database,
        tls: tls(reach.tls),
        init_command: reach.init_command,
    }
}

fn tls(files: TlsFiles) -> Tls {
    use dalsegno_project::descriptor::TlsMode as Asked;
    Tls {
        mode: match files.mode {
            Asked::Disable => TlsMode::Disable,
            Asked::Prefer => TlsMode::Prefer,
            Asked::Require => TlsMode::Require,
            Asked::VerifyCa => TlsMode::VerifyCa,
            Asked::VerifyFull => TlsMode::VerifyFull,
        },
        root: files.root,
        identity: files.certificate.zip(files.key),
    }
}
