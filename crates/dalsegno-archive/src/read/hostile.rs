//! Archives made to do harm: sound in every hash, wrong in what they hold.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use dalsegno_format::{EntryKind, Extent, Form, TreePath};

use crate::TreeWriter;
use crate::codec::{Decoder, Encoder, MAX_FRAME};
use crate::index::{Trailer, tail_len};

#[path = "../../tests/support/mod.rs"]
mod support;
use support::*;

fn forge(
    folder: &Path,
    form: Form,
    samples: &[Sample],
    lie: impl FnOnce(&mut dalsegno_format::Completion),
) -> PathBuf {
    let path = archive_path(folder, form);
    let _ = std::fs::remove_file(&path);
    let _ = std::fs::remove_dir_all(&path);
    let mut writer = TreeWriter::create(&path, options(form, folder)).unwrap();
    writer.forging = true;
    writer.add_metadata(&metadata(form)).unwrap();
    for sample in samples {
        add(&mut writer, sample).unwrap();
    }
    let finished = writer.finish(b"exit", |closing| {
        let mut record = completion(closing);
        lie(&mut record);
        record
    });
    finished.unwrap();
    path
}

fn soft(path: &str, target: &str) -> Sample {
    let kind = EntryKind::Symlink { target: target.into() };
    Sample { entry: entry(path, kind, 0o777), data: vec![] }
}

fn hard(path: &str, target: &str) -> Sample {
    let kind = EntryKind::HardLink { target: TreePath::new(target).unwrap() };
    Sample { entry: entry(path, kind, 0o644), data: vec![] }
}

/// Why a backup is refused when it is read without its checks.
fn unverified(path: &Path) -> String {
    let error: Result<(), crate::ArchiveError> =
        crate::Archive::open_unverified(path).and_then(|archive| {
            let read =
                quiet(|watch| archive.read(crate::Check::Unverified, 2, watch, &mut |_| Ok(())));
            match read {
                Err(crate::ReadError::Archive(error)) => Err(error),
                other => panic!("{other:?}"),
            }
        });
    let error = error.unwrap_err();
    assert_eq!(error.kind(), dalsegno_format::ErrorKind::Refused, "{error}");
    error.to_string()
}

#[test]
fn members_that_break_the_rules_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let text = |path: &str| file(path, b"x".to_vec());
    for (samples, expected) in [
        (vec![folder("files"), soft("files/a", "/etc")], "leaves its storage"),
        (vec![folder("files"), soft("files/a", "../b")], "leaves its storage"),
        (vec![folder("files"), soft("files/a", "."), text("files/a/b")], "did not come before"),
        (vec![folder("files"), hard("files/a", "backup_metadata.json")], "leaves its storage"),
        (vec![folder("files"), hard("files/a", "files/b")], "no earlier file"),
        (vec![folder("files"), text("files/a"), text("files/a")], "twice"),
        (vec![folder("files"), text("files/b"), text("files/a")], "out of order"),
        (vec![text("files")], "must be a folder"),
        (vec![folder("etc"), text("etc/passwd")], "belongs at the top"),
        (vec![folder("database"), soft("database/a", "b")], "outside a storage"),
    ] {
        for form in [Form::Tar, Form::TarGz, Form::TarZst] {
            let path = forge(scratch.path(), form, &samples, |_| {});
            let found = findings(&path).join("\n");
            assert!(found.contains(expected), "{form:?} {expected}: {found}");
            let mut seen = Vec::new();
            let error = read_all(&path).map(|(members, _)| seen = members).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(
                match error {
                    crate::ReadError::Archive(error) => error.kind(),
                    crate::ReadError::Visit { .. } => panic!("visited"),
                },
                dalsegno_format::ErrorKind::Refused
            );
            // Without its checks as with them; and the same where the end cannot be used.
            assert!(unverified(&path).contains(expected), "{form:?} {expected}");
            let handle = std::fs::File::options().write(true).open(&path).unwrap();
            handle.set_len(handle.metadata().unwrap().len() - 1).unwrap();
            assert!(unverified(&path).contains(expected), "{form:?} {expected}");
        }
    }
}

