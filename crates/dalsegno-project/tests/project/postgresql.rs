//! What is told of connections to a PostgreSQL server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::site::Site;
use dalsegno_project::descriptor::{Address, Connection, TlsMode};
use dalsegno_project::{Descriptor, Secret};
use dalsegno_testkit::{Authority, PostgresServer};

const PASSWORD: &str = PostgresServer::PASSWORD;

/// Settings that make Django take the older of its two drivers.
const PSYCOPG2: &str = "import sys; sys.modules['psycopg'] = None\n";

/// Settings that name the server in Python's words, with `add(alias, **settings)` for an alias.
fn settings(server: &PostgresServer) -> String {
    format!(
        "import os\n\
        HOST, PORT, FOLDER, PASSWORD = {:?}, {}, {:?}, {:?}\n\
        def add(alias, options=None, **settings):\n    \
        DATABASES[alias] = dict(ENGINE='django.db.backends.postgresql', OPTIONS=options or {{}}, **settings)\n\
        def whole(alias, options=None, **settings):\n    \
        add(alias, options, **{{**dict(HOST=HOST, PORT=PORT, USER='postgres', PASSWORD=PASSWORD, NAME='shop'), **settings}})\n",
        server.host(),
        server.port(),
        server.socket_folder(),
        PASSWORD,
    )
}

fn connection<'d>(descriptor: &'d Descriptor, alias: &str) -> &'d Connection {
    let database = &descriptor.databases[alias];
    let reason = database.reason.as_deref();
    database.connection.as_ref().unwrap_or_else(|| panic!("{alias}: {reason:?}"))
}

/// The facts of an alias of a server that answers: always of `shop`, with the right password.
fn resolved<'d>(descriptor: &'d Descriptor, alias: &str) -> &'d Connection {
    let known = connection(descriptor, alias);
    assert_eq!(descriptor.databases[alias].reason, None, "{alias}");
    assert!(known.resolved, "{alias}: {known:?}");
    assert_eq!(known.user.as_deref(), Some("postgres"), "{alias}");
    assert_eq!(known.password.as_ref().map(Secret::expose), Some(PASSWORD), "{alias}");
    assert_eq!(known.database.as_deref(), Some("shop"), "{alias}");
    known
}

