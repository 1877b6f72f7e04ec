//! What can be had from a backup that is not whole.

#![allow(clippy::unwrap_used, reason = "tests end where something is not as expected")]

mod support;

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use dalsegno_archive::{Archive, ArchiveError, Check, MemberContent, ReadError, ReadReport};
use dalsegno_format::{EntryKind, ErrorKind, Form, Outcome, TreePath};
use support::*;

const TARS: [Form; 3] = [Form::Tar, Form::TarGz, Form::TarZst];

fn salvage(archive: &Archive) -> Result<(Vec<Sample>, ReadReport), ReadError> {
    read_members(archive, Check::Unverified)
}

fn tolerated(report: &ReadReport) -> Vec<String> {
    report.tolerated.iter().map(ToString::to_string).collect()
}

fn open(path: &Path) -> Archive {
    let archive = Archive::open_unverified(path).unwrap();
    assert!(archive.is_unverified());
    archive
}

fn entries(archive: &Archive) -> Vec<String> {
    archive.entries().unwrap().map(|entry| entry.unwrap().0.path.to_string()).collect()
}

fn paths(samples: &[Sample]) -> Vec<String> {
    samples.iter().map(|sample| sample.entry.path.to_string()).collect()
}

/// What came is the beginning of what was written.
fn assert_begins(read: &[Sample], samples: &[Sample]) {
    for (found, expected) in read[1..].iter().zip(samples) {
        assert_eq!(found.entry, expected.entry);
        assert!(found.data == expected.data, "{}", found.entry.path);
    }
}

fn tree_of_many() -> Vec<Sample> {
    let mut samples = odd_tree();
    for n in 0..60 {
        samples.push(file(format!("storages/private/x{n:02}"), noise(9000, n + 50)));
    }
    samples
}

#[test]
fn a_whole_backup_comes_whole() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    for form in Form::ALL {
        let path = write(folder.path(), form, &samples);
        let archive = open(&path);
        assert!(!archive.end_is_missing());
        assert_eq!(archive.manifest(), Archive::open(&path).unwrap().manifest());
        let (read, report) = salvage(&archive).unwrap();
        assert_eq!(tolerated(&report), [""; 0]);
        assert_eq!((read, report), read_all(&path).unwrap());
    }
}

#[test]
fn a_shortened_archive_gives_what_lies_before_the_cut() {
    let folder = tempfile::tempdir().unwrap();
    let samples = tree_of_many();
    for form in TARS {
        let path = write(folder.path(), form, &samples);
        let good = std::fs::read(&path).unwrap();
        for tenth in 1..10 {
            std::fs::write(&path, &good[..good.len() * tenth / 10]).unwrap();
            assert!(Archive::open(&path).is_err());
            let archive = open(&path);
            assert!(archive.end_is_missing());
            assert_eq!(archive.form(), form);
            assert_eq!(archive.completion().outcome, Outcome::Partial);
            let (read, report) = salvage(&archive).unwrap();
            assert_begins(&read, &samples);
            assert_eq!(entries(&archive), paths(&read));
            assert_eq!(report.members, read.len() as u64);
            assert_eq!(archive.completion().members, report.members);
            assert!(!report.tolerated.is_empty());
            let expected: usize = samples.iter().map(|sample| sample.data.len()).sum();
            let found: usize = read[1..].iter().map(|sample| sample.data.len()).sum();
            assert!(
                found + 500_000 > expected * tenth / 10,
                "{form:?} {tenth}: {found} of {expected}"
            );
            let held = archive.completion().databases.get("default").map_or(0, |d| d.bytes);
            let database = read.iter().find(|s| s.entry.path.to_string().ends_with("sqlite3"));
            assert_eq!(held, database.map_or(0, |d| d.data.len() as u64));
            // With all checks it is what it was before.
            let error = quiet(|watch| archive.read(Check::Full, 1, watch, &mut |_| Ok(())));
            assert!(matches!(error, Err(ReadError::Archive(ArchiveError::NoCompletion { .. }))));
        }
    }
}

