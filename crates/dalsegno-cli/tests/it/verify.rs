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
    assert_snapshot!(ok(&site, &["-q", "verify", "tar.gz", "--deep"]), @"");
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

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let site = Site::plain();
    for form in ["tar", "tar.gz", "tar.zst"] {
        let path = backup(&site, form, &["--form", form]);
        let sound = fs::read(&path).expect("it is there");
        damage(&site);
        let length = sound.len() as u64;
        let offsets = (0..12).map(|n| n * length / 12).chain([1, length - 1]);
        for offset in offsets {
            flip_byte(&path, offset);
            let answer = run(&site, &["-q", "verify", text(&path)]);
            assert!([20, 1].contains(&answer.code), "{form} {offset} of {length}: {answer}");
            assert_ne!(
                run(&site, &["-q", "restore", text(&path), "--force"]).code,
                0,
                "{form} {offset}"
            );
            fs::write(&path, &sound).expect("it can be written");
        }
        flip_byte(&path, length / 2);
        refused(&site, form, &path);
    }
}

#[test]
fn damage_is_named() {
    let site = Site::plain();
    let tar = backup(&site, "t", &["--no-compress"]);
    flip_byte(&tar, 10_000);
    assert_snapshot!(refused(&site, "tar", &tar), @"");
    let folder = backup(&site, "f", &["--form", "folder"]);
    flip_byte(&folder.join("files/picture.jpg"), 100);
    assert_snapshot!(refused(&site, "folder", &folder), @"");
    assert_snapshot!(run(&site, &["-q", "restore", text(&folder), "--force"]), @"");
}

#[test]
fn members_of_a_folder_that_are_gone_new_or_swapped() {
    let site = Site::plain();
    let made = |name: &str| backup(&site, name, &["--form", "folder"]);

    let path = made("gone");
    fs::remove_file(path.join("files/a/two.txt")).expect("it is there");
    assert_snapshot!(refused(&site, "gone", &path), @"");

    let path = made("new");
    fs::write(path.join("files/a/three.txt"), "three").expect("it can be written");
    assert_snapshot!(refused(&site, "new", &path), @"");

    let path = made("swapped");
    let (one, two) = (path.join("files/a/one.txt"), path.join("files/a/two.txt"));
    fs::rename(&one, path.join("spare")).expect("it can be renamed");
    fs::rename(&two, &one).expect("it can be renamed");
    fs::rename(path.join("spare"), &two).expect("it can be renamed");
    assert_snapshot!(refused(&site, "swapped", &path), @"");

    let path = made("list");
    let entries = path.join("entries.tsv");
    let text = fs::read_to_string(&entries).expect("it is there");
    fs::write(&entries, text.replace("0640", "0666")).expect("it can be written");
    refused(&site, "a changed mode", &path);

    let path = made("unfinished");
    fs::remove_file(path.join("backup_complete.json")).expect("it is there");
    assert_snapshot!(refused(&site, "unfinished", &path), @"");
}

#[test]
fn truncation_is_seen() {
    let site = Site::plain();
    for form in ["tar", "tar.gz", "tar.zst"] {
        let path = backup(&site, form, &["--form", form]);
        let sound = fs::read(&path).expect("it is there");
        for keep in [sound.len() - 1, sound.len() - 600, sound.len() / 2, 700] {
            fs::write(&path, &sound[..keep]).expect("it can be written");
            let answer = run(&site, &["-q", "verify", text(&path)]);
            assert_eq!(answer.code, 20, "{form}, {keep} of {} bytes: {answer}", sound.len());
            assert_eq!(
                run(&site, &["-q", "restore", text(&path), "--force"]).code,
                20,
                "{form} {keep}"
            );
        }
        let longer = [&sound[..], b"and more"].concat();
        fs::write(&path, longer).expect("it can be written");
        assert_eq!(
            run(&site, &["-q", "verify", text(&path)]).code,
            20,
            "{form} with more at its end"
        );
    }
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
    assert!(answer.code == 20 || answer.code == 0, "{answer}");
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
