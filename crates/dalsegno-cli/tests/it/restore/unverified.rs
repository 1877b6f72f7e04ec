//! `--no-backup-check`: what comes back, and that the report says so.

use std::fs;

use dalsegno_testkit::{Site, State, assert_same, damage};

use crate::{backup, ok, run, text};

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