#[test]
fn a_folder_whose_list_breaks_the_rules_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let outside = scratch.path().join("outside");
    std::fs::write(&outside, b"secret").unwrap();
    let path =
        forge(scratch.path(), Form::Folder, &[folder("files"), soft("files/a", "/etc")], |_| {});
    assert!(findings(&path).join("\n").contains("leaves its storage"));
    assert!(read_all(&path).is_err());
    assert!(unverified(&path).contains("leaves its storage"));
    std::fs::remove_file(path.join("backup_complete.json")).unwrap();
    assert!(unverified(&path).contains("leaves its storage"));
    // A folder that has become a link is not followed.
    let path = archive_path(&scratch.path().join("second"), Form::Folder);
    std::fs::create_dir(scratch.path().join("second")).unwrap();
    write_with(&path, &metadata(Form::Folder), &[folder("files"), file("files/a", vec![1])]);
    std::fs::rename(path.join("files"), scratch.path().join("real")).unwrap();
    std::os::unix::fs::symlink(scratch.path().join("real"), path.join("files")).unwrap();
    let found = findings(&path).join("\n");
    assert!(found.contains("member files/a: it, or a folder above it"), "{found}");
    assert!(read_all(&path).is_err());
}

#[test]
fn counts_that_lie_are_found() {
    let scratch = tempfile::tempdir().unwrap();
    let samples = [folder("files"), file("files/a", vec![7; 5000])];
    for form in Form::ALL {
        for bytes in [0, 1, u64::MAX] {
            let path = forge(scratch.path(), form, &samples, |record| record.bytes = bytes);
            assert!(findings(&path).join("\n").contains("it announces"), "{form:?} {bytes}");
            assert!(read_all(&path).is_err());
        }
        for members in [0, 3, 6, 8, u64::MAX] {
            let path = forge(scratch.path(), form, &samples, |record| record.members = members);
            assert!(!findings(&path).is_empty(), "{form:?} {members}");
            assert!(read_all(&path).is_err());
        }
    }
}

#[test]
fn a_trailer_that_lies_is_found() {
    let scratch = tempfile::tempdir().unwrap();
    let samples = [folder("files"), file("files/a", noise(50_000, 1))];
    for form in [Form::Tar, Form::TarGz, Form::TarZst] {
        let path = write(scratch.path(), form, &samples);
        let length = path.metadata().unwrap().len();
        let at = length - tail_len(form) as u64;
        let handle = std::fs::File::options().read(true).write(true).open(&path).unwrap();
        let mut tail = vec![0; tail_len(form)];
        handle.read_exact_at(&mut tail, at).unwrap();
        let honest = Trailer::read(form, &tail).unwrap().unwrap();
        let lies: [fn(&mut Trailer); 15] = [
            |t| t.file_len += 1,
            |t| t.tar_len += 512,
            |t| t.frames += 1,
            |t| t.frames = u64::MAX,
            |t| t.frames = 0,
            |t| t.members += 1,
            |t| t.members = u64::MAX,
            |t| t.manifest.offset += 1,
            |t| t.manifest.offset = u64::MAX,
            |t| t.manifest.frame.length += 1,
            |t| t.root.offset -= 1,
            |t| t.root.frame.hash ^= 1,
            |t| t.manifest_sha256[0] ^= 1,
            |t| t.tables_sha256[31] ^= 1,
            |t| t.closing.frame.length = 16 << 20,
        ];
        for (n, lie) in lies.into_iter().enumerate() {
            let mut trailer = honest.clone();
            lie(&mut trailer);
            handle.write_all_at(&trailer.tail(), at).unwrap();
            assert!(!findings(&path).is_empty(), "{form:?} lie {n}");
            assert!(read_all(&path).is_err(), "{form:?} lie {n}");
        }
        handle.write_all_at(&honest.tail(), at).unwrap();
        assert_eq!(findings(&path), [""; 0]);
    }
}