fn nobody_sees_the_password(descriptor: &Descriptor) {
    let shown = descriptor.masked_json().to_string();
    assert!(shown.contains(r#""password":"***""#));
    for text in [shown, format!("{descriptor:?}")] {
        assert!(!text.contains("secret") && !text.contains("100%"), "{text}");
    }
}

fn private_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn what_libpq_resolved_is_told_whatever_driver_asked_it() {
    let server = PostgresServer::start();
    server.create_database("shop");
    server.psql("shop", "CREATE ROLE boss; GRANT ALL ON SCHEMA public TO boss");
    for driver in ["", PSYCOPG2] {
        let site = Site::new("");
        let folder = site.path();
        let (passwords, services) = (folder.join("passwords"), folder.join("services"));
        let escaped = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
        private_file(&passwords, &format!("*:*:*:postgres:{escaped}\n"));
        let (host, port) = (server.host(), server.port());
        let text = format!("[shop]\nhost={host}\nport={port}\nuser=postgres\ndbname=shop\n");
        private_file(&services, &text);
        let more = format!(
            "{driver}{}\n\
            PASSFILE = {{'passfile': {passwords:?}}}\n\
            os.environ['PGSERVICEFILE'] = {services:?}\n\
            whole('tcp', {{'options': '-c statement_timeout=60s'}})\n\
            whole('folder', HOST=FOLDER)\n\
            add('service', {{'service': 'shop', **PASSFILE}}, NAME='')\n\
            add('file', PASSFILE, HOST=HOST, PORT=str(PORT), USER='postgres', NAME='shop')\n\
            whole('hosts', HOST=f'{{HOST}},{{HOST}}', PORT=f'1,{{PORT}}')\n\
            whole('role', {{'assume_role': 'boss'}})\n\
            whole('gone', NAME='gone')\n\
            add('lost', {{'service': 'shop', **PASSFILE}}, NAME='lost')\n\
            whole('wrong', PASSWORD='not the secret')\n\
            whole('down', PORT=1)\n",
            settings(&server)
        );
        site.write("shopsite/servers.py", &more);
        site.append_settings("exec(open(BASE_DIR / 'shopsite/servers.py').read())");
        let descriptor = site.loaded().descriptor;
        let tcp = Address::Tcp { host: host.into(), port };
        let socket = Address::Socket { path: server.socket_folder().into(), port };
        for (alias, address) in [
            ("tcp", &tcp),
            ("folder", &socket),
            ("service", &tcp),
            ("file", &tcp),
            ("hosts", &tcp),
            ("role", &tcp),
        ] {
            let known = resolved(&descriptor, alias);
            assert_eq!(known.tls.mode, TlsMode::Disable, "{alias}");
            assert_eq!(known.role.as_deref(), (alias == "role").then_some("boss"), "{alias}");
            assert_eq!(&descriptor.databases[alias].reach(alias).unwrap().address, address);
        }
        let options = resolved(&descriptor, "tcp").options.as_deref();
        assert_eq!(options, Some("-c statement_timeout=60s"));

        for (alias, name) in [("gone", "gone"), ("lost", "lost")] {
            let database = &descriptor.databases[alias];
            assert_eq!(database.reachable, Some(false));
            assert!(database.reason.as_ref().unwrap().contains("does not exist"), "{database:?}");
            let reach = database.reach(alias).unwrap();
            assert_eq!((&reach.address, reach.database.as_str()), (&tcp, name));
            assert_eq!(reach.password.as_ref().map(Secret::expose), Some(PASSWORD));
            assert!(connection(&descriptor, alias).resolved);
        }
        for (alias, port) in [("wrong", port), ("down", 1)] {
            let known = connection(&descriptor, alias);
            assert!(!known.resolved, "{alias}: {known:?}");
            assert_eq!((known.host.as_deref(), known.port), (Some(host), Some(port)));
        }
        nobody_sees_the_password(&descriptor);
    }
}

#[test]
fn the_environment_counts_and_nothing_is_guessed_without_a_server() {
    let server = PostgresServer::start();
    server.create_database("shop");
    let variables = "os.environ.update(PGHOST=FOLDER, PGPORT=str(PORT), PGUSER='postgres', \
        PGPASSWORD=PASSWORD)\nadd('bare', NAME='shop')\n\
        add('service', {'service': 'nowhere'}, NAME='shop', HOST='h.invalid', USER='u')\n\
        whole('hosts', HOST='a.invalid,b.invalid')\n\
        add('pooled', {'pool': True}, NAME='shop')\n";
    let site = Site::new("");
    site.append_settings(&(settings(&server) + variables));
    let descriptor = site.loaded().descriptor;
    for alias in ["bare", "pooled"] {
        let known = resolved(&descriptor, alias);
        assert_eq!(known.socket.as_deref(), Some(server.socket_folder()));
        assert_eq!(known.port, Some(server.port()));
    }
    let unknown = |alias: &str| descriptor.databases[alias].reach(alias).unwrap_err().to_string();
    let start = "the port of the database `service` is not known: OperationalError: ";
    assert!(unknown("service").starts_with(start), "{}", unknown("service"));
    assert!(unknown("hosts").starts_with("the host of the database `hosts` is not known: "));
    nobody_sees_the_password(&descriptor);

    drop(server);
    let known = site.loaded().descriptor.databases["bare"].connection.clone().unwrap();
    let expected = Connection { database: Some("shop".to_owned()), ..Connection::default() };
    assert_eq!(known, expected);
}

#[test]
fn how_the_connection_was_protected_is_told() {
    let authority = Authority::new();
    let identity = authority.server();
    let server = PostgresServer::start_with(&[
        "ssl=on",
        &format!("ssl_cert_file={}", identity.certificate.display()),
        &format!("ssl_key_file={}", identity.key.display()),
        &format!("ssl_ca_file={}", authority.root().display()),
    ]);
    server.create_database("shop");
    let client = authority.client("postgres");
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".postgresql")).unwrap();
    let own_root = home.path().join(".postgresql/root.crt");
    for driver in ["", PSYCOPG2] {
        let modes = format!(
            "{driver}{}\n\
            ROOT, CERTIFICATE, KEY = {:?}, {:?}, {:?}\n\
            os.environ['HOME'] = {:?}\n\
            whole('plain', {{'sslmode': 'disable'}})\n\
            whole('allow', {{'sslmode': 'allow'}})\n\
            whole('prefer')\n\
            whole('folder', {{'sslmode': 'require'}}, HOST=FOLDER)\n\
            whole('require', {{'sslmode': 'require'}})\n\
            whole('rooted', {{'sslmode': 'require', 'sslrootcert': ROOT}})\n\
            whole('ca', {{'sslmode': 'verify-ca', 'sslrootcert': ROOT}})\n\
            whole('full', {{'sslmode': 'verify-full', 'sslrootcert': ROOT, 'sslcert': CERTIFICATE, 'sslkey': KEY}})\n",
            settings(&server),
            authority.root(),
            client.certificate,
            client.key,
            home.path(),
        );
        let site = Site::new("");
        site.append_settings(&modes);
        let told = |site: &Site, expected: &[(&str, TlsMode, Option<PathBuf>)]| {
            let descriptor = site.loaded().descriptor;
            for (alias, mode, root) in expected {
                let tls = &resolved(&descriptor, alias).tls;
                assert_eq!((tls.mode, tls.root.as_ref()), (*mode, root.as_ref()), "{alias}");
            }
            descriptor
        };
        let root = Some(authority.root());
        let descriptor = told(
            &site,
            &[
                ("plain", TlsMode::Disable, None),
                ("allow", TlsMode::Disable, None),
                ("prefer", TlsMode::Require, None),
                ("folder", TlsMode::Disable, None),
                ("require", TlsMode::Require, None),
                ("rooted", TlsMode::VerifyCa, root.clone()),
                ("ca", TlsMode::VerifyCa, root.clone()),
                ("full", TlsMode::VerifyFull, root.clone()),
            ],
        );
        let tls = &resolved(&descriptor, "full").tls;
        assert_eq!(tls.certificate.as_ref(), Some(&client.certificate));
        assert_eq!(tls.key.as_ref(), Some(&client.key));
        // Roots in the home of the user are believed without being named.
        fs::copy(authority.root(), &own_root).unwrap();
        let own = Some(own_root.clone());
        let modes =
            [("prefer", TlsMode::VerifyCa, own.clone()), ("require", TlsMode::VerifyCa, own)];
        told(&site, &modes);
        fs::remove_file(&own_root).unwrap();
    }
}