#[test]
fn a_damaged_end_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    for form in TARS {
        let path = write(folder.path(), form, &samples);
        let good = std::fs::read(&path).unwrap();
        let whole = read_all(&path).unwrap().0;
        let manifest = Archive::open(&path).unwrap().manifest().clone();
        // The trailer names the first byte of the index.
        let trailer = good.windows(8).rposition(|part| part == b"DALSEGNO").unwrap();
        let index = u64::from_le_bytes(*good[trailer + 48..].first_chunk().unwrap());
        for place in (usize::try_from(index).unwrap()..good.len()).step_by(157) {
            let mut bad = good.clone();
            bad[place] ^= 0x20;
            std::fs::write(&path, &bad).unwrap();
            let archive = open(&path);
            assert!(!archive.end_is_missing(), "{form:?} {place}");
            assert_eq!(archive.manifest(), &manifest, "{form:?} {place}");
            let (read, report) = salvage(&archive).unwrap();
            assert!(read == whole, "{form:?} {place} {} {report:?}", read.len());
            assert_eq!(entries(&archive), paths(&whole));
        }
    }
}

#[test]
fn a_flipped_byte_of_a_content_is_handed_out_and_named() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing compresses: each form stores the bytes as they are.
    let samples = [
        support::folder("files"),
        file("files/a", noise(400_000, 1)),
        file("files/b", noise(1_500_000, 2)),
        file("files/c", noise(9000, 3)),
    ];
    for form in Form::ALL {
        for (number, name) in [(1, "files/a"), (2, "files/b"), (3, "files/c")] {
            let path = write(folder.path(), form, &samples);
            let target = if form == Form::Folder { path.join(name) } else { path.clone() };
            let mut bytes = std::fs::read(&target).unwrap();
            let middle = &samples[number].data[5000..5032];
            let at = bytes.windows(32).position(|part| part == middle).unwrap();
            bytes[at] ^= 4;
            std::fs::write(&target, &bytes).unwrap();
            // With a sound end, and without.
            for cut in [false, true] {
                if cut && form != Form::Folder {
                    std::fs::write(&target, &bytes[..bytes.len() - 9]).unwrap();
                } else if cut {
                    std::fs::remove_file(path.join("backup_complete.json")).unwrap();
                }
                let (read, report) = salvage(&open(&path)).unwrap();
                assert_eq!(read.len(), samples.len() + 2);
                let mut expected = samples[number].data.clone();
                expected[5000] ^= 4;
                assert!(read[number + 1].data == expected, "{form:?} {name}");
                let named = format!("contents of {name}: it has not the SHA-256");
                let told = tolerated(&report);
                assert!(told.iter().any(|t| t.starts_with(&named)), "{form:?} {told:?}");
            }
            if form == Form::Folder {
                std::fs::remove_dir_all(&path).unwrap();
            }
            let _ = std::fs::remove_file(&path);
        }
    }
}

#[test]
fn no_flipped_bit_is_handed_out_unnamed() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = vec![support::folder("files")];
    for n in 0..20 {
        samples.push(file(format!("files/{n:02}a"), noise(3000, n)));
        samples.push(file(format!("files/{n:02}b"), b"words and ".repeat(300)));
    }
    for form in TARS {
        let path = write(folder.path(), form, &samples);
        let good = std::fs::read(&path).unwrap();
        for n in 0..150 {
            let place = 10 + n * (good.len() - 10) / 150;
            let mut bad = good.clone();
            bad[place] ^= 1 << (n % 8);
            std::fs::write(&path, &bad).unwrap();
            let Ok(archive) = Archive::open_unverified(&path) else {
                panic!("{form:?} byte {place}")
            };
            let (read, report) = salvage(&archive).unwrap();
            let told = tolerated(&report).join("\n");
            for found in &read {
                let path = &found.entry.path;
                let Some(written) = samples.iter().find(|s| s.entry.path == *path) else {
                    continue;
                };
                let named = told.contains(&format!("contents of {path}: "));
                assert!(found.data == written.data || named, "{form:?} {place} {path}: {told}");
                assert_eq!(found.entry, written.entry);
            }
            let all = read.len() == samples.len() + 2;
            assert!(all || !told.is_empty(), "{form:?} byte {place}");
        }
    }
}

