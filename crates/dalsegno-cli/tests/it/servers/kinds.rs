//! The servers, and what their own tools say of a database.

use std::process::Stdio;

use dalsegno_testkit::{MariadbServer, PostgresServer};

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgresql,
    Mariadb,
}

pub(crate) enum Server {
    Postgresql(Box<PostgresServer>),
    Mariadb(Box<MariadbServer>),
}

impl Server {
    pub(crate) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Postgresql => Self::Postgresql(Box::new(PostgresServer::start())),
            Kind::Mariadb => Self::Mariadb(Box::new(MariadbServer::start())),
        }
    }

    pub(crate) fn url(&self, database: &str) -> String {
        match self {
            Self::Postgresql(server) => server.url(database),
            Self::Mariadb(server) => server.url(database),
        }
    }

    pub(crate) fn create_database(&self, name: &str) {
        match self {
            Self::Postgresql(server) => server.create_database(name),
            Self::Mariadb(server) => server.create_database(name),
        }
    }

    pub(crate) fn vendor(&self) -> &'static str {
        match self {
            Self::Postgresql(_) => "postgresql",
            Self::Mariadb(_) => "mysql",
        }
    }

    pub(crate) fn sql(&self, database: &str, text: &str) -> String {
        match self {
            Self::Postgresql(server) => server.psql(database, text),
            Self::Mariadb(server) => server.sql(database, text),
        }
    }

    /// All databases of the server that are nobody's but the site's or ours.
    pub(crate) fn databases(&self) -> Vec<String> {
        let text = match self {
            Self::Postgresql(server) => {
                server.psql("postgres", "SELECT datname FROM pg_database ORDER BY datname")
            }
            Self::Mariadb(server) => server.sql("mysql", "SHOW DATABASES"),
        };
        let own = ["postgres", "template0", "template1", "mysql", "sys", "test"];
        let schemas = ["information_schema", "performance_schema"];
        let names = text.lines().map(str::trim).filter(|name| !name.is_empty());
        names.filter(|n| !own.contains(n) && !schemas.contains(n)).map(str::to_owned).collect()
    }

    /// The whole database as the server's own tool writes it, without what differs by itself.
    pub(crate) fn dump(&self, database: &str) -> String {
        let mut command = match self {
            Self::Postgresql(server) => server.client("pg_dump", database),
            Self::Mariadb(server) => {
                let mut command = std::process::Command::new("mariadb-dump");
                command
                    .args(["--no-defaults", "--skip-dump-date", "--skip-comments", "--hex-blob"])
                    .args(["--routines", "--events", "--triggers", "--single-transaction"])
                    .args(["--order-by-primary", "--skip-extended-insert"])
                    .arg(format!("--user={}", server.user()))
                    .arg("--socket")
                    .arg(server.socket())
                    .arg(database)
                    .env("MYSQL_PWD", server.password());
                command
            }
        };
        let done = command.stdin(Stdio::null()).output().expect("the dump tool runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let random =
            |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
        let mut lines: Vec<&str> = text.lines().filter(random).collect();
        // Rows lie in the order in which they were written.
        if matches!(self, Self::Postgresql(_)) {
            sort_rows(&mut lines);
        }
        lines.join("\n")
    }
}

/// Sorts the lines of each `COPY`.
fn sort_rows(lines: &mut [&str]) {
    let mut begin = None;
    for at in 0..lines.len() {
        if lines[at].starts_with("COPY ") {
            begin = Some(at + 1);
        } else if let (Some(from), "\\.") = (begin, lines[at]) {
            lines[from..at].sort_unstable();
            begin = None;
        }
    }
}