#[test]
fn bombs_stay_in_their_frame() {
    let zeros = vec![0; MAX_FRAME];
    for form in [Form::TarGz, Form::TarZst] {
        let mut stored = Vec::new();
        Encoder::new(form, None).unwrap().encode_one(&zeros, &mut stored).unwrap();
        let mut decoder = Decoder::new(form).unwrap();
        let mut out = Vec::new();
        for announced in [0, 1, 1000, MAX_FRAME - 1] {
            assert!(decoder.decode(&stored, announced, &mut out).is_err(), "{announced}");
            assert!(out.capacity() <= 2 * MAX_FRAME);
        }
        assert!(decoder.decode(&stored, MAX_FRAME + 1, &mut out).is_err());
        decoder.decode(&stored, MAX_FRAME, &mut out).unwrap();
    }
}

/// A header that no other crate's tar writer would object to, in place of a member of the tree.
#[test]
fn paths_outside_and_devices_are_never_handed_out() {
    let scratch = tempfile::tempdir().unwrap();
    let samples = [folder("files"), file("files/victim", vec![7; 600]), file("files/w", vec![8])];
    let path = write(scratch.path(), Form::Tar, &samples);
    let good = std::fs::read(&path).unwrap();
    let name = format!("{NAME}/files/victim\0");
    let at = (0..good.len() / 512)
        .map(|n| n * 512)
        .rfind(|&at| good[at..].starts_with(name.as_bytes()))
        .unwrap();
    let lies: [fn(&mut [u8]); 4] = [
        |head| head[..13].copy_from_slice(b"/etc/victim\0\0"),
        |head| head[NAME.len()..NAME.len() + 13].copy_from_slice(b"/../../victim"),
        |head| head[156] = b'3',
        |head| head[156] = b'6',
    ];
    for lie in lies {
        for cut in [0, 100] {
            let mut bad = good.clone();
            // The extended header with the time goes too: a plain header is one of its own.
            lie(&mut bad[at..at + 512]);
            bad[at + 148..at + 156].copy_from_slice(b"        ");
            let sum: u32 = bad[at..at + 512].iter().map(|&b| u32::from(b)).sum();
            bad[at + 148..at + 156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            bad.truncate(good.len() - cut);
            std::fs::write(&path, &bad).unwrap();
            let archive = crate::Archive::open_unverified(&path).unwrap();
            let mut seen = Vec::new();
            let report = quiet(|watch| {
                archive.read(crate::Check::Unverified, 2, watch, &mut |member| {
                    seen.push(member.entry.path.to_string());
                    Ok(())
                })
            });
            let told = report.unwrap().tolerated;
            assert!(!told.is_empty());
            // Where the index tells the places of the others, they still come.
            let after = if cut == 0 { &["files/w", "restore.sh"][..] } else { &[] };
            let expected = [&["backup_metadata.json", "files"][..], after].concat();
            assert_eq!(seen, expected, "{told:?}");
        }
    }
}

#[test]
fn a_huge_hole_can_be_cancelled() {
    let scratch = tempfile::tempdir().unwrap();
    let path = archive_path(scratch.path(), Form::TarZst);
    let mut writer = TreeWriter::create(&path, options(Form::TarZst, scratch.path())).unwrap();
    writer.add_metadata(&metadata(Form::TarZst)).unwrap();
    add(&mut writer, &folder("files")).unwrap();
    let kind =
        EntryKind::File { size: 1 << 45, extents: Some(vec![Extent { offset: 9, length: 1 }]) };
    let bomb = entry("files/bomb", kind, 0o600);
    let content = crate::Content::Bytes { data: b"x", sha256: Some([0; 32]) };
    writer.add_file(&bomb, content).unwrap();
    writer.finish(b"", completion).unwrap();
    let start = std::time::Instant::now();
    let mut progress = |_| {};
    let cancelled = || start.elapsed().as_millis() > 200;
    let watch = &mut crate::Watch { progress: &mut progress, cancelled: &cancelled };
    let result = crate::verify(&path, 1, watch);
    assert!(matches!(result, Err(crate::ArchiveError::Cancelled)), "{result:?}");
    assert!(start.elapsed().as_secs() < 20);
}
