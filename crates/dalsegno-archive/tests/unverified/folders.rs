//! The folder form without its own files, with changed members and broken lists.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::reading::*;
use crate::support::*;
use dalsegno_archive::{Archive, ArchiveError, ReadError};
use dalsegno_format::{EntryKind, ErrorKind, Form};

fn remove(path: &Path, name: &str) {
    std::fs::remove_file(path.join(name)).unwrap();
}

#[test]
fn a_folder_without_its_own_files_still_restores() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    for gone in [
        &["backup_complete.json"][..],
        &["checksums.sha256"],
        &["backup_complete.json", "checksums.sha256"],
        &["entries.tsv"],
        &["backup_complete.json", "checksums.sha256", "entries.tsv"],
    ] {
        let path = write(folder.path(), Form::Folder, &samples);
        for name in gone {
            remove(&path, name);
        }
        let archive = open(&path);
        assert_eq!(archive.end_is_missing(), gone.contains(&"backup_complete.json"));
        assert_eq!(archive.form(), Form::Folder);
        let (read, report) = salvage(&archive).unwrap();
        assert!(!report.tolerated.is_empty());
        assert_eq!(entries(&archive), paths(&read));
        assert_eq!(paths(&read[1..=samples.len()]), paths(&samples), "{gone:?}");
        let listed = !gone.contains(&"entries.tsv");
        for (found, expected) in read[1..].iter().zip(&samples) {
            let path = &found.entry.path;
            match (&found.entry.kind, &expected.entry.kind) {
                (EntryKind::File { size, .. }, EntryKind::File { size: other, extents }) => {
                    assert_eq!(size, other);
                    assert!(extents.is_some() || found.data == expected.data, "{path}");
                }
                // Without the list a hard link is one more file.
                (EntryKind::File { .. }, EntryKind::HardLink { .. }) if !listed => {
                    assert!(found.data == noise(300_000, 3));
                }
                (found, expected) => assert_eq!(found, expected),
            }
            match found.entry.kind {
                _ if listed => {
                    assert_eq!(found.entry.mode, expected.entry.mode, "{path}");
                    assert_eq!(found.entry.mtime, expected.entry.mtime, "{path}");
                }
                EntryKind::Directory => assert_eq!(found.entry.mode, 0o700, "{path}"),
                EntryKind::File { .. } => assert_eq!(found.entry.mode, 0o600, "{path}"),
                _ => {}
            }
        }
        let database = &archive.completion().databases;
        if archive.end_is_missing() {
            assert_eq!(database["default"].bytes, 27 * 5000);
            assert_eq!(archive.completion().storages["default"].links, 3);
        }
        std::fs::remove_dir_all(&path).unwrap();
    }
    let path = write(folder.path(), Form::Folder, &samples);
    remove(&path, "backup_metadata.json");
    assert!(matches!(Archive::open_unverified(&path), Err(ArchiveError::Damaged { .. })));
    remove(&path, "backup_complete.json");
    assert!(matches!(Archive::open_unverified(&path), Err(ArchiveError::NotAnArchive { .. })));
}

#[test]
fn what_changed_in_a_folder_is_handed_out_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), Form::Folder, &odd_tree());
    std::fs::write(path.join("files/text.csv"), b"shorter").unwrap();
    remove(&path, "files/back\\slash\\n");
    remove(&path, "files/z/noise.bin");
    std::fs::remove_dir(path.join("files/empty-folder")).unwrap();
    std::fs::write(path.join("files/extra"), b"extra").unwrap();
    let lists = path.join("checksums.sha256");
    let mut bytes = std::fs::read(&lists).unwrap();
    bytes[3] = b'g';
    std::fs::write(&lists, bytes).unwrap();
    let (read, report) = salvage(&open(&path)).unwrap();
    let told = tolerated(&report).join("\n");
    let one = |name: &str| read.iter().find(|s| s.entry.path.to_string() == name);
    let changed = one("files/text.csv").unwrap();
    assert_eq!((changed.entry.size(), &changed.data[..]), (Some(7), &b"shorter"[..]));
    assert!(one("files/back\\slash\\n").is_none() && one("files/extra").is_none());
    assert!(one("files/empty-folder").is_some());
    // The other name of the file that is gone still has its bytes.
    let twin = one("files/z/other-name").unwrap();
    assert!(twin.entry.size() == Some(300_000) && twin.data == noise(300_000, 3));
    for expected in [
        "checksums.sha256: it has not the digest",
        "contents of files/text.csv: it has 7 bytes, entries.tsv says 320000",
        "member files/z/noise.bin: it is missing",
        "member files/empty-folder: it is missing",
        "extra files/extra: it does not belong",
    ] {
        assert!(told.contains(expected), "{expected} is not in\n{told}");
    }
}

fn refused(path: &Path) -> String {
    let error = match Archive::open_unverified(path) {
        Err(error) => error,
        Ok(archive) => match salvage(&archive) {
            Err(ReadError::Archive(error)) => error,
            other => panic!("{other:?}"),
        },
    };
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    error.to_string()
}

#[test]
fn the_rules_of_a_tree_hold_in_a_folder_without_lists() {
    let scratch = tempfile::tempdir().unwrap();
    let samples = [folder("files"), folder("files/a"), file("files/a/b", vec![1; 10])];
    let path = write(scratch.path(), Form::Folder, &samples);
    remove(&path, "entries.tsv");
    remove(&path, "backup_complete.json");
    assert_eq!(salvage(&open(&path)).unwrap().0.len(), 5);
    let place = path.join("files/a/c");
    for target in ["/etc/passwd", "../../x", "../../../x"] {
        symlink(target, &place).unwrap();
        assert!(refused(&path).contains("the link leaves its storage"));
        std::fs::remove_file(&place).unwrap();
    }
    run(std::process::Command::new("mkfifo").arg(&place));
    assert!(refused(&path).contains("devices and pipes are refused"));
    std::fs::remove_file(&place).unwrap();
    // What lies beside the tree is not looked at, nor is what a link stands in for.
    std::fs::write(path.join("notes.txt"), b"mine").unwrap();
    assert_eq!(salvage(&open(&path)).unwrap().0.len(), 5);
    std::fs::rename(path.join("files"), scratch.path().join("moved")).unwrap();
    symlink(scratch.path().join("moved"), path.join("files")).unwrap();
    assert!(refused(&path).contains("must be a folder"));
}

#[test]
fn a_list_that_breaks_the_rules_is_not_used() {
    let scratch = tempfile::tempdir().unwrap();
    let samples = [folder("files"), file("files/a", vec![1; 10])];
    let path = write(scratch.path(), Form::Folder, &samples);
    std::fs::set_permissions(path.join("files/a"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let list = std::fs::read_to_string(path.join("entries.tsv")).unwrap();
    for (from, to) in [
        ("\tfiles/a\t", "\t../files/a\t"),
        ("\tfiles/a\t", "\tetc/a\t"),
        ("f\t0644", "l\t0644"),
        ("restore.sh", "restore.sg"),
    ] {
        std::fs::write(path.join("entries.tsv"), list.replacen(from, to, 1)).unwrap();
        let (read, report) = salvage(&open(&path)).unwrap();
        assert_eq!(paths(&read), ["backup_metadata.json", "files", "files/a", "restore.sh"]);
        assert_eq!(read[2].entry.mode, 0o640);
        let told = tolerated(&report).join("\n");
        assert!(told.contains("entries.tsv: it cannot be used"), "{told}");
    }
}
