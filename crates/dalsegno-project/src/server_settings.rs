//! How a server is reached that a URL or a configuration names, where no driver can be asked.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Secret;
use crate::descriptor::{
    Connection, DatabaseDescriptor, DatabaseOptions, TlsFiles, TlsMode, Vendor,
};

/// Options that say where the server is, who logs in or what is believed, and that only a driver
/// understands: without them another server could be meant.
const DRIVERS_OWN: [&str; 14] = [
    "service",
    "servicefile",
    "passfile",
    "hostaddr",
    "target_session_attrs",
    "sslcrl",
    "sslcrldir",
    "sslpassword",
    "require_auth",
    "requirepeer",
    "sslnegotiation",
    "read_default_file",
    "read_default_group",
    "capath",
];

/// Sets how the server of `database` is reached, from its other members; nothing for a database
/// that is on no server we know. Relative paths start at `base`. An error is what is wrong, in
/// words that hold no value but names of modes and hosts.
pub(crate) fn set_connection(database: &mut DatabaseDescriptor, base: &Path) -> Result<(), String> {
    let options = &database.options;
    let connection = match database.vendor {
        Some(Vendor::Postgresql) => postgresql(database, base)?,
        Some(Vendor::Mysql) => mysql(database, base)?,
        _ => return Ok(()),
    };
    if let Some(name) = DRIVERS_OWN.into_iter().find(|name| options.expose(name).is_some()) {
        return Err(format!("the option `{name}` is not supported without Django"));
    }
    if connection.host.as_ref().is_some_and(|host| host.contains(',')) {
        return Err("it names several hosts: keep one".to_owned());
    }
    database.connection = Some(connection);
    Ok(())
}

fn postgresql(database: &DatabaseDescriptor, base: &Path) -> Result<Connection, String> {
    let options = &database.options;
    let mut connection = stated(database, options)?;
    connection.database = text(options, &["dbname"]).or(connection.database);
    connection.role = text(options, &["assume_role"]);
    let schema = text(options, &["currentSchema"]).map(|s| format!("-c search_path={s}"));
    connection.options = text(options, &["options"]).or(schema);
    let name = text(options, &["sslmode"]);
    let mut mode = mode(name.as_deref(), str::to_owned)?;
    let mut root = text(options, &["sslrootcert"]);
    if root.as_deref() == Some("system") {
        (mode, root) = (TlsMode::VerifyFull, None);
    } else if mode == TlsMode::Require && root.is_some() {
        // As libpq has it.
        mode = TlsMode::VerifyCa;
    }
    connection.tls = TlsFiles {
        mode,
        root: root.map(|path| base.join(path)),
        certificate: path(options, &["sslcert"], base),
        key: path(options, &["sslkey"], base),
    };
    Ok(connection)
}

fn mysql(database: &DatabaseDescriptor, base: &Path) -> Result<Connection, String> {
    let options = &database.options;
    let mut connection = stated(database, options)?;
    connection.init_command = text(options, &["init_command"]);
    let ssl: DatabaseOptions = match options.expose("ssl") {
        Some(Value::Object(members)) => members.clone().into_iter().collect(),
        Some(_) => return Err("the option `ssl` is no table of `ca`, `cert` and `key`".to_owned()),
        None => DatabaseOptions::default(),
    };
    let file = |short: &str, names: [&str; 2]| {
        path(&ssl, &[short], base).or_else(|| path(options, &names, base))
    };
    let root = file("ca", ["ssl_ca", "ssl-ca"]);
    let name = text(options, &["ssl_mode", "ssl-mode", "sslmode"]);
    let named = mode(name.as_deref(), |name| match name.to_ascii_lowercase().as_str() {
        "disabled" => "disable".to_owned(),
        "preferred" => "prefer".to_owned(),
        "required" => "require".to_owned(),
        "verify_ca" => "verify-ca".to_owned(),
        "verify_identity" => "verify-full".to_owned(),
        other => other.to_owned(),
    })?;
    connection.tls = TlsFiles {
        mode: if name.is_none() && root.is_some() { TlsMode::VerifyCa } else { named },
        root,
        certificate: file("cert", ["ssl_cert", "ssl-cert"]),
        key: file("key", ["ssl_key", "ssl-key"]),
    };
    Ok(connection)
}

