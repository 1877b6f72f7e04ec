//! Backups in the form of a folder with other things in them than files, or changing meanwhile.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::trap::Trap;
use crate::{backup, text};

fn special(path: &Path, kind: FileType, device: u64) {
    mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, device).expect("root makes devices");
}

fn trap_with_folder() -> (Trap, PathBuf, PathBuf) {
    let trap = Trap::new();
    let good = backup(&trap.site, "folder", &["--form", "folder"]);
    let path = trap.site.outside("forged/folder");
    (trap, good, path)
}

fn fresh(good: &Path, path: &Path) {
    if path.symlink_metadata().is_ok() {
        fs::remove_dir_all(path).expect("it can be removed");
    }
    let done = std::process::Command::new("cp").arg("-a").args([good, path]).status();
    assert!(done.expect("cp runs").success());
}

type Put = fn(&Path, &Path);

#[test]
fn members_of_another_type() {
    let (trap, good, path) = trap_with_folder();
    let victim = trap.site.outside("outside/victim");
    let puts: [(&str, Put); 9] = [
        ("a link outside", |at, victim| symlink(victim, at).expect("links can be made")),
        ("a link up", |at, _| symlink("../../../outside/victim", at).expect("links can be made")),
        ("a link to another member", |at, _| symlink("one.txt", at).expect("links can be made")),
        ("a link to itself", |at, _| symlink(at, at).expect("links can be made")),
        ("a pipe", |at, _| special(at, FileType::Fifo, 0)),
        ("a socket", |at, _| special(at, FileType::Socket, 0)),
        ("a character device", |at, _| special(at, FileType::CharacterDevice, makedev(1, 5))),
        ("a block device", |at, _| special(at, FileType::BlockDevice, makedev(7, 200))),
        ("a folder", |at, _| fs::create_dir(at).expect("it can be made")),
    ];
    for (what, put) in puts {
        for member in [
            "files/a/two.txt",
            "database/default/db.sqlite3",
            "restore.sh",
            "entries.tsv",
            "checksums.sha256",
            "backup_metadata.json",
            "backup_complete.json",
        ] {
            fresh(&good, &path);
            let at = path.join(member);
            fs::remove_file(&at).expect("it is there");
            put(&at, &victim);
            let what = format!("{what} in place of {member}");
            let before = trap.picture();
            let verify = trap.run(&["-q", "verify", text(&path)]);
            assert!(![0, 3].contains(&verify.code), "{what}: {verify}");
            let restore = trap.run(&["-q", "restore", text(&path), "--force", "--no-pre-backup"]);
            assert!(![0, 3].contains(&restore.code), "{what}: {restore}");
            super::trap::same(&what, &before, &trap.picture());
            if member != "restore.sh" && member != "database/default/db.sqlite3" {
                trap.harmless_unverified(&what, &path);
            }
        }
    }
}

#[test]
fn a_folder_that_is_a_link_or_holds_more() {
    let (trap, good, path) = trap_with_folder();
    let outside = trap.site.outside("outside");
    let changes: [(&str, Put); 7] = [
        ("the media are a link", |path, outside| {
            fs::rename(path.join("files"), outside.join("moved")).expect("it can be moved");
            symlink(outside.join("moved"), path.join("files")).expect("links can be made");
        }),
        ("a folder is a link", |path, outside| {
            fs::remove_dir_all(path.join("files/a")).expect("it is there");
            symlink(outside, path.join("files/a")).expect("links can be made");
        }),
        ("the database's folder is a link", |path, outside| {
            fs::remove_dir_all(path.join("database/default")).expect("it is there");
            symlink(outside, path.join("database/default")).expect("links can be made");
        }),
        ("a hard link to a file outside", |path, outside| {
            fs::hard_link(outside.join("victim"), path.join("files/zz")).expect("one disk");
        }),
        ("a pipe more", |path, _| special(&path.join("files/zz"), FileType::Fifo, 0)),
        ("a link more", |path, outside| {
            symlink(outside, path.join("files/zz")).expect("links can be made");
        }),
        ("a file more at the top", |path, _| {
            fs::write(path.join("evil.sh"), "EVIL").expect("it can be written");
        }),
    ];
    for (what, change) in changes {
        fresh(&good, &path);
        if outside.join("moved").exists() {
            fs::remove_dir_all(outside.join("moved")).expect("it can be removed");
        }
        change(&path, &outside);
        trap.refused(what, &path);
        trap.harmless_unverified(what, &path);
        assert_eq!(fs::read(outside.join("victim")).expect("it is there"), b"precious");
    }
}

/// The owner of the folder changes it while root restores it without checks.
#[test]
fn a_folder_swapped_for_a_link_while_it_is_read_leads_nowhere() {
    let (trap, good, path) = trap_with_folder();
    let outside = trap.site.outside("outside");
    fs::write(outside.join("one.txt"), "precious").expect("it can be written");
    fresh(&good, &path);
    let (live, spare, link) = (path.join("files/a"), path.join("../spare"), path.join("../link"));
    symlink(&outside, &link).expect("links can be made");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                let renames = [(&live, &spare), (&link, &live), (&live, &link), (&spare, &live)];
                for (from, to) in renames {
                    fs::rename(from, to).expect("nobody else renames");
                }
            }
        });
        let scratch = trap.site.outside("scratch");
        let before = trap.site.state();
        for round in 0..12 {
            let way = if round % 2 == 0 { &["--no-backup-check"][..] } else { &[] };
            let mut all = vec!["-q", "restore", text(&path), "--force", "--skip-database"];
            all.extend(["--to-media", text(&scratch)]);
            all.extend(way);
            trap.run(&all);
            if let Ok(found) = fs::read(scratch.join("a/one.txt")) {
                assert_eq!(found, b"one\n", "round {round}");
            }
            assert!(!scratch.join("a/victim").exists(), "round {round}");
            if scratch.exists() {
                fs::remove_dir_all(&scratch).expect("it can be removed");
            }
        }
        ended.store(true, Ordering::Relaxed);
        dalsegno_testkit::assert_same(&before, &trap.site.state());
    });
    assert_eq!(fs::read(outside.join("victim")).expect("it is there"), b"precious");
}
