//! Backup, damage, restore: every row is there again, of the alias that is meant.

use std::fs;

use insta::assert_snapshot;

use super::{damage_media, damage_rows, fault, mend, rows, site, two};
use crate::{backup, ok, report, restore, run};

#[test]
fn every_row_and_file_comes_back() {
    let site = site();
    let (before, media) = (rows(&site, "db.sqlite3"), site.state().part("media").to_vec());
    let next = "SELECT seq FROM sqlite_sequence WHERE name = 'books_author'";
    let sequence = site.ask("db.sqlite3", next);
    backup(&site, "b", &[]);
    damage_rows(&site, "db.sqlite3");
    damage_media(&site);
    assert_ne!(rows(&site, "db.sqlite3"), before);
    ok(&site, &["restore", "b", "--force"]);
    assert_eq!(rows(&site, "db.sqlite3"), before);
    assert_eq!(site.ask("db.sqlite3", next), sequence);
    assert_eq!(site.state().part("media"), media);
    site.manage(&["check", "--database", "default"]);
    site.manage(&["migrate", "--check"]);
    assert_eq!(site.names("backups_data/temp"), [""; 0], "the spool is gone");
}

#[test]
fn that_there_is_no_rollback_is_said_before_and_after() {
    let site = site();
    backup(&site, "b", &[]);
    damage_rows(&site, "db.sqlite3");
    let damaged = rows(&site, "db.sqlite3");
    assert_snapshot!(ok(&site, &["-q", "restore", "b", "--dry-run", "--skip-media"]), @r#"
    exit 0
    out| Backup b of project bookshop, made [TIME] (Europe/Berlin)
    out|   replaces database default: [SITE]/db.sqlite3 on odd (653 rows now, 720 after)
    out|     put in place as rows replaced through Django, in one transaction
    out|     its old rows are NOT kept: there will be no rollback
    out|     table              now  after
    out|     books_book_genres    0     48
    out|     books_language       9      8
    out|     books_note          16     24
    out|     legacy_sale          0     12
    out|   note: database default: rows replaced through Django, in one transaction; there will be no rollback, the old ones are in the backup that is made first
    out|   What is there now is backed up first.
    out| Nothing was changed.
    "#);
    let answer = ok(&site, &["restore", "b", "--force", "--skip-media"]);
    assert_snapshot!(answer, @r#"
    exit 0
    out| Restored b.
    out|   database default: [SITE]/db.sqlite3 on odd
    out|   note: database default: rows replaced through Django, in one transaction; there will be no rollback, the old ones are in the backup that is made first
    out|   backup of what was there before: [SITE]/backups_data/archives/backup_[TIME].tar.zst
    out|   There is no rollback: the rows of default were replaced in place.
    out|   in [DURATION] (start-up of the project [DURATION])
    err| backing up database default
    err| making it durable
    err| restoring beside the live data ([SIZE])
    err| checking database default
    err| switching
    "#);
    let restored = rows(&site, "db.sqlite3");
    assert_snapshot!(run(&site, &["rollback", "latest", "--force"]).expect(13), @r#"
    exit 13
    err| error: restore `[ID]` replaced the rows of database `default` in place: it cannot be rolled back; what was there before is in `[SITE]/backups_data/archives/backup_[TIME].tar.zst`
    err| hint: `dalsegno restore '[SITE]/backups_data/archives/backup_[TIME].tar.zst'` brings the old rows back.
    "#);
    assert_eq!(rows(&site, "db.sqlite3"), restored, "a refused rollback changes nothing");
    let archives = site.names("backups_data/archives");
    let old = archives.iter().find(|n| n.ends_with(".tar.zst")).expect("it was made");
    restore(&site, &[&format!("backups_data/archives/{old}")]);
    assert_eq!(rows(&site, "db.sqlite3"), damaged, "the backup made before is the old copy");
}

#[test]
fn each_alias_is_the_one_that_is_meant() {
    let site = two();
    let (one, other) = (rows(&site, "db.sqlite3"), rows(&site, "archive.sqlite3"));
    assert_ne!(one, other);
    backup(&site, "both", &["--database", "all"]);
    damage_rows(&site, "db.sqlite3");
    damage_rows(&site, "archive.sqlite3");
    let damaged = rows(&site, "db.sqlite3");
    restore(&site, &["both", "--database", "archive", "--skip-media"]);
    assert_eq!(rows(&site, "archive.sqlite3"), other);
    assert_eq!(rows(&site, "db.sqlite3"), damaged, "the other alias is not touched");
    restore(&site, &["both", "--skip-media"]);
    assert_eq!(rows(&site, "archive.sqlite3"), other);
    assert_eq!(rows(&site, "db.sqlite3"), one);
    // What one alias held can be put into the other.
    restore(&site, &["both", "--from-database", "archive", "--database", "default"]);
    assert_eq!(rows(&site, "db.sqlite3"), other);
}

#[test]
fn an_error_in_the_middle_leaves_the_live_rows() {
    let site = site();
    backup(&site, "b", &[]);
    damage_rows(&site, "db.sqlite3");
    damage_media(&site);
    let before = (rows(&site, "db.sqlite3"), site.state().part("media").to_vec());
    fault(&site, "fail", "INSERT INTO \"books_chapter\"");
    let answer = run(&site, &["-q", "restore", "b", "--force"]).expect(1);
    assert_snapshot!(answer, @r#"
    exit 1
    err| error: the restore failed while switching, and the old data are back in place: database `default`: cannot load rows into `[SITE]/db.sqlite3 on odd` through Django
    err|   because: rows of `books.Chapter`: DatabaseError: the tablespace is full
    "#);
    mend(&site);
    assert_eq!((rows(&site, "db.sqlite3"), site.state().part("media").to_vec()), before);
    assert_eq!(site.names("backups_data/temp"), [""; 0], "the spool is gone");
    restore(&site, &["b"]);
}

#[test]
fn of_two_databases_the_first_stays_restored_when_the_second_fails() {
    let site = two();
    let other = rows(&site, "archive.sqlite3");
    backup(&site, "both", &["--database", "all"]);
    damage_rows(&site, "db.sqlite3");
    damage_rows(&site, "archive.sqlite3");
    let media = site.state().part("media").to_vec();
    damage_media(&site);
    let damaged = (rows(&site, "db.sqlite3"), site.state().part("media").to_vec());
    assert_ne!(damaged.1, media);
    // `archive` comes first, and has no such rows to be stored.
    fault(&site, "fail", "INSERT INTO \"legacy_sale\"");
    let answer = run(&site, &["-q", "restore", "both", "--force"]).expect(1);
    assert_snapshot!(answer, @r#"
    exit 1
    err| error: the restore failed while switching (database `default`: cannot load rows into `[SITE]/db.sqlite3 on odd` through Django); the rows of the backup are in archive all the same, everything else has its old data
    err|   because: rows of `books.LegacySale`: DatabaseError: the tablespace is full
    err| hint: `dalsegno restore '[SITE]/backups_data/archives/backup_[TIME].tar.zst'` brings the old rows back.
    "#);
    mend(&site);
    assert_eq!(rows(&site, "archive.sqlite3"), other);
    assert_eq!((rows(&site, "db.sqlite3"), site.state().part("media").to_vec()), damaged);
    ok(&site, &["backup", "--filename", "after"]);
}

#[test]
fn what_is_not_captured_is_told_and_never_overwritten() {
    let site = site();
    site.sql(
        "db.sqlite3",
        "CREATE TABLE loose (x); INSERT INTO loose VALUES (1);
         ALTER TABLE books_language ADD COLUMN speakers INTEGER;",
    );
    let answer = ok(&site, &["backup", "--filename", "b", "--skip-media"]);
    assert!(answer.stderr.contains("table `loose`: not captured"), "{answer}");
    assert!(answer.stderr.contains("columns that no field of a model has"), "{answer}");
    let doctor = ok(&site, &["doctor"]);
    assert!(doctor.stdout.contains("no rollback"), "{doctor}");
    assert!(doctor.stdout.contains("table `loose`"), "{doctor}");
    let before = rows(&site, "db.sqlite3");
    let answer = run(&site, &["restore", "b", "--force"]).expect(1);
    assert!(answer.stderr.contains("speakers"), "{answer}");
    assert_eq!(rows(&site, "db.sqlite3"), before);
    site.sql("db.sqlite3", "ALTER TABLE books_language DROP COLUMN speakers");
    restore(&site, &["b"]);
    assert_eq!(site.ask("db.sqlite3", "SELECT count(*) FROM loose"), "1");
}

#[test]
fn rows_are_read_compared_and_checked_out_of_a_backup() {
    let site = site();
    let path = backup(&site, "b", &["--form", "folder"]);
    let deep = ok(&site, &["verify", "b", "--deep"]);
    assert!(deep.stdout.contains("rows hashed"), "{deep}");
    let diff = report(&site, &["diff", "b"]);
    assert_eq!(diff["tables"]["default"], serde_json::json!([]));
    let genres = ok(&site, &["get", "b", "database/default/books_genre"]).stdout;
    let count = site.ask("db.sqlite3", "SELECT count(*) FROM books_genre");
    assert_eq!(genres.lines().count().to_string(), count);
    damage_rows(&site, "db.sqlite3");
    let diff = run(&site, &["diff", "b"]);
    assert!(diff.stdout.contains("books_note"), "{diff}");
    let part = path.join("database/default/4-data/000001.json");
    let text = fs::read_to_string(&part).expect("it is text");
    fs::write(&part, text.replacen("Crime", "Prime", 1)).expect("it can be written");
    run(&site, &["restore", "b", "--force"]).expect(20);
    // Unchecked by the lists of the backup, the rows are still those of no row hash.
    let answer = run(&site, &["restore", "b", "--force", "--no-check"]);
    assert_ne!(answer.code, 0, "{answer}");
}

#[test]
fn rows_may_be_left_out_and_without_django_it_is_refused() {
    let site = site();
    let path = backup(&site, "b", &["--exclude-data", "books.LegacySale", "--form", "folder"]);
    let text = fs::read_to_string(path.join("database/default/4-data/000001.json"));
    assert!(!text.expect("it is text").contains("books.legacysale"));
    restore(&site, &["b", "--skip-media"]);
    assert_eq!(site.ask("db.sqlite3", "SELECT count(*) FROM legacy_sale"), "0");
    fault(&site, "fail", "SELECT");
    let answer = run(&site, &["backup"]).expect(1);
    assert!(answer.stderr.contains("through Django"), "{answer}");
}