/// What both kinds of server have in common; an option wins over the place that a URL has for it.
fn stated(database: &DatabaseDescriptor, options: &DatabaseOptions) -> Result<Connection, String> {
    let host = text(options, &["host", "unix_socket", "socket"]).or_else(|| database.host.clone());
    let port = text(options, &["port"]).or_else(|| database.port.clone());
    let port = port.map(|port| port.parse().map_err(|_| "its port is no number up to 65535"));
    let (socket, host) = match host {
        Some(host) if host.starts_with('/') => (Some(PathBuf::from(host)), None),
        host => (None, host),
    };
    let password = text(options, &["password", "passwd"]).map(Secret::new);
    Ok(Connection {
        host,
        port: port.transpose()?,
        socket,
        user: text(options, &["user"]).or_else(|| database.user.clone()),
        password: password.or_else(|| database.password.clone()),
        database: database.name.clone(),
        ..Connection::default()
    })
}

fn mode(name: Option<&str>, plain: impl Fn(&str) -> String) -> Result<TlsMode, String> {
    let Some(name) = name else { return Ok(TlsMode::default()) };
    let plain = plain(name);
    TlsMode::named(&plain).ok_or_else(|| {
        let shown =
            plain.len() <= 20 && plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        format!("no mode of TLS is called `{}`", if shown { &plain } else { "…" })
    })
}

