//! Rollback, discard, and what a killed restore leaves.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;

use dalsegno_database::sqlite::{self, Recovered, RolledBack, SwitchMethod, Switched, leftovers};
use dalsegno_database::{DatabaseError, Quiet, Result, RollbackOptions};
use dalsegno_format::ErrorKind;
use support::{SWITCH, Site, WAIT, filled, oracle, oracle_of};

fn roll(switched: &Switched, force: bool) -> Result<RolledBack> {
    // Through JSON, as a journal would hand it on.
    let text = serde_json::to_string(switched).unwrap();
    let switched: Switched = serde_json::from_str(&text).unwrap();
    sqlite::rollback(&switched, RollbackOptions { lock_timeout: WAIT, force }, &mut Quiet)
}

/// In place in both journal modes, and replaced for another page size.
fn cases() -> Vec<(String, Site)> {
    ["PRAGMA journal_mode = wal;", "", "PRAGMA page_size = 8192; PRAGMA journal_mode = wal;"]
        .iter()
        .map(|first| ((*first).to_owned(), Site::with(&format!("{first}{}", filled("live", 300)))))
        .collect()
}

#[test]
fn a_rollback_brings_the_old_database_back() {
    let source = Site::with(&filled("backup", 500));
    let (captured, bytes) = source.capture();
    for (case, site) in cases() {
        let before = oracle(&site.live);
        let switched = site.restore("r1", &captured, &bytes);
        assert_eq!(oracle(&site.live), oracle_of(&bytes));
        let done = roll(&switched, false).unwrap();
        assert_eq!(done.method, switched.method);
        assert_eq!(done.present, None);
        assert_eq!(oracle(&site.live), before, "{case}");
        assert!(site.others().is_empty(), "{case}: {:?}", site.others());
        let error = roll(&switched, true).unwrap_err();
        assert!(matches!(error, DatabaseError::KeptMissing { .. }), "{error}");
    }
}

#[test]
fn writes_since_are_kept_and_need_force() {
    let source = Site::with(&filled("backup", 500));
    let (captured, bytes) = source.capture();
    for (case, site) in cases() {
        let before = oracle(&site.live);
        let switched = site.restore("r1", &captured, &bytes);
        let mut peer = site.peer();
        peer.run("INSERT INTO note VALUES (7, 'since')");
        drop(peer);
        let now = oracle(&site.live);
        let error = roll(&switched, false).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{case}: {error}");
        assert!(error.hint().unwrap().contains("--force"));
        assert_eq!(oracle(&site.live), now);
        let done = roll(&switched, true).unwrap();
        assert_eq!(oracle(&site.live), before, "{case}");
        let present = done.present.unwrap();
        assert_eq!(oracle(&present), now, "{case}");
        assert_eq!(leftovers(&site.live).unwrap(), [present]);
        sqlite::discard(&site.target("r1")).unwrap();
        assert!(site.others().is_empty(), "{case}: {:?}", site.others());
    }
}

#[test]
fn force_without_writes_keeps_nothing() {
    let source = Site::with(&filled("backup", 50));
    let (captured, bytes) = source.capture();
    for (case, site) in cases() {
        let before = oracle(&site.live);
        let switched = site.restore("r1", &captured, &bytes);
        assert_eq!(roll(&switched, true).unwrap().present, None);
        assert_eq!(oracle(&site.live), before, "{case}");
        assert!(site.others().is_empty(), "{case}: {:?}", site.others());
    }
}

/// Runs a rollback, and then again as if it had been killed when only the kept copy was still to be
/// removed.
fn roll_twice(
    site: &Site,
    switched: &Switched,
    between: impl FnOnce(),
) -> (RolledBack, RolledBack) {
    let kept = switched.kept.as_ref().unwrap();
    let bytes = fs::read(kept).unwrap();
    let first = roll(switched, true).unwrap();
    fs::write(kept, bytes).unwrap();
    between();
    let second = roll(switched, true).unwrap();
    assert_eq!(second.present, first.present);
    assert_eq!(leftovers(&site.live).unwrap(), Vec::from_iter(first.present.clone()));
    (first, second)
}

