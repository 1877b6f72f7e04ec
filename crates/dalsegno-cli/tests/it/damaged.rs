//! Sites that are in a bad way: nothing may make them worse.

use std::fs;

use dalsegno_testkit::{Site, assert_same};
use insta::assert_snapshot;

use crate::{backup, ok, run};

#[test]
fn a_corrupted_database_is_not_backed_up_as_good() {
    let site = Site::plain();
    let path = site.path("db.sqlite3");
    let bytes = fs::read(&path).expect("it is there");
    fs::write(&path, [&b"XQLite"[..], &bytes[6..]].concat()).expect("it can be written");
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 1
    err| error: database `default`: `[SITE]/db.sqlite3` is not an SQLite database, or it is encrypted
    err| hint: Check `NAME` in the `DATABASES` setting; a database encrypted by an extension cannot be read.
    "#);
    assert_eq!(site.names("backups"), [""; 0]);
    ok(&site, &["backup", "--skip-database"]);
}

#[test]
fn a_missing_database_is_not_made_by_a_backup() {
    let site = Site::plain();
    fs::remove_file(site.path("db.sqlite3")).expect("it is there");
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 1
    err| error: database `default`: no database file at `[SITE]/db.sqlite3`
    err| hint: Check `NAME` in the `DATABASES` setting.
    "#);
    assert!(!site.path("db.sqlite3").exists());
    assert_eq!(site.names("backups"), [""; 0]);
}

#[test]
fn missing_media_are_told() {
    let site = Site::plain();
    fs::remove_dir_all(site.path("media")).expect("it is there");
    ok(&site, &["backup", "--filename", "b"]);
    let shown = ok(&site, &["show", "b"]).stdout;
    assert!(shown.contains("left out") && shown.contains("does not exist"), "{shown}");
}

#[test]
fn a_storage_that_is_the_site_itself_is_never_replaced() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let config = fs::read_to_string(site.path("dalsegno.toml")).expect("it is there");
    site.write("dalsegno.toml", config.replace("location = \"media\"", "location = \".\""));
    let before = site.state();
    run(&site, &["-q", "backup", "--filename", "c"]).expect(3);
    ok(&site, &["restore", "b", "--force"]);
    assert_same(&before, &site.state());
    assert!(site.path("dalsegno.toml").exists());
}

#[test]
fn a_backup_folder_inside_media_is_never_in_a_backup() {
    let site = Site::plain();
    site.settings(
        "[settings]\nBACKUP_DIR = \"media/backups\"\nBACKUP_ROOT = \"media/backups_data\"",
    );
    let first = backup(&site, "one", &[]);
    let second = backup(&site, "two", &[]);
    let size = |path: &std::path::Path| fs::metadata(path).expect("it is there").len();
    assert!(size(&second) < size(&first) + 2_000, "the first backup is in the second");
    crate::restore(&site, &["one"]);
    assert!(first.exists() && second.exists(), "a restore removed the backups");
}
