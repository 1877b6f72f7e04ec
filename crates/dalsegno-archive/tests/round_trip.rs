//! What goes in comes out, for us and for the programs everybody has.

#![allow(clippy::unnecessary_debug_formatting, reason = "odd names are shown escaped")]
#![allow(clippy::unwrap_used, reason = "tests end where something is not as expected")]

mod support;

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use dalsegno_archive::{Archive, MAX_EXTENTS, TreeWriter};
use dalsegno_format::{EntryKind, Form, Timestamp, TreePath};
use support::*;

#[test]
fn all_forms_give_back_what_they_took() {
    let folder = tempfile::tempdir().unwrap();
    let mut samples = odd_tree();
    samples.push(file("storages/private/z-big", [noise(9 << 20, 5), vec![7; 12 << 20]].concat()));
    for form in Form::ALL {
        let path = write(folder.path(), form, &samples);
        let (read, report) = read_all(&path).unwrap();
        assert_eq!(read[0].entry.path.as_bytes(), b"backup_metadata.json");
        assert_eq!(read.len(), samples.len() + 2);
        assert_eq!(read.last().unwrap().entry.path.as_bytes(), b"restore.sh", "{form:?}");
        for (expected, found) in samples.iter().zip(&read[1..]) {
            assert_eq!(found.entry, expected.entry, "{form:?}");
            assert!(found.data == expected.data, "{form:?} {:?}", expected.entry.path);
        }
        let archive = Archive::open(&path).unwrap();
        assert_eq!(report.members, archive.completion().members, "{form:?}");
        assert_eq!(report.bytes, archive.completion().bytes, "{form:?}");
        assert_eq!(findings(&path), [""; 0], "{form:?}");
        let listed: Vec<_> = archive.entries().unwrap().map(|e| e.unwrap().0.path).collect();
        assert_eq!(listed.len() as u64 + 3, archive.completion().members);
    }
}

#[test]
fn one_member_alone() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    for form in Form::ALL {
        let path = write(folder.path(), form, &samples);
        let archive = Archive::open(&path).unwrap();
        for sample in &samples {
            let EntryKind::File { size, extents } = &sample.entry.kind else { continue };
            let mut found = Vec::new();
            let mut reader = archive.open_member(&sample.entry.path).unwrap();
            std::io::Read::read_to_end(&mut reader, &mut found).unwrap();
            let mut expected = vec![0; usize::try_from(*size).unwrap()];
            let mut data = &sample.data[..];
            match extents {
                None => expected.copy_from_slice(data),
                Some(extents) => {
                    for extent in extents {
                        let length = usize::try_from(extent.length).unwrap();
                        let at = usize::try_from(extent.offset).unwrap();
                        expected[at..at + length].copy_from_slice(&data[..length]);
                        data = &data[length..];
                    }
                }
            }
            assert!(found == expected, "{form:?} {:?}", sample.entry.path);
        }
        let link = TreePath::new("files/z/other-name").unwrap();
        let mut found = Vec::new();
        std::io::Read::read_to_end(&mut archive.open_member(&link).unwrap(), &mut found).unwrap();
        assert!(found == noise(300_000, 3));
        for missing in ["files/nothing", "files", "files/z/to-parent"] {
            assert!(archive.open_member(&TreePath::new(missing).unwrap()).is_err(), "{missing}");
        }
    }
}

/// Compares an extracted tree with the samples, times, modes and holes included.
fn compare(root: &Path, samples: &[Sample]) {
    for sample in samples {
        let path = root.join(std::ffi::OsStr::from_bytes(sample.entry.path.as_bytes()));
        let meta = path.symlink_metadata().unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let entry = &sample.entry;
        let time =
            Timestamp { secs: meta.mtime(), nanos: u32::try_from(meta.mtime_nsec()).unwrap() };
        match &entry.kind {
            EntryKind::Symlink { target } => {
                let found = std::fs::read_link(&path).unwrap();
                assert_eq!(found.as_os_str().as_bytes(), target);
                assert_eq!(time, entry.mtime, "{path:?}");
                continue;
            }
            EntryKind::HardLink { target } => {
                let other = root.join(std::ffi::OsStr::from_bytes(target.as_bytes()));
                assert_eq!(meta.ino(), other.symlink_metadata().unwrap().ino());
                continue;
            }
            EntryKind::File { size, extents } => {
                assert_eq!(meta.len(), *size, "{path:?}");
                if extents.is_some() {
                    assert!(meta.blocks() * 512 < *size / 2, "{path:?} has no holes");
                }
            }
            EntryKind::Directory => assert!(meta.is_dir()),
        }
        assert_eq!(meta.permissions().mode() & 0o7777, entry.mode, "{path:?}");
        assert_eq!(time, entry.mtime, "{path:?}");
    }
}

