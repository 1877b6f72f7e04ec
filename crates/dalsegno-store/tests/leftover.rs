//! What killed processes leave in a folder, and what is taken for theirs.
#![allow(clippy::unwrap_used, reason = "a failure is what a test is for")]

use std::fs;
use std::path::Path;
use std::process::Command;

use dalsegno_store::{FolderOptions, Life, LocalFolder, ObjectName, is_local, leftovers, sweep};

fn name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// As a process that was killed leaves it: nobody has it locked.
fn leave(folder: &Path, held: &str) {
    fs::write(folder.join(format!("{held}.held")), "pid 7 locked\n").unwrap();
}

#[test]
fn a_sweep_takes_what_is_dead_and_leaves_what_may_live() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path();
    let store = LocalFolder::open(folder, FolderOptions::default()).unwrap();
    let living = store.stage(&name("living.tar")).unwrap();
    fs::write(living.path(), "half").unwrap();
    let claim = store.claim("b").unwrap().unwrap();

    fs::write(folder.join(".file.tar.7-0.partial"), "half").unwrap();
    leave(folder, ".file.tar.7-0.partial");
    fs::create_dir(folder.join(".tree.7-1.partial")).unwrap();
    fs::write(folder.join(".tree.7-1.partial/x"), "half").unwrap();
    leave(folder, ".tree.7-1.partial");
    leave(folder, ".published.tar.7-2.partial");
    leave(folder, ".backup_1.claim");
    fs::create_dir(folder.join(".gone.7-3.removed")).unwrap();
    fs::write(folder.join(".gone.7-3.removed/x"), "half").unwrap();

    fs::write(folder.join(".unheld.tar.7-4.partial"), "whose?").unwrap();
    fs::write(folder.join(".theirs"), "of another program").unwrap();
    leave(folder, ".theirs");
    fs::write(folder.join(".trash.removed"), "of another program").unwrap();
    fs::write(folder.join("backup.tar"), "a backup").unwrap();

    let before = names(folder);
    let judged = leftovers(folder).unwrap();
    assert_eq!(names(folder), before, "looking changes nothing");
    let alive = judged.iter().filter(|l| l.life == Life::Alive).count();
    assert_eq!(alive, 2, "{judged:?}");

    let swept = sweep(folder).unwrap();
    assert!(swept.failed.is_empty(), "{swept:?}");
    let mut objects: Vec<_> =
        swept.removed.iter().filter_map(|l| l.object.as_ref()).map(ObjectName::as_str).collect();
    objects.sort_unstable();
    assert_eq!(objects, ["file.tar", "gone", "published.tar", "tree"]);
    let own = living.path().file_name().unwrap().to_str().unwrap();
    let mut expected = vec![
        own.to_owned(),
        format!("{own}.held"),
        ".b.claim.held".to_owned(),
        ".theirs".to_owned(),
        ".theirs.held".to_owned(),
        ".trash.removed".to_owned(),
        ".unheld.tar.7-4.partial".to_owned(),
        "backup.tar".to_owned(),
    ];
    expected.sort();
    assert_eq!(names(folder), expected);
    drop((living, claim));
    assert!(!names(folder).iter().any(|n| n.starts_with(".living") || n.starts_with(".b.")));
}

#[test]
fn a_name_is_claimed_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = LocalFolder::open(dir.path(), FolderOptions::default()).unwrap();
    let claim = store.claim("b").unwrap();
    assert!(claim.is_some() && store.claim("b").unwrap().is_none());
    drop(claim);
    assert!(store.claim("b").unwrap().is_some());
}

#[test]
fn a_missing_folder_has_nothing() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(leftovers(&dir.path().join("none")).unwrap(), []);
    assert!(sweep(&dir.path().join("none")).unwrap().removed.is_empty());
}

/// Runs one ignored test of this program where it may mount what it likes and nobody sees it.
fn with_own_mounts(test: &str) {
    let flags = if rustix::process::geteuid().is_root() { "-mi" } else { "-rmi" };
    let mut command = Command::new("unshare");
    command.arg(flags).arg(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--ignored", "--nocapture"]).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn a_free_lock_proves_nothing_on_a_file_system_that_is_not_known_to_be_local() {
    with_own_mounts("on_a_strange_file_system");
}

#[test]
#[ignore = "run by a_free_lock_proves_nothing_on_a_file_system_that_is_not_known_to_be_local"]
fn on_a_strange_file_system() {
    let dir = tempfile::tempdir().unwrap();
    // The one of message queues keeps files and locks, and is in nobody's list.
    let mount = Command::new("mount").args(["-t", "mqueue", "none"]).arg(dir.path()).status();
    assert!(mount.unwrap().success());
    assert!(!is_local(dir.path()).unwrap());
    let held = dir.path().join(".a.tar.7-0.partial.held");
    fs::File::create_new(&held).unwrap();
    let judged = leftovers(dir.path()).unwrap();
    assert!(
        matches!(judged[..], [ref left] if matches!(left.life, Life::Unknown(_))),
        "{judged:?}"
    );
    assert!(sweep(dir.path()).unwrap().removed.is_empty());
    assert!(held.exists());
    let ended = Command::new("umount").arg(dir.path()).status();
    assert!(ended.unwrap().success());
}
