//! There and back again.

use dalsegno_testkit::Site;

use super::{Kind, Server, bookshop, media};
use crate::{backup, ok, report, restore, run};

/// What somebody might do to a shop by mistake.
fn damage(site: &Site, server: &Server) {
    let change = match server {
        Server::Postgresql(_) => "DROP TABLE books_changelog CASCADE",
        Server::Mariadb(_) => {
            "SET foreign_key_checks = 0; DROP TABLE books_changelog; SET foreign_key_checks = 1"
        }
    };
    server.sql("shop", change);
    server.sql("shop", "UPDATE books_book SET title = 'lost'");
    server.sql("shop", "CREATE TABLE intruder (id int PRIMARY KEY)");
    std::fs::remove_dir_all(site.path("media")).expect("it is there");
    site.write("media/intruder.txt", "not in the backup");
}

fn round(kind: Kind) {
    let server = Server::start(kind);
    let site = bookshop(&server);
    let (rows, files) = (server.dump("shop"), media(&site));
    for form in ["tar.gz", "tar.zst", "folder"] {
        let name = form.replace('.', "_");
        backup(&site, &name, &["--form", form]);
        let verified = report(&site, &["verify", &name, "--deep"]);
        assert_eq!(verified["sound"], true, "{form}: {verified}");
    }
    let same = run(&site, &["diff", "tar_gz", "live"]);
    assert_eq!(same.code, 0, "{same}");

    damage(&site, &server);
    let (bad_rows, bad_files) = (server.dump("shop"), media(&site));
    assert_ne!(rows, bad_rows);
    let planned = ok(&site, &["restore", "tar_zst", "--dry-run"]);
    assert!(planned.stdout.contains("put in place as"), "{planned}");
    assert_eq!(server.dump("shop"), bad_rows, "a dry run changes nothing");

    for form in ["tar_zst", "folder", "tar_gz"] {
        let id = restore(&site, &[form]);
        assert_eq!(server.dump("shop"), rows, "{form}");
        assert_eq!(media(&site), files, "{form}");
        site.manage(&["check"]);
        site.manage(&["migrate", "--check"]);
        ok(&site, &["rollback", &id, "--force"]);
        assert_eq!(server.dump("shop"), bad_rows, "{form}, rolled back");
        assert_eq!(media(&site), bad_files, "{form}, rolled back");
        assert_eq!(server.databases(), ["shop"], "{form}, rolled back");
    }
    let id = restore(&site, &["tar_gz", "--verify", "full"]);
    assert_ne!(server.databases(), ["shop"], "the old one is kept");
    server.sql("shop", "UPDATE books_book SET title = 'since'");
    let refused = run(&site, &["rollback", &id]);
    assert_eq!(refused.code, 13, "what was written since is not given up unasked: {refused}");
    ok(&site, &["discard", &id, "--force"]);
    assert_eq!(server.databases(), ["shop"]);
    let healthy = ok(&site, &["doctor"]);
    assert!(!healthy.stdout.contains("dalsegno_"), "{healthy}");
}

#[test]
fn a_bookshop_on_postgresql_comes_back_and_goes_back() {
    round(Kind::Postgresql);
}

#[test]
fn a_bookshop_on_mariadb_comes_back_and_goes_back() {
    round(Kind::Mariadb);
}

fn elsewhere(kind: Kind) {
    let server = Server::start(kind);
    let site = bookshop(&server);
    backup(&site, "b", &["--skip-media"]);
    let rows = server.dump("shop");
    let url = format!("{}:///copy", server.vendor());
    ok(&site, &["restore", "b", "--force", "--to-database", &url]);
    assert_eq!(server.dump("copy").replace("`copy`", "`shop`"), rows);
    let taken = run(&site, &["restore", "b", "--force", "--to-database", &url]);
    assert_eq!(taken.code, 13, "{taken}");
    assert_eq!(server.databases(), ["copy", "shop"]);
    // And into the live place, when nothing is there.
    server.sql(if kind == Kind::Mariadb { "copy" } else { "postgres" }, "DROP DATABASE shop");
    restore(&site, &["b", "--no-pre-backup"]);
    assert_eq!(server.dump("shop"), rows);
}

#[test]
fn a_postgresql_database_is_restored_beside_the_live_one_and_where_there_is_none() {
    elsewhere(Kind::Postgresql);
}

#[test]
fn a_mariadb_database_is_restored_beside_the_live_one_and_where_there_is_none() {
    elsewhere(Kind::Mariadb);
}

fn table(kind: Kind) {
    let server = Server::start(kind);
    let site = bookshop(&server);
    backup(&site, "b", &["--skip-media"]);
    let listed = ok(&site, &["contents", "b", "database/default"]).stdout;
    assert!(listed.contains("database/default/books_book\n"), "{listed}");
    let rows = ok(&site, &["get", "b", "database/default/books_book"]).stdout;
    let count = server.sql("shop", "SELECT count(*) FROM books_book");
    assert_eq!(rows.lines().count().to_string(), count.trim());
    let first: serde_json::Value =
        serde_json::from_str(rows.lines().next().expect("there are books")).expect("it is JSON");
    assert!(first["title"].is_string(), "{first}");
}

#[test]
fn a_table_on_postgresql_is_read_out_of_a_backup() {
    table(Kind::Postgresql);
}

#[test]
fn a_table_on_mariadb_is_read_out_of_a_backup() {
    table(Kind::Mariadb);
}

#[test]
fn a_server_that_does_not_answer_is_said_so_and_its_password_is_not() {
    let server = Server::start(Kind::Mariadb);
    let site = bookshop(&server);
    let Server::Mariadb(mut running) = server else { unreachable!("it was started so") };
    let password = running.password().to_owned();
    running.stop();
    for args in [&["backup"][..], &["doctor"], &["-v", "describe"], &["--format", "json", "backup"]]
    {
        let answer = run(&site, args);
        let said = answer.to_string();
        assert!(!said.contains(&password), "{args:?}: the password is shown");
        if args.contains(&"backup") {
            assert_eq!(answer.code, 1, "{answer}");
        }
    }
    assert!(
        !site.path("backups").exists()
            || site.path("backups").read_dir().is_ok_and(|mut d| d.next().is_none())
    );
}
