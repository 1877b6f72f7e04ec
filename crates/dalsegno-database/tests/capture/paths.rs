//! The file that is captured: none, empty, oddly named, somebody else's, read-only.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use crate::support::{Site, WAIT, rows};
use dalsegno_database::sqlite::{self, Location, Source};
use dalsegno_database::{DatabaseError, Quiet};

#[test]
fn what_is_no_database_is_named_and_nothing_is_created() {
    let site = Site::new();
    let fail = || site.try_capture(&site.options()).unwrap_err();
    assert!(matches!(fail(), DatabaseError::Missing { .. }));
    assert!(!site.live.exists());
    fs::write(&site.live, "this is a text, and long enough to be taken for a header ".repeat(20))
        .unwrap();
    assert!(matches!(fail(), DatabaseError::NotADatabase { .. }));
    fs::remove_file(&site.live).unwrap();
    fs::create_dir(&site.live).unwrap();
    assert!(matches!(fail(), DatabaseError::NotAFile { .. }));
    assert!(site.others().is_empty());
    site.assert_no_spool();
}

#[test]
fn an_empty_file_is_an_empty_database() {
    let site = Site::new();
    fs::write(&site.live, "").unwrap();
    let (captured, bytes) = site.capture();
    assert_eq!((captured.size, captured.tables.len(), bytes.len()), (0, 0, 0));
    assert_eq!(fs::metadata(&site.live).unwrap().len(), 0);
    assert!(site.others().is_empty());
}

#[test]
fn names_that_look_like_uris_and_symlinks_are_just_paths() {
    let site = Site::new();
    let real = site.folder.path().join("file:x?mode=memory#%41 é");
    crate::support::make(&std::path::absolute(&real).unwrap(), "CREATE TABLE t (a)");
    std::os::unix::fs::symlink(&real, &site.live).unwrap();
    let (captured, _) = site.capture();
    assert_eq!(rows(&captured.tables, "t"), Some(0));
    let hash = sqlite::content_hash(Source::Private(&real), &mut Quiet).unwrap();
    assert_eq!(hash, sqlite::content_hash(Source::Live(&site.live, WAIT), &mut Quiet).unwrap());
}

#[test]
fn sidecars_made_as_root_belong_to_the_site_and_go_away() {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let site = Site::with("PRAGMA journal_mode = wal; CREATE TABLE t (a);");
    std::os::unix::fs::chown(&site.live, Some(65534), Some(65534)).unwrap();
    let snapshot =
        sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
    let sidecars = site.others();
    assert_eq!(sidecars, ["live db.sqlite3-shm", "live db.sqlite3-wal"]);
    for sidecar in sidecars {
        assert_eq!(
            fs::metadata(site.folder.path().join(&sidecar)).unwrap().uid(),
            65534,
            "{sidecar}"
        );
    }
    drop(snapshot);
    assert!(site.others().is_empty(), "{:?}", site.others());
}

#[test]
fn a_read_only_folder_is_captured_or_clearly_refused() {
    use std::process::Command;
    // As root nothing is read-only, so another user tries.
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return;
    }
    let site = Site::with("PRAGMA journal_mode = wal; CREATE TABLE t (a);");
    for path in [site.folder.path(), &site.live] {
        let mode = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let run = || {
        let exe = std::env::current_exe().unwrap();
        let copy = site.folder.path().join("spool/tests");
        // By a process of its own: a descriptor still open for writing, in a child that another
        // test is just forking, would make the copy "busy".
        assert!(Command::new("cp").arg(exe).arg(&copy).status().unwrap().success());
        let out = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args(["--exact", "paths::as_another_user", "--nocapture"])
            .env("DALSEGNO_TEST_LIVE", &site.live)
            .output()
            .unwrap();
        fs::remove_file(&copy).unwrap();
        String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
    };
    let out = run();
    assert!(out.contains("db.sqlite3` is read-only for this user"), "{out}");
    // With the sidecars of a running site there, a reader gets in.
    let mut peer = site.peer();
    peer.run("INSERT INTO t VALUES (1)");
    let out = run();
    assert!(out.contains("result: 1 rows"), "{out}");
}

/// Runs only as the child of the test above.
#[test]
fn as_another_user() {
    let Some(live) = std::env::var_os("DALSEGNO_TEST_LIVE") else { return };
    let live = std::path::PathBuf::from(live);
    match sqlite::table_counts(Source::Live(&live, WAIT), &mut Quiet) {
        Ok(counts) => println!("result: {} rows", counts[0].rows.unwrap()),
        Err(error) => println!("result: {error}"),
    }
}
