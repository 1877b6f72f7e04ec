//! One session with the server.

use std::fmt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::types::ToSql;
use postgres::{CancelToken, Client, Config, NoTls, Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::failure::{Cause, Failure, io_of, refused, said};
use super::{Access, tls};
use crate::{DatabaseError, Place, Result, TlsMode, Watch};

/// How long a server may take to answer a new connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// After how much silence it is asked whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How often it is asked whether the work shall stop.
const ATTENTION: Duration = Duration::from_millis(50);

/// What every session sets, so that the same value is the same text everywhere, nothing is looked
/// up by accident, nothing is hidden, and no default of a role or database ends the work.
pub(super) const PINNED: [(&str, &str); 14] = [
    ("search_path", ""),
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    // The text of `money`.
    ("lc_monetary", "C"),
    ("standard_conforming_strings", "on"),
    ("synchronize_seqscans", "off"),
    ("row_security", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("xmloption", "content"),
];

/// A session, with [`PINNED`] settings and the role of the [`Access`] taken on.
pub(super) struct Session {
    pub(super) client: Client,
    connector: Option<MakeRustlsConnect>,
    place: Place,
    /// `server_version_num`.
    pub(super) server: u32,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What stops the statement that a session is at.
#[derive(Clone)]
pub(super) struct Canceller {
    token: CancelToken,
    connector: Option<MakeRustlsConnect>,
}

impl Session {
    /// Logs in and pins the settings.
    pub(super) fn open(access: &Access) -> Result<Self> {
        let mut session = Self::log_in(access)?;
        session.pin()?;
        if let Some(role) = &access.role {
            session.run(
                format_args!("take on the role `{role}`"),
                &format!("SET ROLE {}", quoted(role)),
            )?;
        }
        Ok(session)
    }

    /// Logs in and changes nothing: what stands between may give the session to others.
    pub(super) fn log_in(access: &Access) -> Result<Self> {
        let place = access.place();
        let socket = access.host.starts_with('/');
        let mut config = Config::new();
        config
            .host(&access.host)
            .port(access.port)
            .user(&access.user)
            .dbname(&access.database)
            .application_name("dalsegno")
            .connect_timeout(CONNECT_TIMEOUT)
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE)
            .keepalives_retries(3)
            .ssl_mode(match access.tls.mode {
                _ if socket => SslMode::Disable,
                TlsMode::Disable => SslMode::Disable,
                TlsMode::Prefer => SslMode::Prefer,
                TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
            });
        if let Some(password) = &access.password {
            config.password(password.expose());
        }
        if let Some(options) = access.options.as_deref().filter(|options| !options.is_empty()) {
            config.options(options);
        }
        let encrypted = !socket && access.tls.mode != TlsMode::Disable;
        let connector = encrypted.then(|| tls::connector(&access.tls)).transpose()?;
        let client = match connector.clone() {
            Some(connector) => config.connect(connector),
            None => config.connect(NoTls),
        };
        let client = client.map_err(|error| unconnected(&error, &place))?;
        Ok(Self { client, connector, place, server: 0 })
    }

    fn pin(&mut self) -> Result<()> {
        let number = self.one("ask for its version", "SHOW server_version_num", &[])?;
        let number: String = number.get(0);
        self.server = number.parse().map_err(|_| self.odd("version", &number))?;
        let newer = (self.server >= 170_000).then_some(("transaction_timeout", "0"));
        let text: Vec<String> = PINNED
            .into_iter()
            .chain(newer)
            .map(|(name, value)| format!("SET {name} = '{value}'"))
            .collect();
        self.run("pin the settings of a session", &text.join("; "))
    }

    /// Where it is connected to.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Runs statements that give no rows.
    pub(super) fn run(&mut self, action: impl fmt::Display, sql: &str) -> Result<()> {
        self.client.batch_execute(sql).map_err(refused(action, &self.place))
    }

    /// All rows of a query that has few of them.
    pub(super) fn rows(
        &mut self,
        action: impl fmt::Display,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>> {
        self.client.query(sql, parameters).map_err(refused(action, &self.place))
    }

    /// The first column of every row, by the protocol that prepares nothing.
    pub(super) fn simple(&mut self, action: impl fmt::Display, sql: &str) -> Result<Vec<String>> {
        let messages = self.client.simple_query(sql).map_err(refused(action, &self.place))?;
        let first = |message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        };
        Ok(messages.into_iter().filter_map(first).collect())
    }

    /// The row of a query that has one.
    pub(super) fn one(
        &mut self,
        action: impl fmt::Display,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Row> {
        self.client.query_one(sql, parameters).map_err(refused(action, &self.place))
    }

    /// What stops it from another thread.
    pub(super) fn canceller(&self) -> Canceller {
        Canceller { token: self.client.cancel_token(), connector: self.connector.clone() }
    }

    /// Does `work`, and cancels its statement on the server when the watch wants to stop.
    pub(super) fn attended<T: Send>(
        &mut self,
        watch: &dyn Watch,
        work: impl FnOnce(&mut Self) -> Result<T> + Send,
    ) -> Result<T> {
        let canceller = self.canceller();
        thread::scope(|scope| {
            let (tell, done) = channel();
            let worker = scope.spawn(move || {
                let result = work(self);
                // Nobody waits any more only where the waiting thread has panicked.
                let _ = tell.send(());
                result
            });
            let mut stopped = false;
            while done.recv_timeout(ATTENTION) == Err(RecvTimeoutError::Timeout) {
                if watch.cancelled() {
                    stopped = true;
                    canceller.cancel();
                }
            }
            let result = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            if stopped { Err(DatabaseError::Cancelled) } else { result }
        })
    }

    fn odd(&self, what: &str, answer: &str) -> DatabaseError {
        Failure::Connect {
            place: self.place.clone(),
            cause: Cause::Other,
            said: format!("the answer to its {what} is `{answer}`"),
        }
        .into()
    }
}

impl Canceller {
    /// Asks the server to stop what the session is at. There may be nothing, and the server may be
    /// gone: then the session ends by itself.
    pub(super) fn cancel(&self) {
        let _ = match self.connector.clone() {
            Some(connector) => self.token.cancel_query(connector),
            None => self.token.cancel_query(NoTls),
        };
    }
}

/// A name as SQL text.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A value as SQL text on one line, whatever the setting of `standard_conforming_strings`.
pub(super) fn literal(value: &str) -> String {
    if !value.contains(['\\', '\n', '\r']) {
        return format!("'{}'", value.replace('\'', "''"));
    }
    let value = value.replace('\\', "\\\\").replace('\'', "''");
    format!("E'{}'", value.replace('\n', "\\n").replace('\r', "\\r"))
}

fn unconnected(error: &postgres::Error, place: &Place) -> DatabaseError {
    let said = said(error);
    // Words of PgBouncer for what it does not hand on.
    if said.contains("unsupported startup parameter") {
        return Failure::Pooled { place: place.clone(), evidence: said }.into();
    }
    let cause = match Cause::of(error) {
        _ if error.as_db_error().is_some() => Cause::of(error),
        _ if said.contains("password") => Cause::Login,
        _ if said.contains("TLS") => Cause::Tls,
        _ if io_of(error).is_some() || said.contains("connecting to server") => Cause::Unreachable,
        other => other,
    };
    Failure::Connect { place: place.clone(), cause, said }.into()
}
