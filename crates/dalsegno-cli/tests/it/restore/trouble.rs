//! Sites whose database is gone or corrupted, and disks that do not take a restore.

use std::fs;

use dalsegno_testkit::{Site, assert_same, damage, noise};
use insta::assert_snapshot;

use crate::{BINARY, backup, ok, run, text};

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