#[test]
fn ordinary_programs_read_the_tar_forms() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    for form in TARS {
        let path = write(folder.path(), form, &samples);
        match form {
            Form::TarGz => drop(run(Command::new("gzip").arg("-t").arg(&path))),
            Form::TarZst => drop(run(Command::new("zstd").args(["-q", "-t"]).arg(&path))),
            _ => {}
        }
        let out = folder.path().join(format!("out-{}", form.name()));
        std::fs::create_dir(&out).unwrap();
        let said = run(Command::new("tar").arg("-xpf").arg(&path).arg("-C").arg(&out));
        let odd = said.lines().filter(|line| !line.contains("implausibly old time stamp"));
        assert_eq!(odd.count(), 0, "{said}");
        let root = out.join(NAME);
        compare(&root, &samples);
        let said = run(Command::new("sha256sum")
            .args(["--strict", "--quiet", "-c", "checksums.sha256"])
            .current_dir(&root));
        assert_eq!(said, "");
        let listed = run(Command::new("tar").arg("-tf").arg(&path));
        assert!(
            listed.ends_with("backup_complete.json\nbackup_20261120_030000/backup_index.bin\n")
        );
    }
}

#[test]
fn an_extracted_tar_is_a_backup_in_folder_form() {
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    for form in TARS {
        let path = write(folder.path(), form, &samples);
        let out = folder.path().join(format!("out-{}", form.name()));
        std::fs::create_dir(&out).unwrap();
        run(Command::new("tar").arg("-xpf").arg(&path).arg("-C").arg(&out));
        let root = out.join(NAME);
        assert!(root.join("backup_index.bin").is_file());
        assert_eq!(findings(&root), [""; 0], "{form:?}");
        let archive = Archive::open(&root).unwrap();
        assert_eq!((archive.form(), archive.metadata().form), (Form::Folder, form));
        assert_eq!(Archive::peek(&root).unwrap().form, Form::Folder);
        assert_eq!(archive.entries().unwrap().flatten().count(), samples.len() + 2);
        let (read, report) = read_all(&root).unwrap();
        assert_eq!(report.members, archive.completion().members);
        assert_eq!(read.len(), samples.len() + 2);
        for (expected, found) in samples.iter().zip(&read[1..]) {
            assert_eq!(found.entry.path, expected.entry.path);
            assert_eq!(found.entry.mode, expected.entry.mode);
            assert_eq!(found.entry.mtime, expected.entry.mtime);
        }
        // Only a file of that name, and only at the top.
        let index = root.join("backup_index.bin");
        std::fs::copy(&index, root.join("files/backup_index.bin")).unwrap();
        let extra = ["extra files/backup_index.bin: it does not belong to the backup"];
        assert_eq!(findings(&root), extra);
        std::fs::remove_file(root.join("files/backup_index.bin")).unwrap();
        std::fs::remove_file(&index).unwrap();
        std::fs::create_dir(&index).unwrap();
        assert_eq!(findings(&root), ["extra backup_index.bin: it does not belong to the backup"]);
    }
}

#[test]
fn python_reads_the_tar_forms() {
    const SCRIPT: &str = r"
import sys, tarfile, json
with tarfile.open(sys.argv[1]) as tar:
    for m in tar:
        print(m.type.decode(), oct(m.mode), m.size, m.uid, ascii(m.name), ascii(m.linkname), m.mtime, m.issparse())
";
    let folder = tempfile::tempdir().unwrap();
    let samples = odd_tree();
    for form in [Form::Tar, Form::TarGz] {
        let path = write(folder.path(), form, &samples);
        let listed = run(Command::new("python3").args(["-c", SCRIPT]).arg(&path));
        assert_eq!(listed.lines().count(), samples.len() + 7, "{listed}");
        for part in [
            "0o644 7 0 'backup_20261120_030000/files/a\\nb'",
            "0o600 3145728 0 'backup_20261120_030000/files/z/sparse' '' 1600000000.1234567 True",
            "'backup_20261120_030000/files/bad-\\udcff\\udce9'",
            "1 0o640 0 0 'backup_20261120_030000/files/z/other-name' 'backup_20261120_030000/files/z/noise.bin'",
            "-1.000000001",
        ] {
            assert!(listed.contains(part), "{part} is not in\n{listed}");
        }
    }
}

