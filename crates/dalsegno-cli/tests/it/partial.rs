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
    let answer = site
        .call(BINARY, &["-q", "--format", "text", "backup", "--filename", "part"])
        .unprivileged()
        .run();
    assert_snapshot!(answer, @"");
    let answer = site.call(BINARY, &["backup", "--filename", "part2"]).unprivileged().run();
    assert_snapshot!(answer, @"");
    assert_eq!(report(&site, &["list"])["backups"][0]["outcome"], "partial");
    assert_snapshot!(run(&site, &["-q", "restore", "latest", "--force"]), @"");
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
    assert_snapshot!(run(&site, &["backup"]), @"");
}

#[test]
fn an_unreadable_folder_makes_a_backup_partial() {
    let site = Site::plain();
    let folder = site.path("media/a");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o000)).expect("modes can be set");
    let answer = site.call(BINARY, &["backup"]).unprivileged().run();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("modes can be set");
    assert_snapshot!(answer, @"");
}

#[test]
fn a_storage_that_is_not_local_makes_a_backup_partial() {
    let site = Site::bookshop(600, 60);
    site.settings("STORAGES['cloud'] = {'BACKEND': 'bookshop.cloud.CloudStorage'}");
    site.write("bookshop/cloud.py", "from django.core.files.storage import Storage\n\n\nclass CloudStorage(Storage):\n    pass\n");
    assert_snapshot!(run(&site, &["backup"]), @"");
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
