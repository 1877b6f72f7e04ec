//! A session on the server: opened as the settings say, then pinned.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{ClientIdentity, Conn, DriverError, OptsBuilder, Row, SslOpts, Value};

use super::access::Access;
use super::catalog::Flavor;
use super::error::{Said, ServerError, code};
use super::quote;
use crate::{DatabaseError, Place, Result, TlsMode};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longer than the longest wait for a slow destination.
const PATIENCE: u64 = 7 * 86_400;
/// A row may be as large as this on the wire; one that is larger is refused.
pub(super) const LARGEST_ROW: usize = 512 << 20;
/// Where systems keep the certificates that they believe.
const SYSTEM_ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// What kind of server it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// The family.
    pub(super) flavor: Flavor,
    /// The server's own version text.
    pub(super) text: String,
    /// Major, minor, patch.
    pub(super) version: (u16, u16, u16),
}

/// An open session. Dropped, it is closed, and what it had begun is undone by the server.
pub(super) struct Session {
    conn: Conn,
    access: Access,
    server: Server,
}

/// Stops what a session is doing, from another thread.
#[derive(Clone)]
pub(super) struct Killer {
    access: Access,
    id: u32,
}

/// One row of a small answer.
#[derive(Debug)]
pub(super) struct Answer(Vec<Value>);

impl Session {
    /// Connects, runs the settings' `init_command`, then pins what a copy depends on.
    pub(super) fn open(access: &Access) -> Result<Self> {
        Self::begin(connect(access, true)?, access)
    }

    fn begin(conn: Conn, access: &Access) -> Result<Self> {
        let server = Server { flavor: Flavor::Mysql, text: String::new(), version: (0, 0, 0) };
        let mut session = Self { conn, access: access.clone(), server };
        let mut first =
            session.ask("read the version of", "server", "SELECT VERSION(), @@version_comment")?;
        let row = first.pop().unwrap_or(Answer(Vec::new()));
        session.server = Server::new(&row.text(0), &row.text(1));
        if let Some(command) = &access.init_command {
            session.run("run the `init_command` of the settings for", &access.database, command)?;
        }
        session.pin()?;
        Ok(session)
    }

    /// The same in no database: the one of the settings need not be there.
    pub(super) fn open_on_server(access: &Access) -> Result<Self> {
        Self::begin(connect(access, false)?, access)
    }

    /// What kind of server it is.
    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// How it was opened.
    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// The database.
    pub(super) fn database(&self) -> &str {
        &self.access.database
    }

    /// The account.
    pub(super) fn user(&self) -> &str {
        &self.access.user
    }

    /// Where it is.
    pub(super) fn place(&self) -> Place {
        self.access.place()
    }

    /// The driver's connection.
    pub(super) fn conn(&mut self) -> &mut Conn {
        &mut self.conn
    }

    /// What stops a statement of this session.
    pub(super) fn killer(&self) -> Killer {
        Killer { access: self.access.clone(), id: self.conn.connection_id() }
    }

    /// Runs a statement, or several parted by `;`, and forgets what it answers.
    pub(super) fn run(&mut self, action: &'static str, object: &str, sql: &str) -> Result<()> {
        let done = self.conn.query_drop(sql);
        done.map_err(|error| self.failed(action, object, &error))
    }

    /// Runs a query with a small answer.
    pub(super) fn ask(
        &mut self,
        action: &'static str,
        object: &str,
        sql: &str,
    ) -> Result<Vec<Answer>> {
        let rows: std::result::Result<Vec<Row>, _> = self.conn.query(sql);
        match rows {
            Ok(rows) => Ok(rows.into_iter().map(|row| Answer(row.unwrap())).collect()),
            Err(error) => Err(self.failed(action, object, &error)),
        }
    }

    /// How long it waits for locks, of tables and of rows.
    pub(super) fn wait_for_locks(&mut self, time: Duration) -> Result<()> {
        let seconds = super::error::seconds(time);
        let sql = format!(
            "SET SESSION lock_wait_timeout = {seconds}, SESSION innodb_lock_wait_timeout = {seconds}"
        );
        self.run("bound the waiting for locks on", &self.access.database.clone(), &sql)
    }

    /// In which character set answers come: `utf8mb4`, or `binary` for bytes as they are stored.
    pub(super) fn answer_in(&mut self, character_set: &str) -> Result<()> {
        let sql = format!("SET SESSION character_set_results = {character_set}");
        self.run("set the character set of", &self.access.database.clone(), &sql)
    }

