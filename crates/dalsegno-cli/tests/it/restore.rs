//! `restore`: the site is the backup's afterwards, or what it was.

use std::fs;
use std::process::{Command, Stdio};

use dalsegno_testkit::{BANK_SUM, Bank, Site, State, assert_same, bank_sum, damage, noise, python};
use insta::assert_snapshot;

use crate::{BINARY, backup, ok, report, restore, run, text};

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
fn a_database_that_is_gone_comes_back() {
    let site = Site::bookshop(600, 60);
    let before = site.state();
    backup(&site, "b", &[]);
    for gone in ["db.sqlite3", "media", "private"] {
        let path = site.path(gone);
        if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }
            .expect("it can be removed");
    }
    let answer = ok(&site, &["restore", "b", "--force"]);
    assert_eq!(site.state().part("db.sqlite3"), before.part("db.sqlite3"), "{answer}");
    let without_hidden = |lines: &[String]| {
        let keep = |l: &&String| {
            !l.starts_with("ALL") && !l.contains("/.") && !l.contains("\t.git") && !l.contains('~')
        };
        lines.iter().filter(keep).cloned().collect::<Vec<_>>()
    };
    for part in ["media", "private"] {
        assert_eq!(without_hidden(site.state().part(part)), without_hidden(before.part(part)));
    }
    site.manage(&["migrate", "--check"]);
}

