//! Mount points, image layers and read-only folders: what a rename cannot exchange.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use crate::support::{NO, again, contents, mount, picture, put, seal, site, stage, take, usual};
use crate::two_sites::*;
use dalsegno_media::{
    MediaError, Method, Recovered, Resolution, StageOptions, Strategy, Target, discard, leftovers,
    rollback,
};

#[test]
fn a_mount_point_keeps_its_root_and_exchanges_what_it_holds() {
    assert!(again(&["unshare", "-m"], "mounts::on_a_mount", &[]).success());
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
        crate::support::set_mtime(&live, (5, 5));
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
    assert!(again(&["unshare", "-m"], "mounts::below_a_read_only_folder", &[]).success());
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
    assert!(again(&["unshare", "-m"], "mounts::with_a_mount_inside", &[]).success());
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
    assert!(again(&["unshare", "-m"], "mounts::on_an_overlay", &[]).success());
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
