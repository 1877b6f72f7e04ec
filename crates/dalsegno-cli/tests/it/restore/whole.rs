//! A damaged site, restored from a whole backup or from parts of it.

use std::fs;

use dalsegno_testkit::{Site, assert_same, damage};
use insta::assert_snapshot;

use crate::{backup, ok, report, restore, run, text};

#[test]
fn rows_and_files_are_as_they_were() {
    let site = Site::bookshop(600, 60);
    let before = site.state();
    backup(&site, "b", &["--include-fixtures"]);
    damage(&site);
    assert!(site.state() != before);
    assert_snapshot!(ok(&site, &["restore", "b", "--force"]), @r#"
    exit 0
    out| Restored b.
    out|   database default: [SITE]/db.sqlite3
    out|   storage default: [SITE]/media
    out|   storage invoices: [SITE]/private
    out|   backup of what was there before: [SITE]/backups_data/archives/backup_[TIME].tar.zst
    out|   The old data are kept: `dalsegno rollback [ID]` puts them back, `dalsegno discard [ID]` drops them.
    out|   in [DURATION] (start-up of the project [DURATION])
    err| backing up database default ([SIZE])
    err| backing up fixtures books
    err| backing up fixtures dir-1
    err| backing up storage default ([SIZE])
    err| backing up storage invoices ([SIZE])
    err| making it durable
    err| restoring beside the live data ([SIZE])
    err| checking database default
    err| making storage default durable
    err| making storage invoices durable
    err| switching
    "#);
    assert_same(&before, &site.state());
    site.manage(&["check", "--database", "default"]);
    site.manage(&["migrate", "--check"]);
}

#[test]
fn a_dry_run_changes_nothing() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let (before, names) = (site.state(), site.names(""));
    assert_snapshot!(ok(&site, &["-q", "restore", "b", "--dry-run"]), @r#"
    exit 0
    out| Backup b of project plain, made [TIME] (UTC)
    out|   replaces database default: [SITE]/db.sqlite3 (205 rows now, 211 after)
    out|     table     now  after
    out|     author      5     10
    out|     log         -      1
    out|     stranger    0      -
    out|   storage default: [SITE]/media (replace)
    out|     2 files added ([SIZE])
    out|     3 files replaced ([SIZE])
    out|     1 file removed ([SIZE])
    out|     1 file left as they are: the backup does not hold them ([SIZE])
    out|     1 file the same by size and time ([SIZE])
    out|   What is there now is backed up first.
    out| Nothing was changed.
    "#);
    assert_same(&before, &site.state());
    assert_eq!(site.names(""), names);
    let plan = report(&site, &["restore", "b", "--dry-run"]);
    assert_eq!(plan["dry_run"], true);
    let tables = plan["plan"]["databases"][0]["tables"].as_array().expect("there are tables");
    let book = tables.iter().find(|t| t["name"] == "author").expect("it is in the plan");
    assert_eq!((&book["now"], &book["after"]), (&5.into(), &10.into()));
    assert_same(&before, &site.state());
}

#[test]
fn a_dry_run_ends_as_the_restore_would() {
    let site = Site::plain();
    let path = backup(&site, "b", &["--no-compress"]);
    dalsegno_testkit::flip_byte(&path, 3000);
    run(&site, &["restore", text(&path), "--dry-run"]).expect(20);
    run(&site, &["restore", text(&path), "--force"]).expect(20);
}

#[test]
fn parts_are_skipped() {
    let site = Site::plain();
    let before = site.state();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    restore(&site, &["b", "--skip-media"]);
    assert_eq!(site.state().part("media"), damaged.part("media"));
    assert_eq!(site.state().part("db.sqlite3"), before.part("db.sqlite3"));
    damage_rows(&site);
    let damaged = site.state();
    restore(&site, &["b", "--skip-database"]);
    assert_eq!(site.state().part("media"), before.part("media"));
    assert_eq!(site.state().part("db.sqlite3"), damaged.part("db.sqlite3"));
    assert_snapshot!(run(&site, &["-q", "restore", "b", "--force", "--skip-database", "--skip-media"]), @r#"
    exit 2
    err| error: there is nothing to restore
    err| hint: `dalsegno show` tells what the backup holds.
    "#);
}

fn damage_rows(site: &Site) {
    site.sql("db.sqlite3", "DELETE FROM book WHERE id > 100");
}

#[test]
fn what_a_backup_does_not_hold_is_left_alone() {
    let site = Site::plain();
    backup(&site, "rows", &["--type", "database"]);
    backup(&site, "files", &["--type", "media"]);
    damage(&site);
    let damaged = site.state();
    let answer = ok(&site, &["restore", "rows", "--force"]);
    assert_eq!(site.state().part("media"), damaged.part("media"), "{answer}");
    let rows = site.state();
    let answer = ok(&site, &["restore", "files", "--force"]);
    assert_eq!(site.state().part("db.sqlite3"), rows.part("db.sqlite3"), "{answer}");
    assert!(answer.stdout.contains("the backup holds no database"), "{answer}");
}

#[test]
fn fixtures_go_back_only_when_missing_or_changed() {
    let site = Site::bookshop(600, 60);
    backup(&site, "b", &["--include-fixtures"]);
    let languages = site.path("books/fixtures/languages.json");
    let genres = site.path("fixtures/genres.json");
    let inode = |path: &std::path::Path| {
        use std::os::unix::fs::MetadataExt;
        path.metadata().expect("it is there").ino()
    };
    let original = fs::read(&languages).expect("it is there");
    let untouched = inode(&genres);
    fs::write(&languages, "[]").expect("it can be written");
    site.write("fixtures/mine.json", "[]");
    restore(&site, &["b", "--skip-media", "--skip-fixtures"]);
    assert_eq!(fs::read(&languages).expect("it is there"), b"[]");
    let id = restore(&site, &["b", "--skip-media"]);
    assert_eq!(fs::read(&languages).expect("it is there"), original);
    assert_eq!(inode(&genres), untouched, "a fixture that did not differ was written");
    assert!(site.path("fixtures/mine.json").exists());
    ok(&site, &["rollback", &id, "--force"]);
    assert_eq!(fs::read(&languages).expect("it is there"), b"[]");
    fs::remove_file(&genres).expect("it is there");
    restore(&site, &["b", "--skip-media"]);
    assert!(genres.exists());
    let leftovers: Vec<String> = site
        .names("fixtures")
        .into_iter()
        .chain(site.names("books/fixtures"))
        .filter(|n| n.contains("staged"))
        .collect();
    assert_eq!(leftovers, [""; 0]);
}

#[test]
fn what_was_there_is_backed_up_first() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    let done = report(&site, &["restore", "b", "--force"]);
    let pre = done["pre_backup"].as_str().expect("it was made").to_owned();
    assert!(pre.contains("backups_data/archives/"), "{pre}");
    ok(&site, &["verify", &pre, "--deep"]);
    let done = report(&site, &["restore", &pre, "--force", "--no-pre-backup"]);
    assert_eq!(done["pre_backup"], serde_json::Value::Null);
    assert_same(&damaged, &site.state());
}
