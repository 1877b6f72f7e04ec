//! Captures of real trees.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use dalsegno_format::{EntryKind, Extent, Timestamp};
use dalsegno_media::{CaptureOptions, MediaError, Rule, Selection, capture, survey};
use support::{
    NO, again, as_nobody, is_root, odd_tree, picture, prefix, put, site, sparse, take, take_with,
    usual, without_prefix, write,
};

fn names(taken: &support::Taken) -> Vec<String> {
    taken.entries.iter().map(|(entry, _)| entry.path.to_string()).collect()
}

#[test]
fn an_odd_tree_whole_and_in_order() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("m");
    odd_tree(&root);
    let taken = take(&root, &Selection::default());
    assert!(taken.unreadable.is_empty() && taken.vanished.is_empty() && taken.left_out.is_empty());
    let looks = picture(&root);
    assert_eq!(taken.entries.len(), looks.len());
    assert_eq!(taken.entries[0].0.path, prefix());
    for (entry, data) in &taken.entries {
        let meta = fs::symlink_metadata(path_of(&root, entry)).unwrap();
        assert_eq!((entry.uid, entry.gid), (meta.uid(), meta.gid()));
        let mtime =
            Timestamp { secs: meta.mtime(), nanos: u32::try_from(meta.mtime_nsec()).unwrap() };
        assert_eq!(entry.mtime, mtime, "{}", entry.path);
        if !meta.is_symlink() {
            assert_eq!(entry.mode, meta.mode() & 0o7777, "{}", entry.path);
        }
        match &entry.kind {
            EntryKind::File { size, extents: None } => {
                assert_eq!((*size, data.len() as u64), (meta.len(), meta.len()));
                assert_eq!(*data, fs::read(path_of(&root, entry)).unwrap());
            }
            EntryKind::File { size, extents: Some(extents) } => {
                assert_eq!(*size, meta.len());
                assert_eq!(data.len() as u64, extents.iter().map(|e| e.length).sum::<u64>());
            }
            EntryKind::Directory => assert!(meta.is_dir()),
            EntryKind::Symlink { .. } => assert!(meta.is_symlink()),
            EntryKind::HardLink { target } => assert_eq!(target.to_string(), "files/dir/a"),
        }
    }
    let links: Vec<_> = taken
        .entries
        .iter()
        .filter(|(entry, _)| matches!(entry.kind, EntryKind::HardLink { .. }))
        .map(|(entry, _)| entry.path.to_string())
        .collect();
    assert_eq!(links, ["files/dir/b", "files/other/c"]);
    if is_root() {
        assert_eq!((&taken.entries[0].0.user[..], &taken.entries[0].0.group[..]), ("root", "root"));
    }
}

fn path_of(root: &Path, entry: &dalsegno_format::Entry) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    without_prefix(entry.clone())
        .map_or(root.to_path_buf(), |e| root.join(OsStr::from_bytes(e.path.as_bytes())))
}

#[test]
fn extents_of_sparse_files() {
    let home = tempfile::tempdir().unwrap();
    sparse(&home.path().join("holes"), 8 << 20, &[(1 << 20, 4096), (5 << 20, 4096)]);
    sparse(&home.path().join("nothing"), 1 << 20, &[]);
    sparse(&home.path().join("zz-tail"), 1 << 20, &[((1 << 20) - 4096, 4096)]);
    let taken = take(home.path(), &Selection::default());
    let found: Vec<_> = taken.entries[1..]
        .iter()
        .map(|(entry, _)| match &entry.kind {
            EntryKind::File { extents, .. } => extents.clone().expect("sparse"),
            other => panic!("{other:?}"),
        })
        .collect();
    let extent = |offset, length| Extent { offset, length };
    assert_eq!(found[0], [extent(1 << 20, 4096), extent(5 << 20, 4096)]);
    assert_eq!(found[1], []);
    assert_eq!(found[2], [extent((1 << 20) - 4096, 4096)]);
    let (_, data) = &taken.entries[1];
    assert_eq!(data, &vec![9; 8192]);
}

#[test]
fn rules_name_what_they_leave_out() {
    let (home, live) = site(&[
        (".htaccess", "x"),
        ("a~", "x"),
        (".well-known/acme", "x"),
        (".hidden.d/.inner", "x"),
        ("cache/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n# c"),
        ("cache/x", "x"),
        ("cache/deep/y", "x"),
        ("fake/CACHEDIR.TAG", "Signature: no"),
        ("fake/x", "x"),
        ("fine", "x"),
        ("videos/1.mp4", "x"),
        ("sub/thing.tmp", "x"),
        ("in", "-> sub/thing.tmp"),
        ("out", "-> ../elsewhere"),
        ("sub/up", "-> ../../elsewhere"),
        ("absolute", "-> /etc/passwd"),
        ("dangling", "-> nowhere"),
        (".dalsegno-old1.kept/x", "x"),
        ("own/backup.tar", "x"),
    ]);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        live.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(live.join("socket")).unwrap();
    let globs = ["*.tmp".to_owned(), "videos".to_owned()];
    let selection = Selection::new(&[".*".to_owned(), "*~".to_owned()], &globs).unwrap();
    let own = fs::metadata(live.join("own")).unwrap();
    let skip = vec![(own.dev(), own.ino())];
    let taken = take_with(&live, &selection, CaptureOptions { skip, ..CaptureOptions::default() });
    let mut left_out: Vec<_> = taken.left_out.iter().map(|(p, r, f)| (&p[6..], *r, *f)).collect();
    left_out.sort_by_key(|(path, ..)| (*path).to_owned());
    assert_eq!(
        left_out,
        [
            (".dalsegno-old1.kept", Rule::Own, true),
            (".hidden.d/.inner", Rule::Name, false),
            (".htaccess", Rule::Name, false),
            ("absolute", Rule::LeavesRoot, false),
            ("a~", Rule::Name, false),
            ("cache/deep", Rule::CacheTag, true),
            ("cache/x", Rule::CacheTag, false),
            ("fifo", Rule::Special, false),
            ("out", Rule::LeavesRoot, false),
            ("own", Rule::Own, true),
            ("socket", Rule::Special, false),
            ("sub/thing.tmp", Rule::Glob, false),
            ("sub/up", Rule::LeavesRoot, false),
            ("videos", Rule::Glob, true),
        ]
    );
    let kept: Vec<String> = names(&taken);
    for path in [".well-known/acme", ".hidden.d", "cache/CACHEDIR.TAG", "fake/x", "in", "dangling"]
    {
        assert!(kept.contains(&format!("files/{path}")), "{path}");
    }
    let survey = survey(&live, &selection, &[(own.dev(), own.ino())], NO).unwrap();
    assert_eq!((survey.files, survey.links, survey.left_out), (5, 2, 14));
    drop(home);
}

