//! Databases named by a URL, in the manner of `dj-database-url`.

use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use url::Url;

use crate::Secret;
use crate::descriptor::{AppliedMigrations, DatabaseDescriptor, DatabaseOptions, Vendor};
use crate::error::ProjectError;
use crate::server_settings::set_connection;
use crate::sqlite_location::{SqliteLocation, percent_decoded};

/// Engines by the names used in URLs and configurations; dotted names are Django's own.
const ENGINES: [(&str, &str, &str); 13] = [
    ("sqlite", "sqlite", "django.db.backends.sqlite3"),
    ("sqlite3", "sqlite", "django.db.backends.sqlite3"),
    ("spatialite", "sqlite", "django.contrib.gis.db.backends.spatialite"),
    ("postgres", "postgresql", "django.db.backends.postgresql"),
    ("postgresql", "postgresql", "django.db.backends.postgresql"),
    ("psql", "postgresql", "django.db.backends.postgresql"),
    ("pgsql", "postgresql", "django.db.backends.postgresql"),
    ("postgis", "postgresql", "django.contrib.gis.db.backends.postgis"),
    ("mysql", "mysql", "django.db.backends.mysql"),
    ("mysql2", "mysql", "django.db.backends.mysql"),
    ("mariadb", "mysql", "django.db.backends.mysql"),
    ("mysqlgis", "mysql", "django.contrib.gis.db.backends.mysql"),
    ("oracle", "oracle", "django.db.backends.oracle"),
];

/// Vendor and dotted engine of a name such as `postgres` or `django.db.backends.postgresql`.
pub(crate) fn engine(name: &str) -> Option<(Vendor, &'static str)> {
    ENGINES
        .iter()
        .find(|(short, _, dotted)| *short == name || *dotted == name)
        .map(|(_, vendor, dotted)| (Vendor::from((*vendor).to_owned()), *dotted))
}

/// A database nobody has asked anything yet.
pub(crate) fn unasked(vendor: Vendor, engine: &str) -> DatabaseDescriptor {
    DatabaseDescriptor {
        vendor: Some(vendor),
        engine: engine.to_owned(),
        name: None,
        memory: false,
        host: None,
        port: None,
        user: None,
        password: None,
        options: DatabaseOptions::default(),
        connection: None,
        time_zone: None,
        atomic_requests: false,
        test_mirror: None,
        reachable: None,
        reason: None,
        server_version: None,
        is_mariadb: None,
        migrations: AppliedMigrations::default(),
    }
}

/// Sets the name of a SQLite database as the descriptor has it: absolute, or in memory.
pub(crate) fn set_sqlite_name(database: &mut DatabaseDescriptor, name: &str, base: &Path) {
    match SqliteLocation::parse(name, base) {
        SqliteLocation::Memory => {
            database.memory = true;
            database.name = Some(name.to_owned()).filter(|name| !name.is_empty());
            database.name.get_or_insert_with(|| ":memory:".to_owned());
        }
        SqliteLocation::File(path) => database.name = Some(path.to_string_lossy().into_owned()),
        // Its relative path is resolved from the same folder whenever it is read.
        SqliteLocation::Uri { .. } => database.name = Some(name.to_owned()),
    }
}

/// Reads a database URL; relative SQLite paths (`sqlite:///name`) start at `base`. `variable` is
/// what holds it, for errors, which never show the URL.
pub(crate) fn parse(
    text: &str,
    variable: &str,
    base: &Path,
) -> Result<DatabaseDescriptor, ProjectError> {
    let wrong = |reason: &str| ProjectError::DatabaseUrl {
        variable: variable.to_owned(),
        reason: reason.to_owned(),
    };
    let text = text.trim();
    let (scheme, rest) =
        text.split_once("://").ok_or_else(|| wrong("it has no `scheme://` at its start"))?;
    let (vendor, dotted) = engine(scheme)
        .filter(|_| !scheme.contains('.'))
        .ok_or_else(|| wrong(&format!("no database has the scheme `{}`", shown_scheme(scheme))))?;
    let mut database = unasked(vendor, dotted);
    if database.vendor == Some(Vendor::Sqlite) {
        let name = sqlite_name(rest).map_err(|reason| wrong(&reason))?;
        set_sqlite_name(&mut database, &name, base);
        return Ok(database);
    }
    let host = host_and_port(rest);
    if rest[host.clone()].contains(',') {
        return Err(wrong("it names several hosts: keep one"));
    }
    // `user@/name` is usual where the host is the default or an option, but no URL.
    let has_host = !rest[host.clone()].is_empty() && !rest[host.clone()].starts_with(':');
    let (user, rest) = rest.split_at(host.start);
    let named = if has_host { "" } else { "nowhere" };
    let url = Url::parse(&format!("{scheme}://{user}{named}{rest}"))
        .map_err(|error| wrong(&error.to_string()))?;
    let decoded =
        |part: &str| String::from_utf8(percent_decoded(part)).map_err(|_| wrong("it is not UTF-8"));
    let some = |part: String| Some(part).filter(|part| !part.is_empty());
    database.user = some(decoded(url.username())?);
    database.password = url.password().map(decoded).transpose()?.and_then(some).map(Secret::new);
    database.host = url
        .host_str()
        .map(|host| decoded(host.trim_start_matches('[').trim_end_matches(']')))
        .transpose()?
        .filter(|_| has_host);
    database.port = url.port().map(|port| port.to_string());
    let path = url.path().strip_prefix('/').unwrap_or_default();
    let name = match path.rsplit_once('/') {
        // The socket before the name, in the manner of `django-environ`.
        Some((socket, name)) if socket.starts_with('/') => {
            database.host = some(decoded(socket)?);
            name
        }
        _ => path,
    };
    database.name = some(decoded(name)?);
    database.options =
        url.query_pairs().map(|(key, v)| (key.into_owned(), Value::from(v.into_owned()))).collect();
    set_connection(&mut database, base).map_err(|reason| wrong(&reason))?;
    let in_options = database.connection.as_ref().and_then(|known| known.database.clone());
    database.name = database.name.or(in_options);
    if database.name.is_none() {
        return Err(wrong("it names no database"));
    }
    Ok(database)
}

