//! What is live afterwards, by strategy and selection.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{NO, contents, picture, put, seal, site, take, usual, without_prefix};
use crate::two_sites::*;
use dalsegno_media::{MediaError, Method, Selection, Strategy, leftovers, plan, rollback};

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
                crate::support::set_mtime(&path, (if *root == live { 50 } else { 60 }, 1));
            }
        }
        crate::support::set_mtime(&live.join("gone/deep"), (70, 0));
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
