//! What a restore leaves beside the live tree: kept, rolled back, discarded, found after a crash.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::support::{NO, picture, put, seal, site, stage, take, usual};
use crate::two_sites::*;
use dalsegno_media::{
    MediaError, Recovered, Resolution, StageOptions, Strategy, Target, discard, leftovers, rollback,
};

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