#[test]
fn gnu_tar_reads_numbers_that_fit_no_field() {
    let folder = tempfile::tempdir().unwrap();
    let mut big = file("files/owned", b"x".to_vec());
    (big.entry.uid, big.entry.gid) = (2_097_152, 4_000_000_000);
    big.entry.user = "k\u{f6}nig".into();
    let path = write(folder.path(), Form::Tar, &[folder_sample(), big.clone()]);
    let listed = run(Command::new("tar").args(["--numeric-owner", "-tvf"]).arg(&path));
    assert!(listed.contains("2097152/4000000000"), "{listed}");
    assert_eq!(read_all(&path).unwrap().0[2], big);
}

fn folder_sample() -> Sample {
    folder("files")
}

#[test]
fn the_folder_form_is_private_and_dated() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), Form::Folder, &odd_tree());
    let mode = |p: &Path| p.symlink_metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&path), 0o750);
    assert_eq!(mode(&path.join("files")), 0o700);
    assert_eq!(mode(&path.join("files/text.csv")), 0o600);
    let meta = path.metadata().unwrap();
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (MTIME.secs, i64::from(MTIME.nanos)));
    let said = run(Command::new("sha256sum")
        .args(["--strict", "--quiet", "-c", "checksums.sha256"])
        .current_dir(&path));
    assert_eq!(said, "");
    let sparse = path.join("files/z/sparse").metadata().unwrap();
    assert!(sparse.blocks() * 512 < 100_000, "{}", sparse.blocks());
}

#[test]
fn a_look_at_a_backup_reads_little() {
    let folder = tempfile::tempdir().unwrap();
    let samples: Vec<Sample> = std::iter::once(folder_sample())
        .chain((0..3000).map(|n| file(format!("files/{n:05}"), noise(2000, n))))
        .collect();
    for form in Form::ALL {
        let path = write(folder.path(), form, &samples);
        let peek = Archive::peek(&path).unwrap();
        assert_eq!((peek.form, peek.from_sidecar), (form, false));
        assert!(peek.bytes_read < 16 * 1024, "{form:?}: {}", peek.bytes_read);
        let archive = Archive::open(&path).unwrap();
        assert_eq!(peek.manifest, *archive.manifest());
        assert_eq!(peek.stored_bytes, archive.stored_bytes());
        if form == Form::Folder {
            continue;
        }
        let sidecar = dalsegno_archive::sidecar::rebuild(&path).unwrap();
        assert_eq!(
            sidecar,
            path.with_file_name(format!("{NAME}{}.manifest.json", form.extension()))
        );
        assert_eq!(std::fs::read(&sidecar).unwrap(), archive.manifest().to_json());
        let peek = Archive::peek(&path).unwrap();
        assert!(peek.from_sidecar && peek.bytes_read < 16 * 1024);
        std::fs::write(&sidecar, b"{}").unwrap();
        let peek = Archive::peek(&path).unwrap();
        assert!(!peek.from_sidecar);
        assert_eq!(findings(&path), ["sidecar: it does not belong to this archive"]);
    }
}

#[test]
fn an_aborted_or_dropped_writer_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for form in Form::ALL {
        let path = archive_path(folder.path(), form);
        let mut writer = TreeWriter::create(&path, options(form, folder.path())).unwrap();
        writer.add_metadata(&metadata(form)).unwrap();
        for sample in odd_tree() {
            add(&mut writer, &sample).unwrap();
        }
        assert!(path.exists());
        writer.abort();
        assert!(!path.exists(), "{form:?}");
        // Neither does it take what is already there.
        std::fs::write(&path, b"mine").unwrap();
        assert!(TreeWriter::create(&path, options(form, folder.path())).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
        assert!(TreeWriter::create(&path, options(form, folder.path())).is_err());
        assert!(!folder.path().join("elsewhere").exists());
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn too_many_holes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = archive_path(folder.path(), Form::Tar);
    let mut writer = TreeWriter::create(&path, options(Form::Tar, folder.path())).unwrap();
    writer.add_metadata(&metadata(Form::Tar)).unwrap();
    writer.add(&folder_sample().entry).unwrap();
    let extents: Vec<_> = (0..=MAX_EXTENTS as u64)
        .map(|n| dalsegno_format::Extent { offset: n * 2, length: 1 })
        .collect();
    let kind = EntryKind::File { size: 1 << 30, extents: Some(extents) };
    let sample = Sample { entry: entry("files/x", kind, 0o600), data: vec![0; MAX_EXTENTS + 1] };
    assert!(add(&mut writer, &sample).is_err());
}
