//! Other users' files, folders that may not be written, and what root leaves behind.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use dalsegno_testkit::{Site, is_root};

use super::{Peer, describe, everything, make};
use crate::{BINARY, backup, ok, restore};

const NOBODY: u32 = 65534;
const NAME: &str = "data/site.db";

/// A site whose database lies in a folder of its own.
fn site_of(sql: &str) -> Site {
    let site = Site::empty();
    fs::create_dir(site.path("data")).expect("it is new");
    describe(&site, NAME);
    make(&site.path(NAME), sql);
    site
}

fn set_mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("modes can be set");
}

/// The folder and everything in it belong to `nobody`, who can reach it.
fn given_to_nobody(site: &Site) {
    for above in [site.outside(""), site.root()] {
        set_mode(above, 0o755);
    }
    let folder = site.path("data");
    for name in site.names("data") {
        chown(folder.join(name), Some(NOBODY), Some(NOBODY)).expect("root may do that");
    }
    chown(folder, Some(NOBODY), Some(NOBODY)).expect("root may do that");
}

fn owners(site: &Site) -> Vec<(String, u32)> {
    let owner = |name: String| {
        let uid = fs::symlink_metadata(site.path("data").join(&name)).expect("it is there").uid();
        (name, uid)
    };
    site.names("data").into_iter().map(owner).collect()
}

#[test]
fn what_root_leaves_beside_a_database_belongs_to_the_site() {
    if !is_root() {
        return;
    }
    for mode in ["wal", "delete"] {
        let first = format!("PRAGMA journal_mode = {mode};");
        let site = site_of(&format!("{first} CREATE TABLE t (a); INSERT INTO t VALUES (1)"));
        given_to_nobody(&site);
        backup(&site, "b", &[]);
        assert_eq!(owners(&site), [("site.db".to_owned(), NOBODY)], "{mode}");
        // While the site runs, its own sidecars stay what they are.
        let mut peer = Peer::as_nobody(&site.path(NAME));
        peer.run("INSERT INTO t VALUES (2)");
        backup(&site, "c", &[]);
        let id = restore(&site, &["b"]);
        for (name, uid) in owners(&site) {
            assert_eq!(uid, NOBODY, "{mode}: {name}");
        }
        assert_eq!(peer.ask("SELECT a FROM t"), "ok [(1,)]", "{mode}");
        peer.run("INSERT INTO t VALUES (3)");
        peer.close();
        ok(&site, &["rollback", &id, "--force"]);
        let mut peer = Peer::as_nobody(&site.path(NAME));
        assert_eq!(peer.ask("SELECT a FROM t"), "ok [(1,), (2,)]", "{mode}");
        peer.run("INSERT INTO t VALUES (4)");
        peer.close();
        for (name, uid) in owners(&site) {
            assert_eq!(uid, NOBODY, "{mode}: {name}");
        }
    }
}

#[test]
fn the_shared_memory_of_another_user_is_used_or_said_to_be_in_the_way() {
    if !is_root() {
        return;
    }
    let site = site_of("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1)");
    given_to_nobody(&site);
    let mut peer = Peer::as_nobody(&site.path(NAME));
    peer.run("INSERT INTO t VALUES ('in the log')");
    // Readable for all but the shared memory: without it nobody can tell what the log holds.
    set_mode(site.path(NAME), 0o644);
    set_mode(site.path("data/site.db-wal"), 0o644);
    set_mode(site.path("data/site.db-shm"), 0o600);
    let refused = site.call(BINARY, &["-q", "backup"]).unprivileged().run().expect(1);
    assert!(refused.stderr.contains("with the rights of this user"), "{refused}");
    assert!(refused.stderr.contains("hint: Run as the user of the site"), "{refused}");
    assert_eq!(site.names("backups"), [""; 0]);
    let path = backup(&site, "b", &["--form", "folder"]);
    let copy = site.outside("copy");
    fs::copy(path.join("database/default/db.sqlite3"), &copy).expect("it can be copied");
    assert_eq!(site.ask(&copy, "SELECT count(*) FROM t"), "2");
    peer.run("INSERT INTO t VALUES ('goes on')");
    peer.close();
}

#[test]
fn a_folder_that_may_not_be_written_is_read_or_refused_in_clear_words() {
    for mode in ["wal", "delete"] {
        let site = site_of(&format!(
            "PRAGMA journal_mode = {mode}; CREATE TABLE t (a); INSERT INTO t VALUES (1)"
        ));
        let before = everything(&site.path(NAME));
        set_mode(site.path(NAME), 0o444);
        set_mode(site.path("data"), 0o555);
        let answer = site
            .call(BINARY, &["-q", "backup", "--filename", "b", "--form", "folder"])
            .unprivileged()
            .run();
        set_mode(site.path("data"), 0o755);
        set_mode(site.path(NAME), 0o644);
        if mode == "wal" {
            // A reader of a log needs shared memory, and cannot make any.
            assert_eq!(answer.code, 1, "{answer}");
            assert!(answer.stderr.contains("is read-only for this user"), "{answer}");
            assert!(answer.stderr.contains("hint: Run as the user of the site"), "{answer}");
            assert_eq!(site.names("backups"), [""; 0]);
        } else {
            assert_eq!(answer.code, 0, "{answer}");
            let stored = site.path("backups/b/database/default/db.sqlite3");
            assert_eq!(everything(&stored), before);
        }
        assert_eq!(site.names("data"), ["site.db"], "{mode}");
    }
}

#[test]
fn a_hot_journal_that_may_not_be_played_back_is_refused_in_clear_words() {
    let site = site_of(&super::filled("t", 3000));
    let mut writer = Peer::new(&site.path(NAME));
    writer.run("PRAGMA cache_size = 5");
    writer.run("BEGIN IMMEDIATE");
    writer.run("UPDATE t SET word = 'half'");
    writer.kill();
    let torn = fs::read(site.path(NAME)).expect("it is there");
    set_mode(site.path(NAME), 0o444);
    set_mode(site.path("data"), 0o555);
    let answer = site.call(BINARY, &["-q", "backup"]).unprivileged().run();
    set_mode(site.path("data"), 0o755);
    set_mode(site.path(NAME), 0o644);
    assert_eq!(answer.code, 1, "{answer}");
    assert!(answer.stderr.contains("needs recovery after a crash"), "{answer}");
    assert_eq!(fs::read(site.path(NAME)).expect("it is there"), torn);
    assert_eq!(site.names("backups"), [""; 0]);
    backup(&site, "b", &[]);
    assert_eq!(site.ask(NAME, "SELECT count(*) FROM t WHERE word = 't'"), "3000");
}
