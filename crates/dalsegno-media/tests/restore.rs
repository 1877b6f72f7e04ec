//! Trees captured, staged, sealed and switched in.
#![allow(clippy::unwrap_used, reason = "test code")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use dalsegno_format::{Entry, EntryKind, Extent, Timestamp, TreePath};
use dalsegno_media::{
    MediaError, Method, OwnerPolicy, Recovered, Resolution, Selection, StageOptions, StagedTree,
    Strategy, Target, compare, discard, leftovers, plan, rollback,
};
use support::{
    NO, again, as_nobody, contents, is_root, mount, odd_tree, picture, put, seal, site, stage,
    take, usual, without_prefix,
};

const ALL: [Strategy; 3] = [Strategy::Replace, Strategy::Merge, Strategy::KeepExisting];

#[test]
fn an_odd_tree_comes_back_equal() {
    if !is_root() {
        // Set-id bits and files without rights need root.
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (original, live) = (home.path().join("original"), home.path().join("media"));
    odd_tree(&original);
    fs::create_dir(&live).unwrap();
    let taken = take(&original, &Selection::default());
    let sealed = seal(&live, "1", &taken, Strategy::Replace, &Selection::default());
    let switched = sealed.switch().unwrap();
    assert_eq!(switched.method, Method::Exchange);
    assert_eq!(picture(&live), picture(&original));
    for name in ["sparse", "all-hole", "small-sparse"] {
        let stored = |root: &Path| fs::metadata(root.join(name)).unwrap().blocks();
        assert_eq!(stored(&live), stored(&original), "{name}");
    }
    let again = take(&live, &Selection::default());
    assert_eq!(again.entries, taken.entries);
    discard(&switched.kept.unwrap(), NO).unwrap();
    assert_eq!(leftovers(&live).unwrap(), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_missing_root_is_created_and_a_rollback_takes_it_away() {
    let (home, backup) = site(&[("a", "1")]);
    let live = home.path().canonicalize().unwrap().join("media");
    let sealed = seal(&live, "1", &take(&backup, &usual()), Strategy::Replace, &usual());
    assert_eq!(sealed.changes().added.count, 1);
    let switched = sealed.switch().unwrap();
    assert_eq!((switched.method, &switched.kept), (Method::Created, &None));
    assert_eq!(contents(&live), contents(&backup));
    let back = rollback(&switched, false, NO).unwrap();
    assert_eq!(back.present, None);
    assert!(!live.exists());
    let nowhere = home.path().join("no/where");
    assert!(matches!(Target::new(&nowhere, "1"), Err(MediaError::ParentMissing { .. })));
    assert!(matches!(Target::new(&backup.join("a"), "1"), Err(MediaError::RootNotFolder { .. })));
}

#[test]
fn a_link_as_root_stays_and_its_folder_is_exchanged() {
    let (home, backup) = site(&[("a", "new")]);
    put(home.path(), &[("real/a", "old")]);
    let link = home.path().join("media");
    symlink("real", &link).unwrap();
    let sealed = seal(&link, "1", &take(&backup, &usual()), Strategy::Replace, &usual());
    let switched = sealed.switch().unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("real"));
    assert_eq!(contents(&home.path().join("real")), contents(&backup));
    assert_eq!(switched.kept.unwrap().file_name().unwrap(), ".real.dalsegno-1.kept");
}

const LIVE: &[(&str, &str)] = &[
    (".htaccess", "rules"),
    ("x~", "draft"),
    ("same", "same"),
    ("changed", "live"),
    ("only-live", "live"),
    ("dir/only-live", "live"),
    ("dir/.hidden", "live"),
    ("gone/deep/.hidden", "live"),
    ("gone/deep/file", "live"),
    ("gone/out", "-> /etc"),
    ("folder-here/inside", "live"),
    ("file-here", "live"),
    ("link", "-> same"),
    ("empty/", ""),
];

const BACKUP: &[(&str, &str)] = &[
    ("same", "same"),
    ("changed", "backup"),
    ("only-backup", "backup"),
    ("dir/both", "backup"),
    ("folder-here", "a file in the backup"),
    ("file-here/inside", "backup"),
    ("link", "-> changed"),
    (".well-known/acme", "backup"),
];

fn two_sites() -> (tempfile::TempDir, std::path::PathBuf, tempfile::TempDir, std::path::PathBuf) {
    let ((a, live), (b, backup)) = (site(LIVE), site(BACKUP));
    for root in [&live, &backup] {
        support::set_mtime(&root.join("same"), (1000, 0));
    }
    (a, live, b, backup)
}

fn tree(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn strategies_decide_what_is_live_afterwards() {
    let carried = [
        (".htaccess", "rules"),
        ("x~", "draft"),
        ("same", "same"),
        ("dir/.hidden", "live"),
        ("gone/deep/.hidden", "live"),
        ("gone/out", "-> /etc"),
        ("dir/both", "backup"),
        ("only-backup", "backup"),
        (".well-known/acme", "backup"),
    ];
    let replace = [
        ("changed", "backup"),
        ("folder-here", "a file in the backup"),
        ("file-here/inside", "backup"),
        ("link", "-> changed"),
    ];
    let merge = [("only-live", "live"), ("dir/only-live", "live"), ("gone/deep/file", "live")];
    let keep = [
        ("changed", "live"),
        ("folder-here/inside", "live"),
        ("file-here", "live"),
        ("link", "-> same"),
    ];
    for strategy in ALL {
        let (_a, live, _b, backup) = two_sites();
        let before = picture(&live);
        let mut wanted = tree(&carried);
        match strategy {
            Strategy::Replace => wanted.extend(tree(&replace)),
            Strategy::Merge => wanted.extend(tree(&[&replace[..], &merge[..]].concat())),
            Strategy::KeepExisting => wanted.extend(tree(&[&merge[..], &keep[..]].concat())),
        }
        let taken = take(&backup, &usual());
        let sealed = seal(&live, "r", &taken, strategy, &usual());
        assert_eq!(picture(&live), before, "sealing changed the live tree");
        let switched = sealed.switch().unwrap();
        assert_eq!(switched.late_error, None);
        assert_eq!(contents(&live), wanted, "{strategy:?}");
        assert_eq!(live.join("empty").exists(), strategy != Strategy::Replace);
        assert!(live.join("gone").exists());
        let kept = switched.kept.clone().unwrap();
        assert_eq!(picture(&kept), before, "the kept tree is not the old one");
        let back = rollback(&switched, false, NO).unwrap();
        assert_eq!((back.present, back.method), (None, Method::Exchange));
        assert_eq!(picture(&live), before);
        assert!(leftovers(&live).unwrap().is_empty());
    }
}

#[test]
fn folders_keep_their_times_and_modes_when_files_come_over() {
    for strategy in ALL {
        let (_a, live, _b, backup) = two_sites();
        for root in [&live, &backup] {
            for folder in ["dir", ""] {
                let mode = if *root == live { 0o2750 } else { 0o755 };
                let path = root.join(folder);
                fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
                support::set_mtime(&path, (if *root == live { 50 } else { 60 }, 1));
            }
        }
        support::set_mtime(&live.join("gone/deep"), (70, 0));
        let (old, new) = (picture(&live), picture(&backup));
        let sealed = seal(&live, "r", &take(&backup, &usual()), strategy, &usual());
        sealed.switch().unwrap();
        let now = picture(&live);
        let winner = if strategy == Strategy::KeepExisting { &old } else { &new };
        assert_eq!(now[&b"dir"[..]], winner[&b"dir"[..]], "{strategy:?}");
        assert_eq!(now[&b""[..]], winner[&b""[..]], "{strategy:?}");
        assert_eq!(now[&b"gone/deep"[..]], old[&b"gone/deep"[..]], "{strategy:?}");
    }
}

#[test]
fn plans_say_what_a_switch_then_does() {
    for (strategy, added, replaced, unchanged, removed, carried, kept) in [
        (Strategy::Replace, 4, 4, 1, 4, 5, 0),
        (Strategy::Merge, 4, 4, 1, 1, 8, 0),
        (Strategy::KeepExisting, 3, 0, 1, 0, 9, 5),
    ] {
        let (_a, live, _b, backup) = two_sites();
        let taken = take(&backup, &usual());
        let entries = taken.entries.iter().filter_map(|(entry, _)| without_prefix(entry.clone()));
        let planned = plan(&live, entries, strategy, &usual(), &[], NO).unwrap();
        let counts = [
            planned.added.count,
            planned.replaced.count,
            planned.unchanged.count,
            planned.removed.count,
            planned.carried.count,
            planned.kept.count,
        ];
        assert_eq!(counts, [added, replaced, unchanged, removed, carried, kept], "{planned:#?}");
        let sealed = seal(&live, "r", &taken, strategy, &usual());
        assert_eq!(sealed.changes(), &planned);
        sealed.abandon(NO).unwrap();
        assert!(leftovers(&live).unwrap().is_empty());
    }
    let missing = Path::new("/nonexistent/media");
    let nothing = plan(missing, [], Strategy::Replace, &usual(), &[], NO).unwrap();
    assert_eq!(nothing, dalsegno_media::Changes::default());
    let (_a, live, ..) = two_sites();
    let stopped = plan(&live, [], Strategy::Replace, &usual(), &[], &|| true);
    assert!(matches!(stopped, Err(MediaError::Cancelled)));
}

#[test]
fn what_a_glob_left_out_survives_a_replace_with_all_it_holds() {
    let (_a, live) =
        site(&[("videos/a/1.mp4", "big"), ("videos/b", "big"), ("x.tmp", "t"), ("y", "")]);
    let (_b, backup) = site(&[("y", "new"), ("videos/old", "from an older backup")]);
    let selection = Selection::new(&[], &["videos".to_owned(), "*.tmp".to_owned()]).unwrap();
    let taken = take(&backup, &Selection::default());
    seal(&live, "r", &taken, Strategy::Replace, &selection).switch().unwrap();
    let wanted = tree(&[
        ("videos/a/1.mp4", "big"),
        ("videos/b", "big"),
        ("videos/old", "from an older backup"),
        ("x.tmp", "t"),
        ("y", "new"),
    ]);
    assert_eq!(contents(&live), wanted);
}

#[test]
fn a_changed_site_is_rolled_back_only_by_force_and_then_kept() {
    let (_a, live, _b, backup) = two_sites();
    let before = picture(&live);
    let sealed = seal(&live, "r", &take(&backup, &usual()), Strategy::Replace, &usual());
    let switched = sealed.switch().unwrap();
    put(&live, &[("uploads/new.jpg", "uploaded")]);
    let refused = rollback(&switched, false, NO).unwrap_err();
    assert_eq!(refused.kind(), dalsegno_format::ErrorKind::Refused);
    assert!(refused.to_string().contains("first at `uploads`"), "{refused}");
    assert!(refused.hint().unwrap().contains("--force"));
    let back = rollback(&switched, true, NO).unwrap();
    assert_eq!(picture(&live), before);
    let present = back.present.unwrap();
    assert_eq!(fs::read(present.join("uploads/new.jpg")).unwrap(), b"uploaded");
    let again = rollback(&switched, true, NO).unwrap_err();
    assert!(matches!(again, MediaError::KeptMissing { .. }), "{again}");
    discard(&present, NO).unwrap();
}

#[test]
fn files_that_appear_after_sealing_come_over_where_live_files_stay() {
    for strategy in ALL {
        let (_a, live, _b, backup) = two_sites();
        let sealed = seal(&live, "r", &take(&backup, &usual()), strategy, &usual());
        put(&live, &[("late/upload", "late"), (".late", "late"), ("dir/only-live", "live")]);
        let switched = sealed.switch().unwrap();
        let uploads = strategy != Strategy::Replace;
        assert_eq!(live.join("late/upload").exists(), uploads, "{strategy:?}");
        assert!(live.join(".late").exists());
        assert_eq!(switched.late, if uploads { 2 } else { 1 });
        assert!(rollback(&switched, false, NO).is_err(), "late files count as written");
    }
}

#[test]
fn discard_removes_kept_trees_only_and_follows_nothing() {
    let home = tempfile::tempdir().unwrap();
    put(home.path(), &[("precious/file", "x"), (".m.dalsegno-1.kept/a/b/c", "x")]);
    let kept = home.path().join(".m.dalsegno-1.kept");
    symlink(home.path().join("precious"), kept.join("link")).unwrap();
    symlink("../precious", kept.join("a/link")).unwrap();
    fs::set_permissions(kept.join("a"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::write(home.path().join(".m.dalsegno-1.root"), "0755 0 0 0.000000000\n").unwrap();
    let refused = discard(&home.path().join("precious"), NO).unwrap_err();
    assert!(matches!(refused, MediaError::NotKept { .. }));
    assert!(matches!(discard(&kept, &|| true), Err(MediaError::Cancelled)));
    discard(&kept, NO).unwrap();
    discard(&kept, NO).unwrap();
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["precious"]);
    assert!(home.path().join("precious/file").exists());
}

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
fn leftovers_stop_a_second_restore_of_the_same_id() {
    let (_home, live) = site(&[("a", "1")]);
    let staged = stage(&live, "1", &take(&live, &usual()));
    let path = staged.path().to_path_buf();
    drop(staged);
    assert_eq!(leftovers(&live).unwrap(), std::slice::from_ref(&path));
    let again = Target::new(&live, "1").unwrap().begin(StageOptions::default());
    assert!(matches!(again.err(), Some(MediaError::Leftover { .. })));
    discard(&path, NO).unwrap();
    stage(&live, "1", &take(&live, &usual())).abandon(NO).unwrap();
}

#[test]
fn a_journal_that_was_killed_in_its_first_write_is_removed() {
    let (_home, live) = site(&[("a", "1")]);
    let staged = stage(&live, "1", &take(&live, &usual()));
    let tree = staged.path().to_path_buf();
    drop(staged);
    for part in [tree.with_extension("part"), live.join(".dalsegno-1.part")] {
        fs::write(part, "dalsegno-switch 1\npurpose rest").unwrap();
    }
    let found = Target::new(&live, "1").unwrap().recover(Resolution::Undo).unwrap();
    assert_eq!(found, Recovered::NotSwitched { staged: tree.clone() });
    assert_eq!(leftovers(&live).unwrap(), [tree]);
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

#[test]
fn differences() {
    let (_a, live, _b, backup) = two_sites();
    let side = |root: &Path| {
        let taken = take(root, &Selection::default());
        let hashed = |(entry, data): (Entry, Vec<u8>)| {
            use sha2::Digest as _;
            let hash = entry.size().map(|_| sha2::Sha256::digest(&data).into());
            (entry, hash)
        };
        taken.entries.into_iter().map(hashed).collect::<Vec<_>>()
    };
    assert_eq!(compare(side(&live), side(&live)).count(), 0);
    let mut found = BTreeMap::new();
    for difference in compare(side(&live), side(&backup)) {
        let what = match (&difference.a, &difference.b) {
            (Some(_), None) => "a",
            (None, Some(_)) => "b",
            _ if difference.aspects.kind => "kind",
            _ if difference.aspects.content => "content",
            _ if difference.aspects.target => "target",
            _ => continue,
        };
        found.insert(difference.path.to_string(), what);
    }
    for (path, what) in [
        ("files/only-live", "a"),
        ("files/only-backup", "b"),
        ("files/changed", "content"),
        ("files/link", "target"),
        ("files/file-here", "kind"),
    ] {
        assert_eq!(found.get(path), Some(&what), "{path}");
    }
    assert!(!found.contains_key("files/same"));
}

#[test]
fn a_mount_point_keeps_its_root_and_exchanges_what_it_holds() {
    assert!(again(&["unshare", "-m"], "on_a_mount", &[]).success());
}

#[test]
#[ignore = "run by a_mount_point_keeps_its_root_and_exchanges_what_it_holds"]
fn on_a_mount() {
    for bind in [false, true] {
        let (_a, live, _b, backup) = two_sites();
        let _mounted = if bind {
            mount(&["--bind", live.to_str().unwrap()], &live)
        } else {
            mount(&["-t", "tmpfs", "none"], &live)
        };
        if !bind {
            put(&live, LIVE);
        }
        fs::set_permissions(&live, fs::Permissions::from_mode(0o2770)).unwrap();
        support::set_mtime(&live, (5, 5));
        let (before, root) = (picture(&live), fs::metadata(&live).unwrap().ino());
        let taken = take(&backup, &usual());
        let target = Target::new(&live, "r").unwrap();
        assert!(target.is_mount_point());
        assert_eq!(target.staging_filesystem(), live);
        let sealed = seal(&live, "r", &taken, Strategy::Merge, &usual());
        let switched = sealed.switch().unwrap();
        assert_eq!(switched.method, Method::InPlace);
        assert_eq!(fs::metadata(&live).unwrap().ino(), root);
        let meta = fs::metadata(&live).unwrap();
        let recorded = &taken.entries[0].0;
        assert_eq!(meta.mode() & 0o7777, recorded.mode);
        assert_eq!(fs::read(live.join("changed")).unwrap(), b"backup");
        assert_eq!(fs::read(live.join("only-live")).unwrap(), b"live");
        let kept = switched.kept.clone().unwrap();
        assert_eq!(kept, live.join(".dalsegno-r.kept"));
        assert_eq!(fs::metadata(&kept).unwrap().mode() & 0o777, 0o700);
        assert_eq!(take(&live, &usual()).unreadable, []);
        let mut back = rollback(&switched, false, NO).unwrap();
        assert_eq!((back.method, back.present.take()), (Method::InPlace, None));
        let mut after = picture(&live);
        // Removing the undone tree from inside the root moves the root's time on.
        after.insert(Vec::new(), before[&b""[..]].clone());
        assert_eq!(after, before);
        assert_eq!(meta.ino(), root);
        assert_eq!(fs::metadata(&live).unwrap().mode() & 0o7777, 0o2770);
        assert!(leftovers(&live).unwrap().is_empty());
    }
}

#[test]
fn what_was_cut_off_below_a_read_only_folder_is_brought_to_an_end() {
    assert!(again(&["unshare", "-m"], "below_a_read_only_folder", &[]).success());
}

#[test]
#[ignore = "run by what_was_cut_off_below_a_read_only_folder_is_brought_to_an_end"]
fn below_a_read_only_folder() {
    let (home, live, _b, backup) = two_sites();
    let _image = mount(&["--bind", "-o", "ro", home.path().to_str().unwrap()], home.path());
    let _volume = mount(&["-t", "tmpfs", "none"], &live);
    put(&live, LIVE);
    assert!(fs::write(home.path().join("x"), "").is_err(), "the folder above is read-only");
    let before = contents(&live);
    let (target, taken) = (Target::new(&live, "r").unwrap(), take(&backup, &usual()));
    let staged = live.join(".dalsegno-r.staged");
    fs::write(live.join(".dalsegno-r.part"), "half a journal").unwrap();

    drop(stage(&live, "r", &taken));
    let found = target.recover(Resolution::Undo).unwrap();
    assert_eq!(found, Recovered::NotSwitched { staged: staged.clone() });
    assert!(!live.join(".dalsegno-r.part").exists());
    discard(&staged, NO).unwrap();
    assert_eq!(contents(&live), before);

    let switched = seal(&live, "r", &taken, Strategy::Replace, &usual()).switch().unwrap();
    let kept = switched.kept.clone().unwrap();
    let method = switched.method;
    let found = target.recover(Resolution::Undo).unwrap();
    assert_eq!(found, Recovered::Switched { kept, method });
    rollback(&switched, false, NO).unwrap();
    assert_eq!(target.recover(Resolution::Undo).unwrap(), Recovered::Nothing);
    assert_eq!(contents(&live), before);
}

#[test]
fn a_mount_inside_the_tree_is_refused() {
    assert!(again(&["unshare", "-m"], "with_a_mount_inside", &[]).success());
}

#[test]
#[ignore = "run by a_mount_inside_the_tree_is_refused"]
fn with_a_mount_inside() {
    let (_home, live) = site(&[("mounted/", ""), ("a", "x")]);
    let _mounted = mount(&["-t", "tmpfs", "none"], &live.join("mounted"));
    put(&live, &[("mounted/precious", "x")]);
    let refused = Target::new(&live, "1").unwrap().begin(StageOptions::default()).err().unwrap();
    assert!(matches!(refused, MediaError::MountInside { .. }), "{refused}");
    let kept = live.with_file_name(".live.dalsegno-1.kept");
    fs::rename(&live, &kept).unwrap();
    assert!(matches!(discard(&kept, NO), Err(MediaError::MountInside { .. })));
    assert!(kept.join("mounted/precious").exists());
    fs::rename(&kept, &live).unwrap();
}

#[test]
fn an_image_layer_is_exchanged_entry_by_entry() {
    assert!(again(&["unshare", "-m"], "on_an_overlay", &[]).success());
}

#[test]
#[ignore = "run by an_image_layer_is_exchanged_entry_by_entry"]
fn on_an_overlay() {
    let home = tempfile::tempdir().unwrap();
    let at = home.path();
    let _mounted = mount(&["-t", "tmpfs", "none"], at);
    for folder in ["lower/live", "upper", "work", "merged"] {
        fs::create_dir_all(at.join(folder)).unwrap();
    }
    put(&at.join("lower/live"), LIVE);
    let options = format!(
        "lowerdir={0}/lower,upperdir={0}/upper,workdir={0}/work,redirect_dir=off",
        at.display()
    );
    let _overlay = mount(&["-t", "overlay", "overlay", "-o", &options], &at.join("merged"));
    let live = at.join("merged/live");
    let (_b, backup) = site(BACKUP);
    let before = contents(&live);
    let sealed = seal(&live, "r", &take(&backup, &usual()), Strategy::Replace, &usual());
    let switched = sealed.switch().unwrap();
    assert_eq!(switched.method, Method::InPlace);
    assert_eq!(fs::read(live.join("changed")).unwrap(), b"backup");
    assert_eq!(fs::read(live.join("dir/.hidden")).unwrap(), b"live");
    assert!(!live.join("only-live").exists());
    assert_eq!(contents(switched.kept.as_ref().unwrap()), before);
    rollback(&switched, true, NO).unwrap();
    assert_eq!(contents(&live), before);
}

#[test]
fn the_sites_own_user_restores_where_only_the_root_is_its_own() {
    if !is_root() {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let live = home.path().join("media");
    put(&live, &[("a", "live"), (".htaccess", "live"), ("d/x", "live")]);
    for path in ["", "a", ".htaccess", "d", "d/x"] {
        std::os::unix::fs::chown(live.join(path), Some(65534), Some(65534)).unwrap();
    }
    let environment = [("DALSEGNO_MEDIA_TEST_ROOT", live.as_os_str())];
    let status = as_nobody(home.path(), "as_the_sites_user", &environment);
    assert!(status.success());
    assert_eq!(fs::read(live.join("a")).unwrap(), b"backup");
}

#[test]
#[ignore = "run by the_sites_own_user_restores_where_only_the_root_is_its_own"]
fn as_the_sites_user() {
    let Some(live) = std::env::var_os("DALSEGNO_MEDIA_TEST_ROOT") else { return };
    let live = Path::new(&live);
    let (_b, backup) = site(&[("a", "backup"), ("locked/x", "backup")]);
    fs::set_permissions(backup.join("locked"), fs::Permissions::from_mode(0o555)).unwrap();
    let taken = take(&backup, &usual());
    for strategy in ALL.into_iter().rev() {
        let switched = seal(live, "r", &taken, strategy, &usual()).switch().unwrap();
        assert_eq!(switched.method, Method::InPlace);
        assert_eq!(fs::read(live.join("locked/x")).unwrap(), b"backup");
        assert_eq!(fs::read(live.join(".htaccess")).unwrap(), b"live");
        assert_eq!(fs::metadata(live.join("locked")).unwrap().mode() & 0o777, 0o555);
        discard(&switched.kept.unwrap(), NO).unwrap();
    }
    // Nobody but root removes what lies in a folder that may not be written.
    fs::set_permissions(backup.join("locked"), fs::Permissions::from_mode(0o755)).unwrap();
}