#[test]
fn a_lost_frame_costs_its_members_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = vec![support::folder("files")];
    for n in 10..30 {
        samples.push(support::folder(format!("files/{n}")));
        samples.push(file(format!("files/{n}/text"), b"some text\n".repeat(50_000 + n)));
        samples.push(file(format!("files/{n}/z"), vec![b'z'; 100]));
    }
    for form in [Form::TarGz, Form::TarZst] {
        let path = write(folder.path(), form, &samples);
        let mut bytes = std::fs::read(&path).unwrap();
        let magic: &[u8] =
            if form == Form::TarGz { &[0x1f, 0x8b, 8, 0] } else { &[0x28, 0xb5, 0x2f, 0xfd] };
        let starts: Vec<usize> =
            (0..bytes.len()).filter(|&at| bytes[at..].starts_with(magic)).collect();
        // The second frame of `files`, which holds none of the lists.
        let at = starts[2];
        bytes[at + 12..at + 60].fill(0xff);
        std::fs::write(&path, &bytes).unwrap();
        let (read, report) = salvage(&open(&path)).unwrap();
        let told = tolerated(&report);
        assert!(told.iter().any(|t| t.starts_with("frame 2 at byte ")), "{told:?}");
        let found = paths(&read);
        assert_eq!(found.first().unwrap(), "backup_metadata.json");
        assert_eq!(found.last().unwrap(), "restore.sh");
        for sample in &samples {
            let path = sample.entry.path.to_string();
            if let Some(found) = read.iter().find(|s| s.entry.path == sample.entry.path) {
                assert!(found.data == sample.data, "{path}");
            } else {
                assert!(sample.entry.size().is_some(), "{path}");
                assert!(told.iter().any(|t| t.contains(&format!(" of {path}:"))), "{told:?}");
            }
        }
        assert!(found.len() < samples.len() + 2 && found.len() > samples.len() / 2, "{found:?}");
    }
}

#[test]
fn a_damaged_top_header_or_folder_header_costs_no_other_member() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    let path = write(folder.path(), Form::Tar, &samples);
    let good = std::fs::read(&path).unwrap();
    let whole = read_all(&path).unwrap().0;
    let head = |name: &str| {
        let name = format!("{NAME}{name}\0");
        (0..good.len() / 512)
            .map(|n| n * 512)
            .find(|&at| good[at..].starts_with(name.as_bytes()))
            .unwrap()
    };
    for (name, shown) in [
        ("/", "header of the top folder"),
        ("/files/", "header of files"),
        ("/files/z/to-parent", "header of files/z/to-parent"),
    ] {
        let mut bad = good.clone();
        bad[head(name) + 105] ^= 1;
        std::fs::write(&path, &bad).unwrap();
        let found = findings(&path);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().any(|f| f.starts_with("frame ")), "{found:?}");
        let (read, report) = salvage(&open(&path)).unwrap();
        assert!(tolerated(&report).iter().any(|t| t.starts_with(shown)), "{report:?}");
        // What has no content comes from the list.
        assert!(read == whole, "{name}");
    }
    let mut bad = good.clone();
    bad[head("/files/z/noise.bin") + 105] ^= 1;
    std::fs::write(&path, &bad).unwrap();
    let (read, report) = salvage(&open(&path)).unwrap();
    let told = tolerated(&report);
    assert!(
        told.contains(&"header of files/z/noise.bin: the header is not as it was written".into())
    );
    // Nor does a link come to a file that does not.
    let link = "member files/z/other-name: the hard link names no earlier file";
    assert!(told.contains(&link.into()), "{told:?}");
    assert_eq!(read.len(), whole.len() - 2);
}