#[test]
fn a_rollback_that_died_when_it_tidied_up_keeps_nothing_that_is_live() {
    let source = Site::with(&filled("backup", 300));
    let (captured, bytes) = source.capture();
    for (case, site) in cases().into_iter().take(2) {
        let before = oracle(&site.live);
        let switched = site.restore("r1", &captured, &bytes);
        let (_, second) = roll_twice(&site, &switched, || {});
        assert_eq!(second.present, None, "{case}");
        assert_eq!(oracle(&site.live), before, "{case}");
    }
}

#[test]
fn what_a_rollback_kept_survives_its_kill_and_what_the_site_writes_then() {
    let source = Site::with(&filled("backup", 300));
    let (captured, bytes) = source.capture();
    for (case, site) in cases().into_iter().take(2) {
        let switched = site.restore("r1", &captured, &bytes);
        let write = |row: &str| site.peer().run(&format!("INSERT INTO note VALUES {row}"));
        write("(7, 'since the restore')");
        let kept = oracle(&site.live);
        let mut now = String::new();
        let (_, second) = roll_twice(&site, &switched, || {
            write("(8, 'since the rollback')");
            now = oracle(&site.live);
        });
        assert_eq!(oracle(&second.present.unwrap()), kept, "{case}: what was kept is lost");
        assert_eq!(oracle(&site.live), now, "{case}: what was written since is lost");
    }
}

#[test]
fn a_created_database_is_taken_away_again() {
    let source = Site::with(&filled("backup", 50));
    let (captured, bytes) = source.capture();
    let site = Site::new();
    let switched = site.restore("r1", &captured, &bytes);
    let mut peer = site.peer();
    peer.run("INSERT INTO note VALUES (7, 'since')");
    drop(peer);
    assert_eq!(roll(&switched, false).unwrap_err().kind(), ErrorKind::Refused);
    let done = roll(&switched, true).unwrap();
    assert!(!site.live.exists());
    assert!(oracle(&done.present.unwrap()).contains("b'note' 2 "));
    sqlite::discard(&site.target("r1")).unwrap();
    let switched = site.restore("r2", &captured, &bytes);
    roll(&switched, false).unwrap();
    assert!(!site.live.exists());
    assert!(site.others().is_empty());
}

#[test]
fn open_connections_live_through_restore_and_rollback() {
    for mode in ["wal", "delete"] {
        let source = Site::with("CREATE TABLE other (x, y); INSERT INTO other VALUES (1, 2);");
        let (captured, bytes) = source.capture();
        let site = Site::with(&format!("PRAGMA journal_mode = {mode}; {}", filled("live", 30)));
        let mut peer = site.peer();
        assert_eq!(peer.ask("SELECT text FROM note"), "ok [('live',)]");
        let switched = site.restore("r1", &captured, &bytes);
        assert_eq!(peer.ask("SELECT * FROM other"), "ok [(1, 2)]");
        assert_eq!(peer.ask("SELECT text FROM note"), "error no such table: note");
        roll(&switched, false).unwrap();
        assert_eq!(peer.ask("SELECT text FROM note"), "ok [('live',)]");
        peer.run("INSERT INTO note VALUES (2, 'goes on')");
        assert_eq!(peer.ask("PRAGMA integrity_check"), "ok [('ok',)]");
    }
}

#[test]
fn leftovers_before_the_switch_are_undone() {
    let site = Site::with(&filled("live", 30));
    let (_, bytes) = site.capture();
    let before = oracle(&site.live);
    let target = site.target("r1");
    assert_eq!(target.recover(WAIT).unwrap(), Recovered::Nothing);
    std::mem::forget(site.stage("r1", &bytes));
    fs::write(site.folder.path().join(".live db.sqlite3.dalsegno-r1.kept.part"), "half").unwrap();
    assert_eq!(leftovers(&site.live).unwrap().len(), 2);
    assert_eq!(target.recover(WAIT).unwrap(), Recovered::Undone);
    assert!(site.others().is_empty());
    assert_eq!(oracle(&site.live), before);
}

