//! The folder that a tree is restored to: missing, a link, somebody else's.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{NO, as_nobody, contents, is_root, put, seal, site, take, usual};
use crate::two_sites::*;
use dalsegno_media::{MediaError, Method, Strategy, Target, discard, rollback};

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
    let status = as_nobody(home.path(), "roots::as_the_sites_user", &environment);
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