#[test]
fn a_streamed_content_that_is_lost_is_an_error_of_the_stream() {
    let folder = tempfile::tempdir().unwrap();
    let big = b"a line of text that compresses\n".repeat(200_000);
    let samples = [support::folder("files"), file("files/a", big), file("files/b", vec![1; 9])];
    let path = write(folder.path(), Form::TarZst, &samples);
    let mut bytes = std::fs::read(&path).unwrap();
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let third = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(&magic)).nth(2).unwrap();
    bytes[third] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let archive = open(&path);
    match salvage(&archive) {
        Err(ReadError::Visit { path, source }) => {
            assert_eq!(path.to_string(), "files/a");
            assert!(source.to_string().contains("damaged frame"), "{source}");
        }
        other => panic!("{other:?}"),
    }
    // Whoever goes on past it gets the rest.
    let mut seen = Vec::new();
    let report = quiet(|watch| {
        archive.read(Check::Unverified, 2, watch, &mut |member| {
            let mut whole = true;
            if let MemberContent::Stream(stream) = member.content {
                whole = std::io::copy(stream, &mut std::io::sink()).is_ok();
            }
            seen.push((member.entry.path.to_string(), whole));
            Ok(())
        })
    });
    let report = report.unwrap();
    assert!(seen.contains(&("files/a".to_owned(), false)));
    assert!(seen.contains(&("files/b".to_owned(), true)));
    assert!(tolerated(&report).contains(&"contents of files/a: it lies in a damaged frame".into()));
}

#[test]
fn flipped_lists_do_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    let path = write(folder.path(), Form::Tar, &samples);
    let good = std::fs::read(&path).unwrap();
    let whole = read_all(&path).unwrap().0;
    for (list, text) in [
        ("entries.tsv", &b"\tfiles/text.csv\t"[..]),
        ("checksums.sha256", b"  files/text.csv\n"),
        ("checksums.sha256", b"\n"),
    ] {
        // The list's own copy of the text is the last but for the index.
        let mut bad = good.clone();
        let head = format!("{NAME}/{list}\0");
        let from = (0..bad.len() / 512)
            .map(|n| n * 512)
            .rfind(|&at| bad[at..].starts_with(head.as_bytes()))
            .unwrap();
        let at = (from + 512..bad.len()).find(|&at| bad[at..].starts_with(text)).unwrap();
        bad[at] ^= 2;
        std::fs::write(&path, &bad).unwrap();
        let archive = open(&path);
        assert!(!archive.end_is_missing());
        let (read, report) = salvage(&archive).unwrap();
        assert!(read == whole, "{list}");
        assert_eq!(entries(&archive), paths(&whole));
        assert!(tolerated(&report).iter().any(|t| t.starts_with(list)), "{report:?}");
    }
}

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

#[test]
fn one_member_of_a_shortened_archive() {
    let folder = tempfile::tempdir().unwrap();
    let samples = tree_of_many();
    for form in TARS {
        let path = write(folder.path(), form, &samples);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, &good[..good.len() * 9 / 10]).unwrap();
        let archive = open(&path);
        let mut found = Vec::new();
        let wanted = TreePath::new("files/z/noise.bin").unwrap();
        archive.open_member(&wanted).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == noise(300_000, 3), "{form:?}");
        let gone = TreePath::new("storages/private/x59").unwrap();
        assert!(matches!(archive.open_member(&gone), Err(ArchiveError::NoMember { .. })));
    }
}

#[test]
fn what_is_no_backup_stays_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar.gz");
    for bytes in [&b""[..], b"text", &noise(100_000, 1), &[0x1f, 0x8b, 8, 0, 0, 0]] {
        std::fs::write(&path, bytes).unwrap();
        assert!(Archive::open_unverified(&path).is_err());
    }
    assert!(Archive::open_unverified(&folder.path().join("nothing")).is_err());
    assert!(Archive::open_unverified(folder.path()).is_err());
}