#[test]
fn a_half_replaced_database_is_put_back_with_its_log() {
    let site = Site::with(&format!("PRAGMA journal_mode = wal; {}", filled("live", 30)));
    let (_, bytes) = site.capture();
    let mut peer = site.peer();
    peer.run("INSERT INTO note VALUES (7, 'in the log')");
    peer.kill();
    let target = site.target("r1");
    for linked in [true, false] {
        std::mem::forget(site.stage("r1", &bytes));
        if linked {
            fs::hard_link(&site.live, target.kept()).unwrap();
        } else {
            fs::rename(&site.live, target.kept()).unwrap();
        }
        for suffix in ["-wal", "-shm"] {
            let from = format!("{}{suffix}", site.live.display());
            let to = format!("{}{suffix}", target.kept().display());
            fs::rename(from, to).unwrap();
        }
        assert_eq!(target.recover(WAIT).unwrap(), Recovered::Undone);
        assert_eq!(site.others(), ["live db.sqlite3-shm", "live db.sqlite3-wal"]);
    }
    assert!(oracle(&site.live).contains("b'note' 2 "));
}

#[test]
fn a_switch_that_died_after_its_commit_is_finished() {
    for mode in ["wal", "delete"] {
        let site = Site::with(&format!("PRAGMA journal_mode = {mode}; {}", filled("live", 300)));
        let before = oracle(&site.live);
        let source = Site::with(&filled("backup", 200));
        let (_, bytes) = source.capture();
        let switched = site.stage("r1", &bytes).switch(SWITCH, &mut Quiet).unwrap();
        // As if it had been killed before the staged copy went, and the site had gone on.
        fs::write(site.target("r1").staged(), &bytes).unwrap();
        let mut peer = site.peer();
        peer.run("CREATE TABLE since (a)");
        drop(peer);
        let Recovered::Switched(found) = site.target("r1").recover(WAIT).unwrap() else {
            panic!("not finished")
        };
        assert_eq!(found.method, SwitchMethod::InPlace);
        assert_eq!(found.kept, switched.kept);
        roll(&found, false).unwrap();
        assert_eq!(oracle(&site.live), before, "{mode}");
        // Killed before the commit, the kept copy is complete and the live database still old.
        std::mem::forget(site.stage("r2", &bytes));
        fs::copy(&site.live, site.target("r2").kept()).unwrap();
        assert_eq!(site.target("r2").recover(WAIT).unwrap(), Recovered::Undone);
        assert_eq!(oracle(&site.live), before, "{mode}");
        assert!(site.others().is_empty(), "{:?}", site.others());
    }
}

#[test]
fn a_killed_rollback_can_be_run_again() {
    let source = Site::with(&filled("backup", 50));
    let (captured, bytes) = source.capture();
    let site = Site::with(&filled("live", 30));
    let before = oracle(&site.live);
    let switched = site.restore("r1", &captured, &bytes);
    let kept = switched.kept.clone().unwrap();
    let copy = fs::read(&kept).unwrap();
    roll(&switched, false).unwrap();
    fs::write(&kept, copy).unwrap();
    let done = roll(&switched, false).unwrap();
    assert_eq!(done.pages_changed, 0);
    assert_eq!(oracle(&site.live), before);
    assert!(site.others().is_empty());
}

#[test]
fn a_forced_rollback_run_again_keeps_what_the_first_run_kept() {
    let source = Site::with(&filled("backup", 50));
    let (captured, bytes) = source.capture();
    let site = Site::with(&filled("live", 30));
    let before = oracle(&site.live);
    let switched = site.restore("r1", &captured, &bytes);
    let mut peer = site.peer();
    peer.run("INSERT INTO note VALUES (7, 'since')");
    drop(peer);
    let kept = switched.kept.clone().unwrap();
    let copy = fs::read(&kept).unwrap();
    let part = site.folder.path().join(".live db.sqlite3.dalsegno-r1.kept.part");
    // Killed while it was still keeping the present state ...
    fs::write(&part, "half").unwrap();
    roll(&switched, true).unwrap();
    // ... and again after its commit, before it tidied up.
    fs::write(&kept, copy).unwrap();
    let done = roll(&switched, true).unwrap();
    assert!(oracle(&done.present.unwrap()).contains("b'note' 2 "));
    assert_eq!(oracle(&site.live), before);
    assert!(!part.exists() && !kept.exists());
}