/// The first of these options that says something.
fn text(options: &DatabaseOptions, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match options.expose(name)? {
        Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

fn path(options: &DatabaseOptions, names: &[&str], base: &Path) -> Option<PathBuf> {
    text(options, names).map(|path| base.join(path))
}

#[cfg(test)]
mod tests {
    use crate::database_url;
    use crate::descriptor::{Address, Connection, TlsMode};
    use std::path::Path;

    fn read(url: &str) -> Result<(Address, Connection), String> {
        let database = database_url::parse(url, "DATABASE_URL", Path::new("/site"))
            .map_err(|error| error.to_string())?;
        let reach = database.reach("default").map_err(|error| error.to_string())?;
        Ok((reach.address, database.connection.unwrap()))
    }

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.to_owned(), port }
    }

    fn socket(path: &str, port: u16) -> Address {
        Address::Socket { path: path.into(), port }
    }

    #[test]
    fn where_a_url_leads() {
        for (url, address) in [
            ("postgres://u@db.example/x", tcp("db.example", 5432)),
            ("postgresql://u@[::1]:6543/x", tcp("::1", 6543)),
            ("postgis://u@%2Fvar%2Frun%2FPg/x", socket("/var/run/Pg", 5432)),
            ("postgres://u@%2Fvar%2Frun%2FPg:6543/x", socket("/var/run/Pg", 6543)),
            ("postgres:///x?user=u&host=/var/run/Pg&port=6543", socket("/var/run/Pg", 6543)),
            ("postgres://u@/x?host=h", tcp("h", 5432)),
            ("postgres://u@:6543/x?host=h", tcp("h", 6543)),
            ("postgres://u@:6543/x?socket=/var/run", socket("/var/run", 6543)),
            ("psql://u@//var/run/Pg/x", socket("/var/run/Pg", 5432)),
            ("mysql://u@db.example/x", tcp("db.example", 3306)),
            ("mariadb://u@[2001:db8::1]:3307/x", tcp("2001:db8::1", 3307)),
            ("mysql://u@%2Frun%2Fmysqld.sock/x", socket("/run/mysqld.sock", 3306)),
            ("mysql2://u@localhost/x?unix_socket=/run/m.sock", socket("/run/m.sock", 3306)),
        ] {
            let (found, connection) = read(url).unwrap();
            assert_eq!(found, address, "{url}");
            assert_eq!(connection.user.as_deref(), Some("u"), "{url}");
            assert_eq!(connection.database.as_deref(), Some("x"), "{url}");
            assert!(!connection.resolved, "{url}");
        }
    }

    #[test]
    fn what_a_url_asks_for() {
        let url = "postgres://u:p%20%22%27%C3%BC%25@h/my%20db?sslmode=verify-full&sslrootcert=ca.pem\
            &sslcert=/c.pem&sslkey=/k.pem&options=-c%20x%3D1&assume_role=boss&connect_timeout=5";
        let (_, known) = read(url).unwrap();
        assert_eq!(known.password.as_ref().map(crate::Secret::expose), Some("p \"'ü%"));
        assert_eq!(known.database.as_deref(), Some("my db"));
        assert_eq!(known.tls.mode, TlsMode::VerifyFull);
        assert_eq!(known.tls.root.as_deref(), Some(Path::new("/site/ca.pem")));
        assert_eq!(known.tls.certificate.as_deref(), Some(Path::new("/c.pem")));
        assert_eq!(known.tls.key.as_deref(), Some(Path::new("/k.pem")));
        assert_eq!(known.options.as_deref(), Some("-c x=1"));
        assert_eq!(known.role.as_deref(), Some("boss"));
        let (_, known) = read("postgres://u@h/x?currentSchema=shop").unwrap();
        assert_eq!(known.options.as_deref(), Some("-c search_path=shop"));
        let (_, known) = read("mysql://u@h/x?init_command=SET+a%3D1&ssl_ca=/ca.pem").unwrap();
        assert_eq!(known.init_command.as_deref(), Some("SET a=1"));
    }

    #[test]
    fn how_much_is_asked_of_a_certificate() {
        for (url, mode) in [
            ("postgres://u@h/x", TlsMode::Prefer),
            ("postgres://u@h/x?sslmode=disable", TlsMode::Disable),
            ("postgres://u@h/x?sslmode=require", TlsMode::Require),
            ("postgres://u@h/x?sslmode=require&sslrootcert=/r", TlsMode::VerifyCa),
            ("postgres://u@h/x?sslrootcert=system", TlsMode::VerifyFull),
            ("mysql://u@h/x", TlsMode::Prefer),
            ("mysql://u@h/x?ssl_mode=REQUIRED", TlsMode::Require),
            ("mysql://u@h/x?ssl-mode=VERIFY_IDENTITY&ssl-ca=/r", TlsMode::VerifyFull),
            ("mysql://u@h/x?ssl-ca=/r", TlsMode::VerifyCa),
        ] {
            assert_eq!(read(url).unwrap().1.tls.mode, mode, "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        let hosts = "it names several hosts: keep one";
        for (url, reason) in [
            ("postgres://u:hunter2@a,b/x", hosts),
            ("postgres://u:hunter2@a:1,b:2/x", hosts),
            ("postgres://u:hunter2@h/x?host=a,b", hosts),
            ("postgres://u:hunter2@h/x?port=hunter2", "its port is no number up to 65535"),
            ("postgres://u:hunter2@h/x?sslmode=always", "no mode of TLS is called `always`"),
            ("mysql://u:x@h/x?ssl_mode=hunter2_is_my_password", "no mode of TLS is called `…`"),
            ("mysql://u:hunter2@h/x?ssl=yes", "the option `ssl` is no table of"),
            ("postgres://h/x?service=hunter2", "the option `service` is not supported without"),
            ("mysql://h/x?read_default_file=/hunter2", "the option `read_default_file` is not"),
        ] {
            let error = read(url).unwrap_err();
            assert!(error.starts_with(&format!("DATABASE_URL is no database URL: {reason}")));
            assert!(!error.contains("hunter2"), "{error}");
        }
        let missing = "of the database `default` is not known";
        assert_eq!(read("postgres:///x?user=u").unwrap_err(), format!("the host {missing}"));
        assert_eq!(read("mysql://h/x").unwrap_err(), format!("the user {missing}"));
    }
}
