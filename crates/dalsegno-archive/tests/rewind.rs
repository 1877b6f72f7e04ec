//! Content that is not what was announced, limits, and marks.

#![allow(clippy::unnecessary_debug_formatting, reason = "odd names are shown escaped")]
#![allow(clippy::unwrap_used, reason = "tests end where something is not as expected")]

mod support;

use std::io::{self, Read};

use dalsegno_archive::{ArchiveError, Content, TreeWriter, restore_script};
use dalsegno_format::{ErrorKind, Form};
use support::*;

struct Broken;
impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("unreadable"))
    }
}

#[test]
fn a_rewound_tree_is_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    let start = [support::folder("files"), file("files/a", noise(700_000, 1))];
    let late = file("files/m", noise(5 << 20, 2));
    let end = file("files/z", b"end".to_vec());
    for form in Form::ALL {
        let straight = archive_path(folder.path(), form);
        write_with(
            &straight,
            &metadata(form),
            &[start[0].clone(), start[1].clone(), late.clone(), end.clone()],
        );
        let path = folder.path().join(format!("again{}", form.extension()));
        let mut writer = TreeWriter::create(&path, options(form, folder.path())).unwrap();
        writer.add_metadata(&metadata(form)).unwrap();
        for sample in &start {
            add(&mut writer, sample).unwrap();
        }
        for (n, bytes) in [noise(6 << 20, 9), noise(4 << 20, 9), vec![]].into_iter().enumerate() {
            let mark = writer.mark().unwrap();
            let before = writer.totals();
            let error = if n == 2 {
                writer.add_file(&late.entry, Content::Stream(&mut Broken)).unwrap_err()
            } else {
                writer.add_file(&late.entry, Content::Stream(&mut &bytes[..])).unwrap_err()
            };
            match (n, &error) {
                (0, ArchiveError::ContentLength { announced, found, .. }) => {
                    assert_eq!(*found, announced + 1);
                }
                (1, ArchiveError::ContentLength { found, .. }) => assert_eq!(*found, 4 << 20),
                (2, ArchiveError::Content { .. }) => {}
                _ => panic!("{error}"),
            }
            assert!(writer.add(&support::folder("files/zz").entry).is_err(), "incomplete");
            writer.rewind(mark).unwrap();
            assert_eq!(writer.totals(), before);
        }
        // A whole member can be taken back, too, and an old mark is no good.
        let old = writer.mark().unwrap();
        let mark = writer.mark().unwrap();
        add(&mut writer, &late).unwrap();
        add(&mut writer, &support::folder("files/n")).unwrap();
        writer.rewind(mark).unwrap();
        assert!(writer.rewind(old).is_err());
        let _mark = writer.mark().unwrap();
        add(&mut writer, &late).unwrap();
        add(&mut writer, &end).unwrap();
        writer.finish(&restore_script(&metadata(form)), completion).unwrap();
        assert_eq!(findings(&path), [""; 0], "{form:?}");
        let (again, _) = read_all(&path).unwrap();
        assert_eq!(again, read_all(&straight).unwrap().0);
    }
}

#[test]
fn bytes_of_another_length_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for form in Form::ALL {
        let path = archive_path(folder.path(), form);
        let mut writer = TreeWriter::create(&path, options(form, folder.path())).unwrap();
        writer.add_metadata(&metadata(form)).unwrap();
        writer.add(&support::folder("files").entry).unwrap();
        let sample = file("files/a", b"abc".to_vec());
        let content = Content::Bytes { data: b"ab", sha256: None };
        let error = writer.add_file(&sample.entry, content).unwrap_err();
        assert!(matches!(error, ArchiveError::ContentLength { announced: 3, found: 2, .. }));
        add(&mut writer, &sample).unwrap();
        writer.finish(b"", completion).unwrap();
        assert_eq!(findings(&path), [""; 0]);
    }
}

#[test]
fn too_large_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for form in Form::ALL {
        let path = archive_path(folder.path(), form);
        let mut options = options(form, folder.path());
        options.max_size = Some(1 << 20);
        let mut writer = TreeWriter::create(&path, options).unwrap();
        writer.add_metadata(&metadata(form)).unwrap();
        writer.add(&support::folder("files").entry).unwrap();
        let result = add(&mut writer, &file("files/a", noise(20 << 20, 1)))
            .and_then(|()| writer.finish(b"", completion).map(drop));
        let error = result.unwrap_err();
        assert!(matches!(error, ArchiveError::TooLarge { limit: 1_048_576 }), "{error}");
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(!path.exists() || form != Form::Tar);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// A mount that ends with the test, also when that fails.
struct Mounted<'a>(&'a std::path::Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let done = std::process::Command::new("umount").arg("-l").arg(self.0).status();
        assert!(done.is_ok_and(|status| status.success()), "{:?} stays mounted", self.0);
    }
}

#[test]
fn a_full_filesystem_says_so() {
    // /dev/full cannot be created anew; a size limit of the process would need unsafe code. A
    // tiny tmpfs needs root, which tests in a container have.
    let folder = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "none"])
        .arg(folder.path())
        .status();
    assert!(status.is_ok_and(|status| status.success()), "mounting a tmpfs needs root");
    let mounted = Mounted(folder.path());
    let errors: Vec<ArchiveError> = Form::ALL
        .into_iter()
        .map(|form| {
            let path = archive_path(folder.path(), form);
            let mut writer = TreeWriter::create(&path, options(form, folder.path())).unwrap();
            writer.add_metadata(&metadata(form)).unwrap();
            writer.add(&support::folder("files").entry).unwrap();
            add(&mut writer, &file("files/a", noise(20 << 20, 1)))
                .and_then(|()| writer.finish(b"", completion).map(drop))
                .unwrap_err()
        })
        .collect();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    drop(mounted);
    for error in errors {
        assert!(matches!(error, ArchiveError::NoSpace { .. }), "{error}");
        assert!(error.hint().is_some());
    }
    assert_eq!(left, 0);
}