#[test]
fn a_corrupted_database_is_replaced_without_a_backup_of_it() {
    let site = Site::plain();
    let before = site.state();
    backup(&site, "b", &[]);
    site.write("db.sqlite3", "SQLite format 3\0 and then nothing that makes sense".repeat(400));
    assert_snapshot!(run(&site, &["-q", "restore", "b", "--force"]), @r#"
    exit 1
    err| error: the backup before the restore failed, so nothing was restored: database `default`: `[SITE]/db.sqlite3` is not an SQLite database, or it is encrypted
    err| hint: Check `NAME` in the `DATABASES` setting; a database encrypted by an extension cannot be read. Or restore without it: `--no-pre-backup`.
    "#);
    ok(&site, &["restore", "b", "--force", "--no-pre-backup"]);
    assert_same(&before, &site.state());
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

#[test]
fn another_projects_backup_is_refused() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    let other = Site::plain();
    let config = fs::read_to_string(other.path("dalsegno.toml")).expect("it is there");
    other.write("dalsegno.toml", config.replace("\"plain\"", "\"other\""));
    fs::copy(path, other.path("b.tar.gz")).expect("it can be copied");
    let before = other.state();
    let refused = run(&other, &["-q", "restore", "./b.tar.gz", "--force"]).expect(13);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux tells it");
    assert_snapshot!(refused.err().replace(host.trim(), "[HOST]"), @r#"
    error: the backup is of project `plain (on [HOST])`, this is `other`
    hint: If that is what you want, repeat with `--other-project`.
    "#);
    assert_same(&before, &other.state());
    damage(&other);
    ok(&other, &["restore", "./b.tar.gz", "--force", "--other-project"]);
    assert_same(&before, &other.state());
}

#[test]
fn a_moved_site_is_the_same_project() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    let moved = Site::plain();
    let before = moved.state();
    damage(&moved);
    restore(&moved, &[text(&path)]);
    assert_same(&before, &moved.state());
}

#[test]
fn another_engine_is_refused() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let config = fs::read_to_string(site.path("dalsegno.toml")).expect("it is there");
    let postgres = "url = \"postgres://shop:hunter2@db.example:5432/shop\"";
    site.write(
        "dalsegno.toml",
        config.replace("engine = \"sqlite3\"\nname = \"db.sqlite3\"", postgres),
    );
    assert_snapshot!(run(&site, &["-q", "restore", "b", "--force"]), @r#"
    exit 13
    err| error: database `default` is postgresql, which this version cannot restore
    err| hint: SQLite is supported. Name another alias with `--database`, or use `--skip-database`.
    "#);
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 13
    err| error: database `default` is postgresql, which this version cannot back up
    err| hint: SQLite is supported. Name another alias with `--database`, or use `--skip-database`.
    "#);
}

#[test]
fn the_site_may_read_and_write_throughout() {
    for journal in ["wal", "delete"] {
        let site = Site::plain();
        let bank = Bank::open(&site.path("db.sqlite3"), journal);
        backup(&site, "b", &[]);
        let mut reader = reader(&site);
        for _ in 0..3 {
            ok(&site, &["restore", "b", "--force", "--skip-media"]);
        }
        assert!(bank.close() > 0);
        drop(reader.stdin.take());
        let read = reader.wait_with_output().expect("it can be waited for");
        assert!(read.status.success(), "{journal}: {}", String::from_utf8_lossy(&read.stderr));
        assert_eq!(bank_sum(&site.path("db.sqlite3")), BANK_SUM, "{journal}");
        assert_eq!(site.ask("db.sqlite3", "PRAGMA integrity_check"), "ok", "{journal}");
        assert_eq!(site.ask("db.sqlite3", "PRAGMA journal_mode"), journal);
    }
}

/// Reads the bank over one connection, again and again, until its input ends.
fn reader(site: &Site) -> std::process::Child {
    let program = "
import sqlite3, sys, threading
db = sqlite3.connect(sys.argv[1], timeout=30)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
while not stop.wait(0.002):
    found = db.execute('SELECT count(*), sum(balance) FROM bank').fetchone()
    assert found == (100, 100000), found
    assert db.execute('SELECT count(*) FROM book').fetchone() == (200,)
";
    Command::new(python())
        .args(["-c", program])
        .arg(site.path("db.sqlite3"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts")
}

#[test]
fn a_folder_that_may_not_be_written_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    fs::create_dir_all(site.path("backups_data")).expect("it can be made");
    fs::set_permissions(site.root(), fs::Permissions::from_mode(0o555)).expect("modes can be set");
    let answer = site.call(BINARY, &["-q", "restore", "b", "--force"]).unprivileged().run();
    fs::set_permissions(site.root(), fs::Permissions::from_mode(0o755)).expect("modes can be set");
    assert_snapshot!(answer, @r#"
    exit 13
    err| error: the folder of database default, `[SITE]`, may not be written by this user
    err| hint: Run as the site's user, or give this one the right to write `[SITE]`.
    "#);
    assert_same(&damaged, &site.state());
    assert_eq!(site.names("backups_data/archives"), [""; 0]);
}

#[test]
fn too_little_space_is_refused() {
    let site = Site::plain();
    site.write("media/large.bin", noise(1_800_000, 7));
    let path = backup(&site, "b", &["--no-compress"]);
    let small = site.outside("small");
    fs::create_dir(&small).expect("it is new");
    let target = small.join("media");
    let answer = site
        .call(
            BINARY,
            &[
                "-q",
                "restore",
                text(&path),
                "--force",
                "--skip-database",
                "--to-media",
                text(&target),
            ],
        )
        .tmpfs(&small, "1m", &site.outside("left"))
        .run();
    assert_snapshot!(answer, @r#"
    exit 13
    err| error: not enough space in `[TEMP]/small` to restore: [SIZE] needed, [SIZE] free
    err| hint: Free some space in `[TEMP]/small`: the old data are kept there until you discard them.
    "#);
    assert_eq!(fs::read_to_string(site.outside("left")).expect("it was written"), "");
}

#[test]
fn what_fails_is_left_as_it_was_when_asked_to_go_on() {
    let site = Site::two_databases();
    backup(&site, "b", &["--database", "all"]);
    let before = site.state();
    damage(&site);
    // A database that can be read by nobody is replaced only while nobody has it open.
    let broken = "SQLite format 3\0 and then nothing that makes sense".repeat(400);
    site.write("archive.sqlite3", &broken);
    let holder = fs::File::open(site.path("archive.sqlite3")).expect("it can be opened");
    let args = ["restore", "b", "--force", "--no-pre-backup"];
    run(&site, &args).expect(11);
    assert_eq!(fs::read_to_string(site.path("archive.sqlite3")).expect("it is there"), broken);
    let answer = run(&site, &[&args[..], &["--keep-going"]].concat()).expect(3);
    assert!(answer.stdout.contains("IN PART") && answer.stdout.contains("archive"), "{answer}");
    assert_eq!(site.state().part("media"), before.part("media"));
    assert_eq!(site.ask("db.sqlite3", "SELECT count(*) FROM author"), "10");
    assert_eq!(fs::read_to_string(site.path("archive.sqlite3")).expect("it is there"), broken);
    drop(holder);
    ok(&site, &args);
    assert_same(&before, &site.state());
}

/// Damages a backup in folder form; its bytes are right unless `harm` changes them.
fn unverified(harm: impl Fn(&std::path::Path)) -> (Site, State) {
    let site = Site::plain();
    let before = site.state();
    let path = backup(&site, "b", &["--form", "folder"]);
    harm(&path);
    damage(&site);
    run(&site, &["restore", "b", "--force"]).expect(20);
    let answer = ok(&site, &["restore", text(&path), "--force", "--no-backup-check"]);
    assert!(answer.stdout.contains("unverified"), "{answer}");
    (site, before)
}

#[test]
fn without_checks_a_changed_file_comes_back_as_it_is() {
    let (site, before) = unverified(|path| {
        fs::write(path.join("files/a/two.txt"), "TWO\n").expect("it can be written");
    });
    assert_eq!(fs::read(site.path("media/a/two.txt")).expect("it is there"), b"TWO\n");
    assert_eq!(site.state().part("db.sqlite3"), before.part("db.sqlite3"));
}

#[test]
fn without_checks_a_wrong_sum_does_not_count() {
    let (site, before) = unverified(|path| {
        let sums = path.join("checksums.sha256");
        let list = fs::read_to_string(&sums).expect("it is there");
        let digit = if list.starts_with('0') { "1" } else { "0" };
        fs::write(&sums, format!("{digit}{}", &list[1..])).expect("it can be written");
    });
    assert_same(&before, &site.state());
}

#[test]
fn without_checks_the_completion_marker_does_not_count() {
    let (site, before) = unverified(|path| {
        fs::remove_file(path.join("backup_complete.json")).expect("it is there");
    });
    assert_same(&before, &site.state());
}