    /// The error of a failed statement.
    pub(super) fn failed(
        &self,
        action: &'static str,
        object: &str,
        error: &mysql::Error,
    ) -> DatabaseError {
        let (source, place, object) = (Said::from(error), self.place(), object.to_owned());
        let broken = matches!(error, mysql::Error::IoError(_) | mysql::Error::CodecError(_));
        let failure = match source.code {
            Some(number) if code::NO_RIGHT.contains(&number) => {
                let user = self.access.user.clone();
                ServerError::NoRight { action, object, place, user, source }
            }
            Some(code::LOCK_WAIT) => {
                let by = self.killer().blockers();
                ServerError::Locked { action, object, place, by, source }
            }
            Some(number) if code::ENDED.contains(&number) => {
                ServerError::Gone { action, object, place, source }
            }
            None if broken => ServerError::Gone { action, object, place, source },
            _ => ServerError::Statement { action, object, place, source },
        };
        failure.into()
    }

    /// An answer that the manual does not foresee.
    pub(super) fn unexpected(
        &self,
        action: &'static str,
        object: &str,
        what: impl Into<String>,
    ) -> DatabaseError {
        let (place, object, what) = (self.place(), object.to_owned(), what.into());
        ServerError::Unexpected { action, object, place, what }.into()
    }