#[test]
fn a_tag_in_the_root_does_not_empty_the_backup() {
    let (_home, live) =
        site(&[("CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55"), ("x", "x")]);
    assert_eq!(names(&take(&live, &usual())), ["files", "files/CACHEDIR.TAG", "files/x"]);
}

#[test]
fn roots() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), &[("real/x", "x"), ("file", "x")]);
    symlink("real", home.path().join("link")).unwrap();
    let taken = take(&home.path().join("link"), &usual());
    assert_eq!(names(&taken), ["files", "files/x"]);
    let start = |name: &str| {
        capture(&home.path().join(name), &prefix(), &usual(), CaptureOptions::default()).err()
    };
    assert!(matches!(start("missing"), Some(MediaError::RootMissing { .. })));
    assert!(matches!(start("file"), Some(MediaError::RootNotFolder { .. })));
    let hint = start("missing").unwrap().hint().unwrap();
    assert!(hint.starts_with("Check MEDIA_ROOT"), "{hint}");
}

#[test]
fn twenty_thousand_files_in_one_folder() {
    let home = tempfile::tempdir().unwrap();
    for n in 0..20_000_u32 {
        fs::write(home.path().join(format!("{n:05}")), n.to_le_bytes()).unwrap();
    }
    let taken = take(home.path(), &usual());
    assert_eq!(taken.entries.len(), 20_001);
    for (n, (entry, data)) in taken.entries[1..].iter().enumerate() {
        assert_eq!(entry.path.name(), format!("{n:05}").as_bytes());
        assert_eq!(*data, u32::try_from(n).unwrap().to_le_bytes());
    }
    // One that is dropped half-way ends its threads.
    let mut some = capture(home.path(), &prefix(), &usual(), CaptureOptions::default()).unwrap();
    assert!(some.by_ref().take(100).all(|found| found.is_ok()));
    drop(some);
}

#[test]
fn more_small_files_than_may_wait() {
    let home = tempfile::tempdir().unwrap();
    for n in 0..40_u8 {
        fs::write(home.path().join(format!("{n:02}")), vec![n; 1 << 20]).unwrap();
    }
    let taken = take(home.path(), &usual());
    assert_eq!(taken.large, 0);
    assert!(taken.entries[1..].iter().enumerate().all(|(n, (_, data))| {
        data.len() == 1 << 20 && usize::from(data[0]) == n && usize::from(data[data.len() - 1]) == n
    }));
}

#[test]
fn an_unprivileged_reader_names_what_it_cannot_read() {
    if !is_root() {
        // Only root can play two users.
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("media");
    write(&root.join("open"), b"x", 0o644, (1, 0));
    write(&root.join("secret"), b"x", 0o600, (1, 0));
    write(&root.join("locked/x"), b"x", 0o644, (1, 0));
    fs::set_permissions(root.join("locked"), fs::Permissions::from_mode(0o700)).unwrap();
    let environment = [("DALSEGNO_MEDIA_TEST_ROOT", root.as_os_str())];
    let status = as_nobody(home.path(), "unreadable_as_another_user", &environment);
    assert!(status.success());
}

#[test]
#[ignore = "run by an_unprivileged_reader_names_what_it_cannot_read, as another user"]
fn unreadable_as_another_user() {
    let Some(root) = std::env::var_os("DALSEGNO_MEDIA_TEST_ROOT") else { return };
    assert!(!is_root());
    let taken = take(Path::new(&root), &usual());
    assert_eq!(names(&taken), ["files", "files/open"]);
    let unreadable: Vec<_> =
        taken.unreadable.iter().map(|(path, why)| (&path[..], &why[..])).collect();
    assert_eq!(
        unreadable,
        [
            ("files/locked", "Permission denied (os error 13)"),
            ("files/secret", "Permission denied (os error 13)")
        ]
    );
}

#[test]
fn other_filesystems_below_the_root_are_followed() {
    let status = again(&["unshare", "-m"], "mounted_below", &[]);
    assert!(status.success());
}

#[test]
#[ignore = "run by other_filesystems_below_the_root_are_followed, with mounts of its own"]
fn mounted_below() {
    let (_home, live) = site(&[("a", "x"), ("mounted/", ""), ("z", "x")]);
    let mounted = live.join("mounted");
    let _mounted = support::mount(&["-t", "tmpfs", "none"], &mounted);
    put(&mounted, &[("inside", "x")]);
    let taken = take(&live, &usual());
    assert_eq!(
        names(&taken),
        ["files", "files/a", "files/mounted", "files/mounted/inside", "files/z"]
    );
}
