//! `verify` and what a damaged backup may do.

use std::fs;
use std::path::Path;

use dalsegno_testkit::{Site, assert_same, damage, flip_byte};
use insta::assert_snapshot;

use crate::{backup, ok, report, run, text};

#[test]
fn a_sound_backup() {
    let site = Site::plain();
    for form in ["folder", "tar", "tar.gz", "tar.zst"] {
        backup(&site, form, &["--form", form]);
        assert_eq!(report(&site, &["verify", form])["sound"], true);
    }
    assert_snapshot!(ok(&site, &["-q", "verify", "tar.gz", "--deep"]), @r#"
    exit 0
    out| [SITE]/backups/tar.gz.tar.gz is sound: 9 files, [SIZE] checked in [DURATION]
    out|   database default: 211 rows hashed, structure sound
    "#);
    let deep = report(&site, &["verify", "folder", "--deep"]);
    assert_eq!(deep["deep"]["default"]["report"]["foreign_key_violations"], 0);
    assert_eq!(site.names("../tmp"), [""; 0], "scratch is left");
}

/// Verify names the damage, restore refuses, and nothing has changed.
#[track_caller]
fn refused(site: &Site, what: &str, path: &Path) -> String {
    let answer = run(site, &["-q", "verify", text(path)]).expect(20);
    assert!(answer.stdout.contains("DAMAGED"), "{what}: {answer}");
    let before = site.state();
    for args in [&["--dry-run"][..], &["--force"], &["--force", "--no-pre-backup"]] {
        let mut all = vec!["-q", "restore", text(path)];
        all.extend(args);
        let code = run(site, &all).code;
        assert_eq!(code, 20, "{what}: restore {args:?}");
        assert_same(&before, &site.state());
    }
    answer.out()
}

/// Verify and restore of an archive must both say that it is damaged; what they said otherwise.
fn not_called_damaged(site: &Site, path: &Path, what: &str) -> Vec<String> {
    [&["-q", "verify", text(path)][..], &["-q", "restore", text(path), "--force"]]
        .into_iter()
        .map(|args| run(site, args))
        .filter(|answer| answer.code != 20)
        .map(|answer| format!("{what}: {answer}"))
        .collect()
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let site = Site::plain();
    let mut wrong = Vec::new();
    for form in ["tar", "tar.gz", "tar.zst"] {
        let path = backup(&site, form, &["--form", form]);
        let sound = fs::read(&path).expect("it is there");
        damage(&site);
        let length = sound.len() as u64;
        for offset in (0..12).map(|n| n * length / 12).chain([1, length - 1]) {
            flip_byte(&path, offset);
            let what = format!("{form}, byte {offset} of {length}");
            wrong.extend(not_called_damaged(&site, &path, &what));
            fs::write(&path, &sound).expect("it can be written");
        }
        flip_byte(&path, length / 2);
        refused(&site, form, &path);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn damage_is_named() {
    let site = Site::plain();
    let tar = backup(&site, "t", &["--no-compress"]);
    flip_byte(&tar, 10_000);
    assert_snapshot!(refused(&site, "tar", &tar), @r#"
    [SITE]/backups/t.tar is DAMAGED:
      frame 1 at byte 4608: its stored bytes have changed
      contents of database/default/db.sqlite3: it has not the SHA-256 in checksums.sha256
    hint: use another backup; `dalsegno list` shows them
    "#);
    let folder = backup(&site, "f", &["--form", "folder"]);
    flip_byte(&folder.join("files/picture.jpg"), 100);
    assert_snapshot!(refused(&site, "folder", &folder), @r#"
    [SITE]/backups/f is DAMAGED:
      contents of files/picture.jpg: it has not the SHA-256 in checksums.sha256
    hint: use another backup; `dalsegno list` shows them
    "#);
    assert_snapshot!(run(&site, &["-q", "restore", text(&folder), "--force"]), @r#"
    exit 20
    err| error: `[SITE]/backups/f` is damaged: contents of files/picture.jpg: it has not the SHA-256 in checksums.sha256
    err| hint: Use another backup, or skip the check with `--no-backup-check`; `verify` lists everything that is wrong.
    "#);
}

#[test]
fn members_of_a_folder_that_are_gone_new_or_swapped() {
    let site = Site::plain();
    let made = |name: &str| backup(&site, name, &["--form", "folder"]);

    let path = made("gone");
    fs::remove_file(path.join("files/a/two.txt")).expect("it is there");
    assert_snapshot!(refused(&site, "gone", &path), @r#"
    [SITE]/backups/gone is DAMAGED:
      member files/a/two.txt: it is missing
    hint: use another backup; `dalsegno list` shows them
    "#);

    let path = made("new");
    fs::write(path.join("files/a/three.txt"), "three").expect("it can be written");
    assert_snapshot!(refused(&site, "new", &path), @r#"
    [SITE]/backups/new is DAMAGED:
      extra files/a/three.txt: it does not belong to the backup
    hint: use another backup; `dalsegno list` shows them
    "#);

    let path = made("swapped");
    let (one, two) = (path.join("files/a/one.txt"), path.join("files/a/two.txt"));
    fs::rename(&one, path.join("spare")).expect("it can be renamed");
    fs::rename(&two, &one).expect("it can be renamed");
    fs::rename(path.join("spare"), &two).expect("it can be renamed");
    assert_snapshot!(refused(&site, "swapped", &path), @r#"
    [SITE]/backups/swapped is DAMAGED:
      contents of files/a/one.txt: it has not the SHA-256 in checksums.sha256
      contents of files/a/two.txt: it has not the SHA-256 in checksums.sha256
      member files/b/again.txt: it is not the same file as files/a/one.txt
    hint: use another backup; `dalsegno list` shows them
    "#);

    let path = made("list");
    let entries = path.join("entries.tsv");
    let text = fs::read_to_string(&entries).expect("it is there");
    fs::write(&entries, text.replace("0640", "0666")).expect("it can be written");
    refused(&site, "a changed mode", &path);

    let path = made("unfinished");
    fs::remove_file(path.join("backup_complete.json")).expect("it is there");
    assert_snapshot!(refused(&site, "unfinished", &path), @r#"
    [SITE]/backups/unfinished is DAMAGED:
      end of the backup: it is missing: the backup was cut short
    hint: use another backup; `dalsegno list` shows them
    "#);
}

#[test]
fn truncation_is_seen() {
    let site = Site::plain();
    let mut wrong = Vec::new();
    for form in ["tar", "tar.gz", "tar.zst"] {
        let path = backup(&site, form, &["--form", form]);
        let sound = fs::read(&path).expect("it is there");
        let length = sound.len();
        for keep in [length - 1, length - 600, length / 2, 700] {
            fs::write(&path, &sound[..keep]).expect("it can be written");
            wrong.extend(not_called_damaged(
                &site,
                &path,
                &format!("{form}, {keep} of {length} bytes"),
            ));
        }
        fs::write(&path, [&sound[..], b"and more"].concat()).expect("it can be written");
        wrong.extend(not_called_damaged(&site, &path, &format!("{form} and more")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_sidecar_is_believed_only_when_the_archive_agrees() {
    let site = Site::plain();
    let path = backup(&site, "b", &["--name", "right"]);
    let sidecar = site.path("backups/b.tar.gz.manifest.json");
    let text = fs::read_to_string(&sidecar).expect("it is there");
    fs::write(&sidecar, text.replace("\"right\"", "\"wrong\"")).expect("it can be written");
    let shown = ok(&site, &["list"]).stdout;
    assert!(!shown.contains("wrong"), "{shown}");
    let answer = run(&site, &["-q", "verify", crate::text(&path)]);
    assert_eq!(answer.code, 20, "{answer}");
    assert!(answer.stdout.contains("sidecar: it does not belong to this archive"), "{answer}");
    fs::remove_file(&sidecar).expect("it is there");
    assert_eq!(report(&site, &["verify", crate::text(&path)])["sound"], true);
}

#[test]
fn deep_looks_into_the_database() {
    let site = Site::bookshop(600, 60);
    let path = backup(&site, "b", &["--skip-media"]);
    let deep = report(&site, &["verify", text(&path), "--deep"]);
    let tables = deep["deep"]["default"]["report"]["tables"].as_array().expect("a list");
    assert!(tables.len() > 25, "{}", tables.len());
    let dangling = Site::plain();
    dangling.sql("db.sqlite3", "DELETE FROM author WHERE id = 3");
    backup(&dangling, "b", &[]);
    let answer = ok(&dangling, &["-q", "verify", "b", "--deep"]);
    assert!(answer.stdout.contains("20 rows point at rows that do not exist"), "{answer}");
}
