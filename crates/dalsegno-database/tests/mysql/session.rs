use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use dalsegno_database::mysql::{self, Access};
use dalsegno_database::{DatabaseError, FileColumn, Quiet, Result, TlsMode};
use dalsegno_format::Secret;
use dalsegno_testkit::MariadbServer;

use crate::support::{WAIT, access, capture, options, server_with, try_capture};

fn chain(error: &DatabaseError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn over_tcp(server: &MariadbServer, mode: TlsMode) -> Access {
    let mut access = access(server, "site");
    access.socket = None;
    access.tls.mode = mode;
    access
}

#[test]
fn each_failure_to_connect_says_which_and_what_to_do() {
    let server = server_with(
        "CREATE TABLE t (a INT); CREATE USER limited@'%' IDENTIFIED BY 'x' WITH MAX_USER_CONNECTIONS 1; GRANT ALL ON site.* TO limited@'%';",
    );
    let fails = |change: &dyn Fn(&mut Access)| {
        let mut access = over_tcp(&server, TlsMode::Disable);
        change(&mut access);
        let error = mysql::table_counts(&access, WAIT, &mut Quiet).unwrap_err();
        let all = format!("{} | {error:?} | {}", chain(&error), error.hint().unwrap_or_default());
        assert!(!all.contains("hush") && !all.contains(server.password()), "{all}");
        all.replace(&server.port().to_string(), "PORT")
    };
    let said = fails(&|access| access.database = "none".to_owned());
    assert!(
        said.starts_with("there is no database none on 127.0.0.1:PORT: Unknown database 'none'"),
        "{said}"
    );
    assert!(
        said.ends_with(
            "Check `NAME` in the `DATABASES` setting, and that the account has rights on it."
        ),
        "{said}"
    );
    let said = fails(&|access| access.password = Some(Secret::new("hush")));
    assert!(
        said.starts_with("site on 127.0.0.1:PORT does not let `site` in: Access denied"),
        "{said}"
    );
    let said = fails(&|access| access.port = 1);
    assert!(said.starts_with("cannot connect to site on 127.0.0.1:1: "), "{said}");
    let said = fails(&|access| access.socket = Some("/nowhere/s.sock".into()));
    assert!(said.starts_with("cannot connect to site on /nowhere/s.sock: "), "{said}");
    let said = fails(&|access| access.init_command = Some("SET nonsense = 'hush'".to_owned()));
    assert!(said.starts_with("cannot run the `init_command` of the settings for `site`"), "{said}");
    let mut limited = access(&server, "site");
    (limited.user, limited.password) = ("limited".to_owned(), Some(Secret::new("x")));
    let held = mysql::capture(&limited, &options(), &mut Quiet).unwrap();
    let error = mysql::table_counts(&limited, WAIT, &mut Quiet).unwrap_err();
    assert!(chain(&error).contains("takes no more connections"), "{}", chain(&error));
    drop(held);
    assert!(
        !mysql::exists(&Access { database: "none".to_owned(), ..access(&server, "site") }).unwrap()
    );
    assert!(mysql::exists(&access(&server, "site")).unwrap());
    assert!(mysql::size(&access(&server, "site")).unwrap() > 0);
}

#[test]
fn settings_of_server_account_and_site_do_not_change_what_is_read() {
    let server = MariadbServer::start_with(&[
        "--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,ORACLE",
        "--default-time-zone=+09:00",
        "--init-connect=SET sql_select_limit = 1, sql_quote_show_create = 0",
        "--max-statement-time=0.5",
        "--idle-readonly-transaction-timeout=1",
        "--net-write-timeout=1",
        "--character-set-server=latin1",
        "--transaction-isolation=READ-COMMITTED",
    ]);
    server.create_database("site");
    server.sql(
        "site",
        "SET time_zone = '+00:00'; CREATE TABLE t (a CHAR(5) CHARACTER SET utf8mb4, s TIMESTAMP NULL, v INT) WITH SYSTEM VERSIONING;
         INSERT INTO t VALUES ('\u{1f600}', '2024-01-02 03:04:05', 1), ('b', NULL, 2);",
    );
    let plain = capture(&server, "site");
    let mut access = access(&server, "site");
    access.init_command = Some(
        "SET NAMES latin1, time_zone = '-03:00', sql_mode = 'ANSI_QUOTES', system_versioning_asof = '1999-01-01 00:00:00', \
         max_statement_time = 0.001, autocommit = 0; SET sql_select_limit = 1"
            .to_owned(),
    );
    let mut snapshot = mysql::capture(&access, &options(), &mut Quiet).unwrap();
    // Longer than the site's own transactions may idle.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let mut sink = crate::support::Memory::default();
    snapshot.write(&mut sink, &mut Quiet).unwrap();
    let column = FileColumn { table: "t".to_owned(), column: "a".to_owned() };
    let mut found = 0;
    snapshot.file_references(&[column], &mut |_, _| found += 1).unwrap();
    assert_eq!(found, 2, "rows of today, not of 1999");
    let differ = |name: &str| !name.starts_with("catalog");
    let files = |files: &[(String, Vec<u8>)]| {
        files.iter().filter(|(name, _)| differ(name)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(files(&sink.0), files(&plain.files));
    let lines = plain.lines("t");
    assert!(lines[0].starts_with("\u{1f600}\t2024-01-02 03:04:05\t1\t"), "{lines:?}");
    assert_eq!(lines.len(), 2);
    assert!(
        plain.entry("t").sql.starts_with("CREATE TABLE `t` (\n  `a` "),
        "{}",
        plain.entry("t").sql
    );
}

#[test]
fn an_account_that_sees_less_than_there_is_is_refused() {
    let server = server_with(
        "CREATE TABLE t (a INT); CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1; CREATE PROCEDURE p() SELECT 1;
         CREATE TABLE m (a INT) ENGINE = MyISAM; CREATE VIEW v AS SELECT a FROM t;
         CREATE USER reader@'%' IDENTIFIED BY 'x'; GRANT SELECT ON site.* TO reader@'%';",
    );
    let try_as_reader = || -> Result<crate::support::Capture> {
        let mut access = access(&server, "site");
        (access.user, access.password) = ("reader".to_owned(), Some(Secret::new("x")));
        try_capture(&access, &options(), &mut Quiet)
    };
    let refused = |right: &str, what: &str| {
        let error = try_as_reader().unwrap_err();
        let said = chain(&error);
        assert!(said.starts_with("cannot ") && said.contains(what), "without {right}: {said}");
        assert!(
            error.hint().unwrap_or_default().contains("Grant") || what.contains("text"),
            "{said}"
        );
        server.sql("", &format!("GRANT {right} TO reader@'%'"));
    };
    refused("TRIGGER ON site.*", "see all `triggers`");
    refused("EVENT ON site.*", "see all `events`");
    refused("EXECUTE ON site.*", "see all `routines`");
    refused("SELECT ON mysql.proc", "does not show this account the text of the PROCEDURE");
    refused("SHOW VIEW ON site.*", "read the definition of `v`");
    let capture = try_as_reader().unwrap();
    assert_eq!(capture.entries().len(), 5);
    let lacks = |capture: &crate::support::Capture| {
        capture.catalog().notes.iter().any(|note| note.contains("lacks the right `LOCK TABLES`"))
    };
    assert!(lacks(&capture));
    server.sql("", "GRANT LOCK TABLES ON site.* TO reader@'%'");
    assert!(!lacks(&try_as_reader().unwrap()));
}

#[test]
fn a_connection_is_encrypted_as_the_settings_want_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let openssl = |args: &str| {
        let mut command = Command::new("openssl");
        let done = command.args(args.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(done.status.success(), "{args}: {}", String::from_utf8_lossy(&done.stderr));
    };
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority",
    );
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=elsewhere");
    std::fs::write(path("names"), "subjectAltName=DNS:localhost").unwrap();
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 2 -extfile names",
    );
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(path("server.key"), PermissionsExt::from_mode(0o644)).unwrap();
    let plain = server_with("CREATE TABLE t (a INT)");
    let server = MariadbServer::start_with(&[
        &format!("--ssl-cert={}", path("server.pem").display()),
        &format!("--ssl-key={}", path("server.key").display()),
        &format!("--ssl-ca={}", path("ca.pem").display()),
    ]);
    server.create_database("site");
    server.sql(
        "",
        "CREATE USER tls@'%' IDENTIFIED BY 'x' REQUIRE SSL; GRANT ALL ON site.* TO tls@'%'",
    );
    let tried = |server: &MariadbServer, user: &str, mode: TlsMode, host: &str, root: bool| {
        let mut access = over_tcp(server, mode);
        access.host = host.to_owned();
        access.tls.root = root.then(|| path("ca.pem"));
        if user == "tls" {
            (access.user, access.password) = ("tls".to_owned(), Some(Secret::new("x")));
        }
        mysql::table_counts(&access, WAIT, &mut Quiet).map_err(|error| chain(&error))
    };
    for (user, mode, host, root, works) in [
        ("site", TlsMode::Disable, "127.0.0.1", false, true),
        ("tls", TlsMode::Disable, "127.0.0.1", false, false),
        ("tls", TlsMode::Prefer, "127.0.0.1", false, true),
        ("tls", TlsMode::Require, "127.0.0.1", false, true),
        ("tls", TlsMode::VerifyCa, "127.0.0.1", true, true),
        ("tls", TlsMode::VerifyCa, "127.0.0.1", false, false),
        ("tls", TlsMode::VerifyFull, "127.0.0.1", true, false),
        ("tls", TlsMode::VerifyFull, "localhost", true, true),
        ("tls", TlsMode::VerifyFull, "localhost", false, false),
    ] {
        let done = tried(&server, user, mode, host, root);
        assert_eq!(done.is_ok(), works, "{user} {mode:?} {host} {root}: {done:?}");
    }
    assert!(tried(&plain, "site", TlsMode::Prefer, "127.0.0.1", false).is_ok());
    let refused = tried(&plain, "site", TlsMode::Require, "127.0.0.1", false).unwrap_err();
    assert!(refused.starts_with("cannot make an encrypted connection to site on "), "{refused}");
}
