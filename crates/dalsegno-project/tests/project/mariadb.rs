//! What is told of connections to a MariaDB server.

use std::fs;

use crate::site::Site;
use dalsegno_project::descriptor::{Address, Connection, TlsMode, Vendor};
use dalsegno_project::{Descriptor, Secret};
use dalsegno_testkit::{Authority, MariadbServer};

/// Settings that name the server in Python's words, with `add(alias, **settings)` for an alias.
fn settings(server: &MariadbServer) -> String {
    format!(
        "import pymysql; pymysql.install_as_MySQLdb()\n\
        HOST, PORT, SOCKET, USER, PASSWORD = {:?}, {}, {:?}, {:?}, {:?}.encode()\n\
        def add(alias, options=None, **settings):\n    \
        DATABASES[alias] = dict(ENGINE='django.db.backends.mysql', OPTIONS=options or {{}}, **settings)\n\
        def whole(alias, options=None, **settings):\n    \
        add(alias, options, **{{**dict(HOST=HOST, PORT=PORT, USER=USER, PASSWORD=PASSWORD, NAME='shop'), **settings}})\n",
        server.host(),
        server.port(),
        server.socket(),
        server.user(),
        server.password(),
    )
}

fn known<'d>(descriptor: &'d Descriptor, alias: &str) -> &'d Connection {
    descriptor.databases[alias].connection.as_ref().expect("the facts of a server")
}

/// The facts of an alias of a server that answers: always of `shop`, with the right password.
fn resolved<'d>(server: &MariadbServer, descriptor: &'d Descriptor, alias: &str) -> &'d Connection {
    let database = &descriptor.databases[alias];
    assert_eq!((&database.reason, database.is_mariadb), (&None, Some(true)), "{alias}");
    let known = known(descriptor, alias);
    assert!(known.resolved, "{alias}: {known:?}");
    assert_eq!(known.user.as_deref(), Some(server.user()), "{alias}");
    assert_eq!(known.password.as_ref().map(Secret::expose), Some(server.password()), "{alias}");
    assert_eq!(known.database.as_deref(), Some("shop"), "{alias}");
    known
}

#[test]
fn what_the_driver_used_is_told() {
    let server = MariadbServer::start();
    server.create_database("shop");
    // PyMySQL sends a password of an option file in Latin-1.
    server.sql("", "CREATE USER 'plain'@'%' IDENTIFIED BY 'p#s \\'1'");
    server.sql("", "GRANT ALL ON *.* TO 'plain'@'%'");
    let site = Site::new("");
    let file = format!(
        "[client]\nuser=plain\npassword=\"p#s '1\"\nsocket = {}\n[mysqld]\nuser=nobody\n\
        [other]\nhost=h.invalid\n",
        server.socket().display()
    );
    site.write("my.cnf", &file);
    let more = "FILE = {'read_default_file': str(BASE_DIR / 'my.cnf')}\n\
        whole('tcp', {'init_command': 'SET @a = 1', 'charset': 'utf8mb4'})\n\
        whole('host', HOST=SOCKET, PORT='')\n\
        whole('option', {'unix_socket': SOCKET}, HOST='', PORT='')\n\
        add('aliases', {'db': 'shop', 'passwd': PASSWORD}, HOST=HOST, PORT=PORT, USER=USER)\n\
        add('file', FILE, NAME='shop')\n\
        add('group', {**FILE, 'read_default_group': 'other'}, USER=USER, NAME='shop')\n\
        whole('gone', NAME='gone')\n\
        whole('down', PORT=1)\n";
    site.append_settings(&(settings(&server) + more));
    let descriptor = site.loaded().descriptor;
    assert_eq!(descriptor.warnings, Vec::<String>::new());
    assert_eq!(descriptor.databases["tcp"].vendor, Some(Vendor::Mysql));
    let tcp = Address::Tcp { host: server.host().into(), port: server.port() };
    let socket = Address::Socket { path: server.socket(), port: 3306 };
    for (alias, address) in
        [("tcp", &tcp), ("host", &socket), ("option", &socket), ("aliases", &tcp)]
    {
        let facts = resolved(&server, &descriptor, alias);
        assert_eq!(facts.tls.mode, TlsMode::Disable, "{alias}");
        assert_eq!(&descriptor.databases[alias].reach(alias).unwrap().address, address, "{alias}");
    }
    let init_command = resolved(&server, &descriptor, "tcp").init_command.as_deref();
    assert_eq!(init_command, Some("SET @a = 1"));

    assert_eq!(descriptor.databases["file"].reason, None);
    let file = descriptor.databases["file"].reach("file").unwrap();
    assert_eq!((&file.address, file.user.as_str()), (&socket, "plain"));
    assert_eq!(file.password.as_ref().map(Secret::expose), Some("p#s '1"));
    let group = known(&descriptor, "group");
    assert_eq!((group.host.as_deref(), group.resolved), (Some("h.invalid"), false));
    assert_eq!(group.password, None);

    let gone = &descriptor.databases["gone"];
    assert_eq!(gone.reachable, Some(false));
    assert!(known(&descriptor, "gone").resolved);
    assert_eq!(gone.reach("gone").unwrap().database, "gone");
    let down = known(&descriptor, "down");
    assert_eq!((down.resolved, down.port), (false, Some(1)));

    for text in [descriptor.masked_json().to_string(), format!("{descriptor:?}")] {
        for secret in ["p'a", "%w", "#s '1", "p#s"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}

#[test]
fn how_the_connection_was_protected_is_told() {
    let authority = Authority::new();
    let identity = authority.server();
    let server = MariadbServer::start_with(&[
        &format!("--ssl-cert={}", identity.certificate.display()),
        &format!("--ssl-key={}", identity.key.display()),
        &format!("--ssl-ca={}", authority.root().display()),
    ]);
    server.create_database("shop");
    let site = Site::new("");
    let client = authority.client("shop");
    let more = format!(
        "ROOT, CERTIFICATE, KEY = {:?}, {:?}, {:?}\n\
        whole('plain', {{'ssl_disabled': True}})\n\
        whole('wanted', {{'ssl': {{'check_hostname': False}}}})\n\
        whole('ca', {{'ssl': {{'ca': ROOT, 'check_hostname': False}}}})\n\
        whole('full', {{'ssl': {{'ca': ROOT, 'cert': CERTIFICATE, 'key': KEY}}}})\n\
        whole('words', {{'ssl_ca': ROOT, 'ssl_verify_cert': True, 'ssl_verify_identity': True}})\n",
        authority.root(),
        client.certificate,
        client.key,
    );
    site.append_settings(&(settings(&server) + &more));
    let descriptor = site.loaded().descriptor;
    let root = Some(authority.root());
    for (alias, mode, root) in [
        ("plain", TlsMode::Disable, &None),
        ("wanted", TlsMode::Require, &None),
        ("ca", TlsMode::VerifyCa, &root),
        ("full", TlsMode::VerifyFull, &root),
        ("words", TlsMode::VerifyFull, &root),
    ] {
        let tls = &resolved(&server, &descriptor, alias).tls;
        assert_eq!((tls.mode, &tls.root), (mode, root), "{alias}");
    }
    let tls = &resolved(&server, &descriptor, "full").tls;
    assert_eq!(tls.certificate.as_ref(), Some(&client.certificate));
    assert_eq!(tls.key.as_ref(), Some(&client.key));
    assert!(fs::metadata(&client.key).is_ok(), "the facts name files that are there");
}
