//! Ways to a server, and what is said where there is none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dalsegno_database::postgres::{Access, Cause, Failure, table_counts};
use dalsegno_database::{DatabaseError, Quiet, Tls, TlsMode};
use dalsegno_format::Secret;
use dalsegno_testkit::PostgresServer;

use crate::files::{access, access_as, options, shop, try_taken};

fn failure(access: &Access) -> (Cause, String, String) {
    let error = table_counts(access, Duration::from_secs(5), &mut Quiet).unwrap_err();
    let (text, hint) = (error.to_string(), error.hint().unwrap_or_default());
    let shown = format!("{error:?}{text}{hint}{access:?}");
    assert!(!shown.contains("sesame") && !shown.contains("100% \"secret\""), "{shown}");
    let DatabaseError::Postgres(failure) = error else { panic!("{error:?}") };
    match *failure {
        Failure::Connect { cause, .. } | Failure::Refused { cause, .. } => (cause, text, hint),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_refusal_says_what_is_wrong_and_what_to_check() {
    let mut server = PostgresServer::start_with(&["max_connections=15"]);
    server.create_database("shop");
    server.psql("shop", "CREATE TABLE secret (a int); CREATE ROLE clerk LOGIN PASSWORD 'pw'");
    let good = access(&server, "shop");
    table_counts(&good, Duration::from_secs(5), &mut Quiet).unwrap();
    let overtcp = Access { host: server.host().to_owned(), ..good.clone() };
    table_counts(&overtcp, Duration::from_secs(5), &mut Quiet).unwrap();

    let (cause, text, hint) = failure(&Access { database: "shp".to_owned(), ..good.clone() });
    assert_eq!(cause, Cause::NoDatabase, "{text}");
    assert!(text.contains("database \"shp\" does not exist") && hint.contains("`NAME`"), "{text}");

    let wrong = Some(Secret::new("open sesame"));
    let (cause, text, hint) = failure(&Access { password: wrong, ..good.clone() });
    assert_eq!(cause, Cause::Login, "{text}");
    assert!(hint.contains("`PASSWORD`"), "{hint}");
    let (cause, text, _) = failure(&Access { password: None, ..good.clone() });
    assert_eq!(cause, Cause::Login, "{text}");

    let (cause, text, hint) = failure(&access_as(&server, "shop", "clerk"));
    assert_eq!(cause, Cause::Rights, "{text}");
    assert!(text.contains("secret") && hint.contains("right"), "{text}");

    // One that finds no room ends; others are started until there is none.
    let mut others = Vec::new();
    while server.try_psql("shop", "SELECT 1").is_ok() {
        assert!(others.len() < 200, "there is room for everybody");
        let mut other = server.client("psql", "shop");
        others.push(other.args(["-c", "SELECT pg_sleep(60)"]).spawn().unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    let (cause, text, hint) = failure(&good);
    assert_eq!(cause, Cause::TooManyConnections, "{text}");
    assert!(hint.contains("max_connections"), "{hint}");
    for mut other in others {
        other.kill().unwrap();
        other.wait().unwrap();
    }

    server.stop();
    let (cause, text, hint) = failure(&overtcp);
    assert_eq!(cause, Cause::Unreachable, "{text}");
    assert!(text.contains("refused") && hint.contains("`PORT`"), "{text}");
    assert_eq!(failure(&good).0, Cause::Unreachable);
}

#[test]
fn the_assumed_role_reads_and_the_login_role_need_not() {
    let server = shop(
        "CREATE ROLE site; CREATE ROLE login LOGIN NOINHERIT PASSWORD 'pw' IN ROLE site;
         CREATE TABLE t AS SELECT 1 AS a; ALTER TABLE t OWNER TO site;",
    );
    let login = access_as(&server, "shop", "login");
    assert_eq!(failure(&login).0, Cause::Rights);
    let role = Some("site".to_owned());
    let taken = try_taken(&Access { role, ..login }, &options()).unwrap();
    assert_eq!(taken.lines("t"), ["1"]);
}

#[test]
fn options_of_the_connection_reach_the_server_and_change_no_value() {
    let server = shop("CREATE TABLE f AS SELECT 0.1::float8 + 0.2 AS n");
    let options_text = Some("-c extra_float_digits=0 -c work_mem=5MB".to_owned());
    let with = Access { options: options_text, ..access(&server, "shop") };
    assert_eq!(try_taken(&with, &options()).unwrap().lines("f"), ["0.30000000000000004"]);
    let bad = Access { options: Some("-c no_such=1".to_owned()), ..with };
    assert!(failure(&bad).1.contains("no_such"));
}

/// Makes an authority, a certificate of the server for `localhost` and one of a client.
fn certificates(server: &PostgresServer) -> PathBuf {
    let folder = server.socket_folder().join("tls");
    std::fs::create_dir(&folder).unwrap();
    let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out ca.crt -subj /CN=authority &&
        openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout other.key -out other.crt -subj /CN=other &&
        printf 'subjectAltName=DNS:localhost' >san &&
        openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=localhost &&
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile san -out server.crt &&
        openssl req -newkey rsa:2048 -nodes -keyout site.key -out site.csr -subj /CN=site &&
        openssl x509 -req -in site.csr -CA ca.crt -CAkey ca.key -days 2 -extfile /dev/null -out site.crt &&
        cp ca.crt server.crt server.key ../data/ &&
        chown --reference=../data ../data/server.key ../data/*.crt && chmod 600 ../data/server.key";
    let output = Command::new("sh").args(["-ec", script]).current_dir(&folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    folder
}

fn with_tls(base: &Access, host: &str, mode: TlsMode, root: Option<&Path>) -> Access {
    let tls = Tls { mode, root: root.map(Path::to_owned), identity: None };
    Access { host: host.to_owned(), tls, ..base.clone() }
}

#[test]
fn certificates_are_verified_as_far_as_the_mode_asks() {
    let mut server = PostgresServer::start();
    server.create_database("shop");
    server.psql("shop", "CREATE ROLE site LOGIN SUPERUSER; CREATE TABLE t AS SELECT 1 AS a");
    let plain = access(&server, "shop");
    // Without TLS on the server, only the modes that do not need it get through.
    assert!(try_taken(&with_tls(&plain, "localhost", TlsMode::Prefer, None), &options()).is_ok());
    let (cause, text, _) = failure(&with_tls(&plain, "localhost", TlsMode::Require, None));
    assert_eq!(cause, Cause::Tls, "{text}");

    let folder = certificates(&server);
    server.psql("shop", "ALTER SYSTEM SET ssl = on; ALTER SYSTEM SET ssl_ca_file = 'ca.crt'");
    std::fs::write(
        server.data().join("pg_hba.conf"),
        "local all all scram-sha-256\nhostssl all site all cert\nhostssl all all all scram-sha-256\n",
    )
    .unwrap();
    server.restart();
    let plain = access(&server, "shop");
    let (ca, other) = (folder.join("ca.crt"), folder.join("other.crt"));
    for (host, mode, root, works) in [
        ("localhost", TlsMode::Disable, None, false),
        ("localhost", TlsMode::Prefer, None, true),
        ("127.0.0.1", TlsMode::Require, None, true),
        ("127.0.0.1", TlsMode::Require, Some(&other), false),
        ("127.0.0.1", TlsMode::VerifyCa, Some(&ca), true),
        ("127.0.0.1", TlsMode::VerifyCa, Some(&other), false),
        ("localhost", TlsMode::VerifyFull, Some(&ca), true),
        ("127.0.0.1", TlsMode::VerifyFull, Some(&ca), false),
        ("localhost", TlsMode::VerifyFull, None, false),
    ] {
        let access = with_tls(&plain, host, mode, root.map(PathBuf::as_path));
        let taken = try_taken(&access, &options());
        assert_eq!(taken.is_ok(), works, "{host} {mode:?} {root:?}: {:?}", taken.err());
    }
    let mut own = with_tls(&plain, "localhost", TlsMode::VerifyFull, Some(&ca));
    own.user = "site".to_owned();
    own.password = None;
    assert!(try_taken(&own, &options()).is_err());
    own.tls.identity = Some((folder.join("site.crt"), folder.join("site.key")));
    assert_eq!(try_taken(&own, &options()).unwrap().lines("t"), ["1"]);
    own.tls.root = Some(folder.join("nowhere.crt"));
    let error = try_taken(&own, &options()).err().unwrap();
    assert!(error.to_string().contains("nowhere.crt"), "{error}");
}
