//! Members as they come: refused where they would do harm, owned as the policy says.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use crate::support::{NO, contents, is_root, put, usual};
use crate::two_sites::*;
use dalsegno_format::{Entry, EntryKind, Extent, Timestamp, TreePath};
use dalsegno_media::{MediaError, OwnerPolicy, StageOptions, StagedTree, Strategy, Target};

fn entry(path: &str, kind: EntryKind) -> Entry {
    Entry {
        path: TreePath::new(path).unwrap(),
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        user: String::new(),
        group: String::new(),
        mtime: Timestamp::default(),
    }
}

fn file(path: &str, size: u64) -> Entry {
    entry(path, EntryKind::File { size, extents: None })
}

fn folder(path: &str) -> Entry {
    Entry { mode: 0o755, ..entry(path, EntryKind::Directory) }
}

fn link(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::Symlink { target: target.into() })
}

fn hard(path: &str, target: &str) -> Entry {
    entry(path, EntryKind::HardLink { target: TreePath::new(target).unwrap() })
}

fn begin(home: &Path) -> StagedTree {
    Target::new(&home.join("live"), "1").unwrap().begin(StageOptions::default()).unwrap()
}

#[test]
fn hostile_and_broken_members_are_refused() {
    type Put = fn(&mut StagedTree) -> Result<(), MediaError>;
    let cases: [(&str, Put, &str); 14] = [
        (
            "no folder",
            |t| t.file(&file("a/b", 0), &mut &b""[..]),
            "the folder of `a/b` did not come",
        ),
        (
            "through a link",
            |t| {
                t.folder(&folder("a"))?;
                t.symlink(&link("b", "a"))?;
                t.file(&file("b/x", 0), &mut &b""[..])
            },
            "the folder of `b/x`",
        ),
        (
            "twice",
            |t| {
                t.folder(&folder("a"))?;
                t.folder(&folder("a"))
            },
            "`a` comes twice",
        ),
        (
            "backwards",
            |t| {
                t.folder(&folder("b"))?;
                t.folder(&folder("a"))
            },
            "`a` comes twice or out of order",
        ),
        ("absolute link", |t| t.symlink(&link("l", "/etc/passwd")), "names `/etc/passwd`"),
        ("link out", |t| t.symlink(&link("l", "../x")), "names `../x`"),
        ("hard link to nothing", |t| t.hard_link(&hard("l", "k")), "names `k`, which is no file"),
        ("hard link forwards", |t| t.hard_link(&hard("l", "m")), "names `m`, which is no file"),
        (
            "hard link to a folder",
            |t| {
                t.folder(&folder("a"))?;
                t.hard_link(&hard("b", "a"))
            },
            "names `a`, which is no file",
        ),
        (
            "hard link through a link",
            |t| {
                t.folder(&folder("a"))?;
                t.file(&file("a/x", 0), &mut &b""[..])?;
                t.symlink(&link("b", "a"))?;
                t.hard_link(&hard("c", "b/x"))
            },
            "names `b/x`, which is no file",
        ),
        (
            "short",
            |t| t.file(&file("f", 5), &mut &b"1234"[..]),
            "`f` is not as long as announced, 5",
        ),
        ("long", |t| t.file(&file("f", 5), &mut &b"123456"[..]), "`f` is not as long"),
        ("reserved", |t| t.folder(&folder(".dalsegno-1.kept")), "has a name kept for"),
        ("wrong call", |t| t.folder(&file("f", 0)), "`f` is not a folder"),
    ];
    for (what, put, said) in cases {
        let home = tempfile::tempdir().unwrap();
        let mut staged = begin(home.path());
        let error = put(&mut staged).expect_err(what);
        assert!(error.to_string().contains(said), "{what}: {error}");
        staged.abandon(NO).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "{what}");
    }
}

#[test]
fn errors_of_the_writing_threads_come_back() {
    let home = tempfile::tempdir().unwrap();
    let mut staged = begin(home.path());
    staged.small_file(file("f", 5), b"1234".to_vec()).unwrap();
    let sealed = staged.seal(Strategy::Replace, &usual(), &[], NO);
    assert!(matches!(sealed.unwrap_err(), MediaError::Length { expected: 5, .. }));
    let bad = [Extent { offset: 4, length: 4 }, Extent { offset: 0, length: 4 }];
    let kind = EntryKind::File { size: 9, extents: Some(bad.to_vec()) };
    let home = tempfile::tempdir().unwrap();
    let wrong = begin(home.path()).small_file(entry("f", kind), vec![0; 8]);
    assert!(matches!(wrong, Err(MediaError::EntryKind { .. })));
}

#[test]
fn a_link_planted_in_a_staged_tree_is_not_followed() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), &[("victim/x", "untouched")]);
    let mut staged = begin(home.path());
    staged.folder(&folder("a")).unwrap();
    let path = staged.path().to_path_buf();
    symlink(home.path().join("victim"), path.join("b")).unwrap();
    symlink(home.path().join("victim/x"), path.join("c")).unwrap();
    assert!(matches!(staged.folder(&folder("b")), Err(MediaError::Order { .. })));
    let error = staged.file(&file("c", 1), &mut &b"!"[..]).unwrap_err();
    assert!(matches!(error, MediaError::Order { .. }), "{error}");
    assert_eq!(contents(&home.path().join("victim")), tree(&[("x", "untouched")]));
    staged.abandon(NO).unwrap();
    assert!(home.path().join("victim/x").exists());
}

#[test]
fn owners_by_name_then_number_and_set_id_only_with_them() {
    if !is_root() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("live")).unwrap();
    std::os::unix::fs::chown(home.path().join("live"), Some(7), Some(8)).unwrap();
    let owned = |path: &str, user: &str, uid: u32| Entry {
        user: user.to_owned(),
        group: user.to_owned(),
        uid,
        gid: uid,
        mode: 0o6755,
        ..file(path, 0)
    };
    for (policy, wanted) in [
        (OwnerPolicy::Recorded, [(0, 0, 0o6755), (4242, 4242, 0o6755), (7, 8, 0o755)]),
        (OwnerPolicy::LiveRoot, [(7, 8, 0o755), (7, 8, 0o755), (7, 8, 0o755)]),
        (OwnerPolicy::Own, [(0, 0, 0o6755), (0, 0, 0o755), (0, 0, 0o755)]),
    ] {
        let target = Target::new(&home.path().join("live"), "1").unwrap();
        let options = StageOptions { owner: policy, ..StageOptions::default() };
        let mut staged = target.begin(options).unwrap();
        staged.small_file(owned("by-name", "root", 999), Vec::new()).unwrap();
        staged.small_file(owned("by-number", "nobody-knows", 4242), Vec::new()).unwrap();
        staged.small_file(owned("impossible", "", u32::MAX), Vec::new()).unwrap();
        let sealed = staged.seal(Strategy::Replace, &usual(), &[], NO).unwrap();
        for (name, wanted) in ["by-name", "by-number", "impossible"].iter().zip(wanted) {
            let meta = fs::metadata(sealed.path().join(name)).unwrap();
            let found = (meta.uid(), meta.gid(), meta.mode() & 0o7777);
            assert_eq!(found, wanted, "{policy:?} {name}");
        }
        sealed.abandon(NO).unwrap();
    }
}
