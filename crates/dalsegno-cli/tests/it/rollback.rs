//! The ways back: `rollback` and `discard`.

use std::fs;

use dalsegno_testkit::{Site, assert_same, damage};
use insta::assert_snapshot;

use crate::{backup, ok, report, restore, run};

#[test]
fn the_old_data_come_back() {
    let site = Site::bookshop(600, 60);
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    let id = restore(&site, &["b"]);
    assert!(site.state() != damaged);
    let answer = ok(&site, &["-q", "rollback", &id, "--force"]);
    assert_eq!(answer.all(), "");
    assert_same(&damaged, &site.state());
    // What went wrong once can be done again.
    restore(&site, &["b"]);
    ok(&site, &["rollback", "latest", "--force"]);
    assert_same(&damaged, &site.state());
}

#[test]
fn nothing_is_left_of_it() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let names = site.names("");
    let id = restore(&site, &["b"]);
    ok(&site, &["rollback", &id, "--force"]);
    assert_eq!(site.names(""), names);
}

#[test]
fn data_written_since_are_not_thrown_away() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    let id = restore(&site, &["b"]);
    site.sql("db.sqlite3", "INSERT INTO author VALUES (99, 'since the restore')");
    site.write("media/since.txt", "since the restore");
    let written = site.state();
    let refused =
        site.call(crate::BINARY, &["rollback", &id]).on_terminal("yes\n").run().expect(13);
    assert!(refused.stdout.contains("--force"), "{refused}");
    assert_same(&written, &site.state());
    let done = report(&site, &["rollback", &id, "--force"]);
    assert_same(&damaged, &site.state());
    let present: Vec<&str> =
        done["present"].as_array().expect("a list").iter().filter_map(|p| p.as_str()).collect();
    assert_eq!(present.len(), 2, "{present:?}");
    let database = present
        .iter()
        .find(|p| fs::metadata(p).is_ok_and(|m| m.is_file()))
        .expect("the rows are kept");
    assert_eq!(site.ask(database, "SELECT name FROM author WHERE id = 99"), "since the restore");
    let media = present
        .iter()
        .find(|p| fs::metadata(p).is_ok_and(|m| m.is_dir()))
        .expect("the files are kept");
    assert!(fs::read_to_string(format!("{media}/since.txt")).is_ok());
    ok(&site, &["discard", &id, "--force"]);
    assert!(present.iter().all(|p| fs::metadata(p).is_err()), "{present:?}");
    assert_same(&damaged, &site.state());
}

#[test]
fn written_files_alone_are_seen_too() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let id = restore(&site, &["b"]);
    site.write("media/a/two.txt", "since the restore");
    let refused =
        site.call(crate::BINARY, &["rollback", &id]).on_terminal("yes\n").run().expect(13);
    assert!(refused.stdout.contains("a/two.txt"), "{refused}");
}

#[test]
fn discarded_data_are_gone() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let names = site.names("");
    damage(&site);
    let id = restore(&site, &["b"]);
    let restored = site.state();
    assert_ne!(site.names("").len(), names.len(), "the old data are kept beside the new");
    let answer = ok(&site, &["discard", &id, "--force"]);
    assert!(answer.stdout.contains("are gone"), "{answer}");
    assert_same(&restored, &site.state());
    assert_eq!(site.names(""), names);
    assert_snapshot!(run(&site, &["-q", "rollback", &id, "--force"]), @r#"
    exit 13
    err| error: restore `[ID]` is discarded: it cannot be rolled back
    err| hint: `dalsegno doctor` lists the restores that keep old data.
    "#);
    assert_snapshot!(run(&site, &["-q", "discard", &id, "--force"]), @r#"
    exit 13
    err| error: restore `[ID]` is discarded: it cannot be discarded
    err| hint: `dalsegno doctor` lists the restores that keep old data.
    "#);
    assert_snapshot!(run(&site, &["-q", "rollback", "latest", "--force"]), @r#"
    exit 10
    err| error: no restore `latest`
    err| hint: This project has no restore that could be undone.
    "#);
    assert_snapshot!(run(&site, &["-q", "rollback", "00000000", "--force"]), @r#"
    exit 10
    err| error: no restore `00000000`
    err| hint: This project has no restore that could be undone.
    "#);
}

#[test]
fn several_restores_go_back_one_by_one() {
    let site = Site::plain();
    let first = site.state();
    backup(&site, "first", &[]);
    damage(&site);
    let second = site.state();
    backup(&site, "second", &[]);
    let one = restore(&site, &["first"]);
    assert_same(&first, &site.state());
    let two = restore(&site, &["second"]);
    assert_same(&second, &site.state());
    ok(&site, &["rollback", &two, "--force"]);
    assert_same(&first, &site.state());
    ok(&site, &["rollback", &one, "--force"]);
    assert_same(&second, &site.state());
}

#[test]
fn a_database_that_was_not_there_goes_again() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    fs::remove_file(site.path("db.sqlite3")).expect("it is there");
    fs::remove_dir_all(site.path("media")).expect("it is there");
    let id = restore(&site, &["b"]);
    assert!(site.path("db.sqlite3").exists() && site.path("media").exists());
    ok(&site, &["rollback", &id, "--force"]);
    assert!(
        !site.path("db.sqlite3").exists() && !site.path("media").exists(),
        "{:?}",
        site.names("")
    );
}
