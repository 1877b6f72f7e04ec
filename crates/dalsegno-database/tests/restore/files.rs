//! The live file: another layout, destroyed, missing, empty, a link, somebody else's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use crate::support::{SWITCH, Site, filled, make, names, oracle, oracle_of, with_mode};
use dalsegno_database::sqlite::{self, ReplaceReason, SwitchMethod, leftovers};
use dalsegno_database::{DatabaseError, Quiet, SwitchOptions};
use dalsegno_format::ErrorKind;

#[test]
fn another_page_size_or_encoding_is_replaced_while_nobody_looks() {
    for (first, reason) in [
        ("PRAGMA page_size = 8192;", ReplaceReason::PageSize { live: 8192, backup: 4096 }),
        (
            "PRAGMA encoding = 'UTF-16le';",
            ReplaceReason::Encoding { live: "UTF-16le".to_owned(), backup: "UTF-8".to_owned() },
        ),
    ] {
        for mode in ["wal", "delete"] {
            let source = Site::with(&filled("backup", 60));
            let (captured, bytes) = source.capture();
            let site = Site::with(&format!("{first}{}", with_mode(mode, &filled("live", 60))));
            let inode = fs::metadata(&site.live).unwrap().ino();
            let mut peer = site.peer();
            peer.run("INSERT INTO note VALUES (2, 'late')");
            let quick = SwitchOptions { lock_timeout: Duration::from_millis(100) };
            let error = site.stage("r1", &bytes).switch(quick, &mut Quiet).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Locked);
            let wanted = format!("it is in use by {} (`", peer.pid());
            assert!(error.to_string().contains(&wanted), "{error}");
            peer.kill();
            assert!(leftovers(&site.live).unwrap().is_empty());
            let switched = site.restore("r1", &captured, &bytes);
            assert_eq!(switched.method, SwitchMethod::Replace(reason.clone()));
            assert_eq!(oracle(&site.live), oracle_of(&bytes));
            let kept = switched.kept.unwrap();
            assert_eq!(fs::metadata(&kept).unwrap().ino(), inode);
            assert!(oracle(&kept).contains("b'note' 2 "));
            let others = site.others();
            assert!(others.iter().all(|name| name.starts_with(".live")), "{others:?}");
        }
    }
}

#[test]
fn a_destroyed_live_file_is_replaced_with_its_sidecars() {
    let source = Site::with(&filled("backup", 60));
    let (captured, bytes) = source.capture();
    let site = Site::new();
    fs::write(&site.live, "not a database at all ".repeat(500)).unwrap();
    fs::write(site.folder.path().join("live db.sqlite3-wal"), "stale").unwrap();
    let switched = site.restore("r1", &captured, &bytes);
    assert!(matches!(&switched.method, SwitchMethod::Replace(ReplaceReason::Unreadable(_))));
    assert_eq!(oracle(&site.live), oracle_of(&bytes));
    let kept = switched.kept.unwrap();
    assert!(fs::read(&kept).unwrap().starts_with(b"not a database"));
    let log = format!("{}-wal", kept.display());
    assert_eq!(fs::read_to_string(log).unwrap(), "stale");
    assert!(site.others().iter().all(|name| name.contains(".kept")), "{:?}", site.others());
}

#[test]
fn empty_files_and_missing_ones_take_a_backup() {
    let source = Site::with(&format!("PRAGMA page_size = 1024; {}", filled("backup", 60)));
    let (captured, bytes) = source.capture();
    let site = Site::new();
    fs::write(&site.live, "").unwrap();
    let switched = site.restore("r1", &captured, &bytes);
    assert_eq!(switched.method, SwitchMethod::InPlace);
    assert_eq!(oracle(&site.live), oracle_of(&bytes));
    let site = Site::new();
    let switched = site.restore("r1", &captured, &bytes);
    assert_eq!(switched.method, SwitchMethod::Create);
    assert_eq!(oracle(&site.live), oracle_of(&bytes));
    assert_eq!(fs::metadata(&site.live).unwrap().mode() & 0o777, 0o600);
    assert!(site.others().is_empty());
}

#[test]
fn an_empty_backup_empties_the_database() {
    for mode in ["wal", "delete"] {
        let source = Site::new();
        fs::write(&source.live, "").unwrap();
        let (captured, bytes) = source.capture();
        let site = Site::with(&with_mode(mode, &filled("live", 300)));
        site.restore("r1", &captured, &bytes);
        let mut peer = site.peer();
        assert_eq!(peer.ask("SELECT * FROM sqlite_master"), "ok []");
        peer.run("CREATE TABLE t (a)");
        assert_eq!(peer.ask("PRAGMA integrity_check"), "ok [('ok',)]");
    }
}

#[test]
fn owner_and_mode_of_the_live_file_stay() {
    let source = Site::with(&filled("backup", 20));
    let (captured, bytes) = source.capture();
    for page_size in [4096, 1024] {
        let site = Site::with(&format!("PRAGMA page_size = {page_size}; {}", filled("live", 20)));
        let root = fs::metadata(&site.live).unwrap().uid() == 0;
        if root {
            std::os::unix::fs::chown(&site.live, Some(65534), Some(65533)).unwrap();
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        fs::set_permissions(&site.live, mode).unwrap();
        let staged = site.stage("r0", &bytes);
        assert_eq!(fs::metadata(staged.path()).unwrap().mode() & 0o777, 0o640);
        staged.discard().unwrap();
        let switched = site.restore("r1", &captured, &bytes);
        for path in [&site.live, &switched.kept.unwrap()] {
            let file = fs::metadata(path).unwrap();
            assert_eq!(file.mode() & 0o7777, 0o640);
            if root {
                assert_eq!((file.uid(), file.gid()), (65534, 65533));
            }
        }
    }
}

#[test]
fn a_symlink_is_followed_once_and_stays() {
    let source = Site::with(&filled("backup", 20));
    let (captured, bytes) = source.capture();
    let site = Site::new();
    let real = site.folder.path().join("spool/real.db");
    make(&real, "CREATE TABLE t (a)");
    std::os::unix::fs::symlink("spool/real.db", &site.live).unwrap();
    site.restore("r1", &captured, &bytes);
    assert!(fs::symlink_metadata(&site.live).unwrap().is_symlink());
    assert_eq!(oracle(&real), oracle_of(&bytes));
    assert_eq!(names(&site.folder.path().join("spool")), [".real.db.dalsegno-r1.kept", "real.db"]);
}

#[test]
fn a_restore_of_the_same_id_is_not_run_over() {
    let site = Site::with(&filled("live", 20));
    let (captured, bytes) = site.capture();
    let staged = site.stage("r1", &bytes);
    let error =
        site.target("r1").stage(&mut &bytes[..], bytes.len() as u64, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::Exists { .. }));
    assert!(staged.path().exists(), "the earlier copy is gone");
    drop(staged);
    site.restore("r1", &captured, &bytes);
    let error = site.stage("r1", &bytes).switch(SWITCH, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::Exists { .. }));
    let elsewhere = site.folder.path().join("elsewhere");
    fs::write(&elsewhere, "untouched").unwrap();
    std::os::unix::fs::symlink(&elsewhere, site.target("r3").staged()).unwrap();
    let error =
        site.target("r3").stage(&mut &bytes[..], bytes.len() as u64, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::Exists { .. }));
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), "untouched");
    assert!(sqlite::Target::new(&site.live, "../x").is_err());
}