/// Where host and port stand behind the scheme of a URL.
fn host_and_port(rest: &str) -> Range<usize> {
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    rest[..end].rfind('@').map_or(0, |at| at + 1)..end
}

fn sqlite_name(rest: &str) -> Result<String, String> {
    if rest.is_empty() || rest == ":memory:" || rest == "/:memory:" {
        return Ok(":memory:".to_owned());
    }
    let path = rest
        .strip_prefix('/')
        .ok_or("write `sqlite:///relative.db` or `sqlite:////absolute.db`")?;
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() {
        return Err("it names no file".to_owned());
    }
    String::from_utf8(percent_decoded(path)).map_err(|_| "its path is not UTF-8".to_owned())
}

/// A scheme fit to be shown: what is none may be anything, a password too.
fn shown_scheme(scheme: &str) -> &str {
    let is_scheme = scheme.len() <= 20
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if is_scheme { scheme } else { "…" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<DatabaseDescriptor, String> {
        parse(url, "DATABASE_URL", Path::new("/site")).map_err(|error| error.to_string())
    }

    #[test]
    fn sqlite_urls() {
        for (url, name, memory) in [
            ("sqlite:////var/db/x.db", "/var/db/x.db", false),
            ("sqlite:///db.sqlite3", "/site/db.sqlite3", false),
            ("sqlite:////a/with%20space.db?timeout=3", "/a/with space.db", false),
            ("sqlite://:memory:", ":memory:", true),
            ("sqlite://", ":memory:", true),
        ] {
            let database = read(url).unwrap();
            assert_eq!((database.name.as_deref(), database.memory), (Some(name), memory), "{url}");
            assert_eq!(database.vendor, Some(Vendor::Sqlite));
        }
    }

    #[test]
    fn server_urls() {
        let database =
            read("postgres://us%40er:p%2Fw%25@db.example:6543/my%20db?sslmode=require").unwrap();
        assert_eq!(database.engine, "django.db.backends.postgresql");
        assert_eq!(database.user.as_deref(), Some("us@er"));
        assert_eq!(database.password.as_ref().map(Secret::expose), Some("p/w%"));
        assert_eq!(database.host.as_deref(), Some("db.example"));
        assert_eq!(database.port.as_deref(), Some("6543"));
        assert_eq!(database.name.as_deref(), Some("my db"));
        assert_eq!(database.options.expose("sslmode"), Some(&Value::from("require")));
        let socket = read("postgres://%2Fvar%2Frun%2Fpostgresql/shop").unwrap();
        assert_eq!(socket.host.as_deref(), Some("/var/run/postgresql"));
        assert_eq!((socket.user, socket.password, socket.port), (None, None, None));
        assert_eq!(read("mysql://u@[::1]:3306/x").unwrap().host.as_deref(), Some("::1"));
    }

    #[test]
    fn wrong_urls_are_named_without_being_shown() {
        for (url, text) in [
            ("hunter2", "DATABASE_URL is no database URL: it has no `scheme://` at its start"),
            ("redis://h/1", "DATABASE_URL is no database URL: no database has the scheme `redis`"),
            ("pass word://h/1", "DATABASE_URL is no database URL: no database has the scheme `…`"),
            ("postgres://u:hunter2@h", "DATABASE_URL is no database URL: it names no database"),
            (
                "postgres://u:hunter2@h:port/x",
                "DATABASE_URL is no database URL: invalid port number",
            ),
            (
                "sqlite://x.db",
                "DATABASE_URL is no database URL: write `sqlite:///relative.db` or \
                `sqlite:////absolute.db`",
            ),
        ] {
            assert_eq!(read(url).unwrap_err(), text);
        }
    }
}
