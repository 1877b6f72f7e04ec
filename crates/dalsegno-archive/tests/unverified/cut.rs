//! Tar forms that end too early, or whose end is damaged.

use crate::reading::*;
use crate::support::*;
use dalsegno_archive::{Archive, ArchiveError, Check, ReadError};
use dalsegno_format::{Form, Outcome, TreePath};

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