    /// Sets everything that changes what is read, whatever the server, the account or the
    /// settings say.
    fn pin(&mut self) -> Result<()> {
        let object = self.access.database.clone();
        let always = format!(
            "SET NAMES utf8mb4; \
             SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00', autocommit = 1, \
             sql_select_limit = 18446744073709551615, sql_safe_updates = 0, sql_big_selects = 1, \
             sql_quote_show_create = 1, completion_type = 0, wait_timeout = {PATIENCE}, \
             net_write_timeout = {PATIENCE}, net_read_timeout = {PATIENCE}"
        );
        self.run("set the session of", &object, &always)?;
        let some: &[&str] = match self.server.flavor {
            Flavor::Mariadb => &[
                "max_statement_time = 0",
                "idle_transaction_timeout = 0",
                "idle_readonly_transaction_timeout = 0",
                "system_versioning_asof = DEFAULT",
            ],
            Flavor::Mysql => &[
                "max_execution_time = 0",
                "information_schema_stats_expiry = 0",
                "show_gipk_in_create_table_and_information_schema = ON",
                "use_secondary_engine = OFF",
            ],
        };
        for setting in some {
            match self.conn.query_drop(format!("SET SESSION {setting}")) {
                Err(mysql::Error::MySqlError(error)) if error.code == code::NO_VARIABLE => {}
                Err(error) => return Err(self.failed("set the session of", &object, &error)),
                Ok(()) => {}
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Server {
    fn new(version: &str, comment: &str) -> Self {
        let maria = version.to_ascii_lowercase().contains("mariadb")
            || comment.to_ascii_lowercase().contains("mariadb");
        let mut numbers = version
            .split(|c: char| !c.is_ascii_digit())
            .map(|number| number.parse::<u16>().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self {
            flavor: if maria { Flavor::Mariadb } else { Flavor::Mysql },
            text: version.to_owned(),
            version: (next(), next(), next()),
        }
    }
}

impl Killer {
    /// Stops the statement that the session runs now, if any, and not the session.
    pub(super) fn stop_statement(&self) -> Result<()> {
        let mut conn = connect(&self.access, false)?;
        match conn.query_drop(format!("KILL QUERY {}", self.id)) {
            // It ended by itself.
            Err(mysql::Error::MySqlError(error)) if error.code == 1094 => Ok(()),
            Err(error) => Err(ServerError::Statement {
                action: "stop a statement on",
                object: self.access.database.clone(),
                place: self.access.place(),
                source: Said::from(&error),
            }
            .into()),
            Ok(()) => Ok(()),
        }
    }

    /// ` by …`: the other sessions on this database, those first that are at it longest; nothing
    /// where this account cannot see them.
    fn blockers(&self) -> String {
        let sql = format!(
            "SELECT ID, USER, COMMAND, TIME FROM information_schema.PROCESSLIST \
             WHERE DB = {} AND ID <> {} AND ID <> CONNECTION_ID() ORDER BY TIME DESC LIMIT 4",
            quote::text(&self.access.database),
            self.id
        );
        // The error that is being told is the one that matters.
        let Ok(rows) = connect(&self.access, false).and_then(|mut conn| {
            conn.query::<Row, _>(sql).map_err(|e| unreachable(&self.access, &e))
        }) else {
            return String::new();
        };
        let rows: Vec<Answer> = rows.into_iter().map(|row| Answer(row.unwrap())).collect();
        let names: Vec<String> = rows
            .iter()
            .map(|row| {
                let (id, user, command) = (row.text(0), row.text(1), row.text(2));
                format!("session {id} of `{user}` ({command} since {} s)", row.text(3))
            })
            .collect();
        if names.is_empty() { String::new() } else { format!("; open are {}", names.join(", ")) }
    }
}

impl Answer {
    /// A value as text; empty where it is NULL. Bytes that are no text show as such.
    pub(super) fn text(&self, at: usize) -> String {
        self.bytes(at).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }

    /// A value as text; `None` where it is NULL.
    pub(super) fn maybe(&self, at: usize) -> Option<String> {
        self.bytes(at).map(|_| self.text(at))
    }

    /// A value as a number; `None` where it is none.
    pub(super) fn number<N: std::str::FromStr>(&self, at: usize) -> Option<N> {
        std::str::from_utf8(self.bytes(at)?).ok()?.parse().ok()
    }

    /// A value's bytes; `None` where it is NULL, or there is no such column.
    pub(super) fn bytes(&self, at: usize) -> Option<&[u8]> {
        match self.0.get(at) {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// Connects, into the database of the settings or into none.
fn connect(access: &Access, inside: bool) -> Result<Conn> {
    let database = inside.then(|| access.database.clone());
    let plain = options(access).db_name(database);
    let Some(tls) = encryption(access) else {
        return Conn::new(plain).map_err(|error| unreachable(access, &error));
    };
    match Conn::new(plain.clone().ssl_opts(tls)) {
        Ok(conn) => Ok(conn),
        Err(
            mysql::Error::TlsError(_) | mysql::Error::DriverError(DriverError::TlsNotSupported),
        ) if access.tls.mode == TlsMode::Prefer => {
            Conn::new(plain).map_err(|error| unreachable(access, &error))
        }
        Err(error) => Err(unreachable(access, &error)),
    }
}

fn options(access: &Access) -> OptsBuilder {
    let attributes = HashMap::from([("program_name", "dalsegno")]);
    OptsBuilder::new()
        .ip_or_hostname(Some(access.host.clone()))
        .tcp_port(access.port)
        .socket(access.socket.as_ref().map(|path| path.display().to_string()))
        // The server's own idea of its socket may be another server's.
        .prefer_socket(false)
        .user(Some(access.user.clone()))
        .pass(access.password.as_ref().map(|password| password.expose().to_owned()))
        .tcp_connect_timeout(Some(CONNECT_TIMEOUT))
        .tcp_keepalive_time_ms(Some(60_000))
        .stmt_cache_size(0)
        .max_allowed_packet(Some(LARGEST_ROW))
        .connect_attrs(Some(attributes))
}

/// None over a socket, which never leaves the machine.
fn encryption(access: &Access) -> Option<SslOpts> {
    let tls = &access.tls;
    if tls.mode == TlsMode::Disable || access.socket.is_some() {
        return None;
    }
    let blind = matches!(tls.mode, TlsMode::Prefer | TlsMode::Require);
    let root = tls.root.clone().or_else(|| if blind { None } else { system_roots() });
    let identity =
        tls.identity.clone().map(|(certificate, key)| ClientIdentity::new(certificate, key));
    Some(
        SslOpts::default()
            .with_root_cert_path(root)
            .with_client_identity(identity)
            .with_danger_accept_invalid_certs(blind)
            .with_danger_skip_domain_validation(tls.mode != TlsMode::VerifyFull),
    )
}

fn system_roots() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    named.or_else(|| SYSTEM_ROOTS.into_iter().map(PathBuf::from).find(|path| path.is_file()))
}

fn unreachable(access: &Access, error: &mysql::Error) -> DatabaseError {
    let (source, place) = (Said::from(error), access.place());
    let failure = match (source.code, error) {
        (Some(number), _) if code::TOO_MANY.contains(&number) => {
            ServerError::TooManyConnections { place, source }
        }
        (Some(code::NO_DATABASE), _) => ServerError::NoDatabase { place, source },
        (Some(number), _) if code::DENIED.contains(&number) || code::NO_RIGHT.contains(&number) => {
            ServerError::Denied { place, user: access.user.clone(), source }
        }
        (
            _,
            mysql::Error::TlsError(_) | mysql::Error::DriverError(DriverError::TlsNotSupported),
        ) => ServerError::Encryption { place, source },
        _ => ServerError::Unreachable { place, source },
    };
    failure.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_apart() {
        for (version, comment, flavor, number) in [
            ("10.11.19-MariaDB-0+deb12u1", "Debian 12", Flavor::Mariadb, (10, 11, 19)),
            ("5.5.5-10.4.1", "MariaDB Server", Flavor::Mariadb, (5, 5, 5)),
            ("8.0.36", "MySQL Community Server - GPL", Flavor::Mysql, (8, 0, 36)),
            ("8.4.0-0ubuntu1", "(Ubuntu)", Flavor::Mysql, (8, 4, 0)),
            ("9", "", Flavor::Mysql, (9, 0, 0)),
        ] {
            let server = Server::new(version, comment);
            assert_eq!((server.flavor, server.version), (flavor, number), "{version}");
        }
    }
}
