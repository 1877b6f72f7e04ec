//! Backups that do not hold all they were meant to.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use dalsegno_testkit::Site;
use insta::assert_snapshot;

use crate::{BINARY, backup, ok, report, run};

#[test]
fn an_unreadable_file_makes_a_backup_partial() {
    let site = Site::plain();
    let secret = site.path("media/a/two.txt");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("modes can be set");
    // A cron job that is silent until something is wrong still learns what is wrong.
    let answer = site.call(BINARY, &["-q", "backup", "--filename", "part"]).unprivileged().run();
    assert_eq!((answer.code, answer.stdout.as_str()), (3, ""));
    assert!(answer.stderr.contains("a/two.txt"), "{answer}");
    let answer = site.call(BINARY, &["backup", "--filename", "part2"]).unprivileged().run();
    assert_snapshot!(answer, @r#"
    exit 3
    out| Backup part2 is PARTIAL, 1 thing could not be captured: [SITE]/backups/part2.tar.gz
    out|   missing: storage default: a/two.txt: Permission denied (os error 13)
    out|   id        [ID]
    out|   database  default: 3 tables, 211 rows, [SIZE]
    out|   storage   default: 4 files, [SIZE], 1 left out by rule
    out|   [SIZE] stored of [SIZE], in [DURATION] (start-up of the project [DURATION])
    err| backing up database default ([SIZE])
    err| backing up storage default ([SIZE])
    err| warning: storage default: a/two.txt: Permission denied (os error 13)
    err| making it durable
    "#);
    assert_eq!(report(&site, &["list"])["backups"][0]["outcome"], "partial");
    // `latest` never means it, and the operator learns that it is there.
    let answer = run(&site, &["-q", "restore", "latest", "--force"]).expect(10);
    assert!(answer.stderr.contains("partial"), "{answer}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o640)).expect("modes can be set");
    backup(&site, "whole", &[]);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("modes can be set");
    site.call(BINARY, &["backup", "--filename", "part3"]).unprivileged().run().expect(3);
    assert_eq!(report(&site, &["show", "latest"])["manifest"]["metadata"]["name"], "whole");
}

#[test]
fn a_partial_backup_is_restored_when_it_is_named() {
    let site = Site::plain();
    symlink("/etc/hostname", site.path("media/out")).expect("links can be made");
    run(&site, &["backup", "--filename", "part"]).expect(3);
    let plan = ok(&site, &["restore", "part", "--dry-run"]);
    assert!(plan.stdout.contains("the backup is partial"), "{plan}");
    site.sql("db.sqlite3", "DELETE FROM book");
    ok(&site, &["restore", "part", "--force"]);
    assert_eq!(site.ask("db.sqlite3", "SELECT count(*) FROM book"), "200");
}

#[test]
fn a_link_that_leaves_the_storage_makes_a_backup_partial() {
    let site = Site::plain();
    symlink("/etc/hostname", site.path("media/out")).expect("links can be made");
    symlink("../db.sqlite3", site.path("media/sneaky")).expect("links can be made");
    assert_snapshot!(run(&site, &["backup"]), @r#"
    exit 3
    out| Backup backup_[TIME] is PARTIAL, 2 things could not be captured: [SITE]/backups/backup_[TIME].tar.gz
    out|   missing: storage default: out: it is a link that leaves the storage; its target is not captured
    out|   missing: storage default: sneaky: it is a link that leaves the storage; its target is not captured
    out|   id        [ID]
    out|   database  default: 3 tables, 211 rows, [SIZE]
    out|   storage   default: 5 files, [SIZE], 1 left out by rule
    out|   [SIZE] stored of [SIZE], in [DURATION] (start-up of the project [DURATION])
    err| backing up database default ([SIZE])
    err| backing up storage default ([SIZE])
    err| warning: storage default: out: it is a link that leaves the storage; its target is not captured
    err| warning: storage default: sneaky: it is a link that leaves the storage; its target is not captured
    err| making it durable
    "#);
}

#[test]
fn an_unreadable_folder_makes_a_backup_partial() {
    let site = Site::plain();
    let folder = site.path("media/a");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).expect("modes can be set");
    let answer = site.call(BINARY, &["backup"]).unprivileged().run();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("modes can be set");
    assert_snapshot!(answer, @r#"
    exit 3
    out| Backup backup_[TIME] is PARTIAL, 1 thing could not be captured: [SITE]/backups/backup_[TIME].tar.gz
    out|   missing: storage default: a: Permission denied (os error 13)
    out|   id        [ID]
    out|   database  default: 3 tables, 211 rows, [SIZE]
    out|   storage   default: 3 files, [SIZE], 1 left out by rule
    out|   [SIZE] stored of [SIZE], in [DURATION] (start-up of the project [DURATION])
    err| backing up database default ([SIZE])
    err| backing up storage default ([SIZE])
    err| warning: storage default: a: Permission denied (os error 13)
    err| making it durable
    "#);
}

#[test]
fn a_storage_that_is_not_local_makes_a_backup_partial() {
    let site = Site::bookshop(600, 60);
    site.settings("STORAGES['cloud'] = {'BACKEND': 'bookshop.cloud.CloudStorage'}");
    site.write("bookshop/cloud.py", "from django.core.files.storage import Storage\n\n\nclass CloudStorage(Storage):\n    pass\n");
    assert_snapshot!(run(&site, &["backup"]), @r#"
    exit 3
    out| Backup backup_[TIME] is PARTIAL, 1 thing could not be captured: [SITE]/backups/backup_[TIME].tar.gz
    out|   missing: storage cloud: `bookshop.cloud.CloudStorage` is not a local folder, and this version captures only those
    out|   id          [ID]
    out|   database    default: 30 tables, 767 rows, [SIZE]
    out|   storage     default: 63 files, [SIZE], 3 left out by rule
    out|               invoices: 3 files, [SIZE]
    out|   references  63 files named by rows: 1 missing, 5 orphaned
    out|   [SIZE] stored of [SIZE], in [DURATION] (start-up of the project [DURATION])
    err| warning: storage cloud: `bookshop.cloud.CloudStorage` is not a local folder, and this version captures only those
    err| backing up database default ([SIZE])
    err| backing up storage default ([SIZE])
    err| backing up storage invoices ([SIZE])
    err| making it durable
    "#);
    run(&site, &["backup", "--skip-media", "--filename", "rows"]).expect(0);
}

#[test]
fn special_files_are_a_warning() {
    let site = Site::plain();
    let pipe = site.path("media/a/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
    assert!(made.success());
    let answer = ok(&site, &["backup"]);
    assert!(answer.stdout.contains("a/pipe"), "{answer}");
}
