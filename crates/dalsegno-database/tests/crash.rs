//! Processes killed in the middle of a restore or a rollback.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dalsegno_database::Quiet;
use dalsegno_database::RollbackOptions;
use dalsegno_database::sqlite::{
    self, Recovered, ReplaceReason, Source, SwitchMethod, Switched, Target,
};
use support::{SWITCH, Site, WAIT, filled, oracle, oracle_of};

const LIVE: &str = "DALSEGNO_TEST_LIVE";
const BACKUP: &str = "DALSEGNO_TEST_BACKUP";
const RECORD: &str = "DALSEGNO_TEST_RECORD";

/// Runs only as the child of the tests below: one restore, or one rollback if there is a record.
#[test]
fn child() {
    let Some(live) = std::env::var_os(LIVE).map(PathBuf::from) else { return };
    if let Ok(record) = std::env::var(RECORD) {
        let switched: Switched = serde_json::from_str(&record).unwrap();
        let options = RollbackOptions { lock_timeout: WAIT, force: true };
        sqlite::rollback(&switched, options, &mut Quiet).unwrap();
        return;
    }
    let bytes = std::fs::read(std::env::var_os(BACKUP).unwrap()).unwrap();
    let staged = Target::new(&live, "r1")
        .unwrap()
        .stage(&mut &bytes[..], bytes.len() as u64, &mut Quiet)
        .unwrap();
    staged.switch(SWITCH, &mut Quiet).unwrap();
}

/// Runs the child and kills it after `delay`; says whether it had ended by itself.
fn killed_after(command: &mut Command, delay: Option<Duration>) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    match delay {
        Some(delay) => sleep(delay),
        None => assert!(child.wait().unwrap().success()),
    }
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    ended
}

fn hash(site: &Site) -> String {
    sqlite::content_hash(Source::Live(&site.live, WAIT), &mut Quiet).unwrap()
}

fn command() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--test-threads=1"]);
    command
}

fn kill_everywhere(first: &str, before: u32, after: u32) {
    let source = Site::with(&filled("backup", after));
    let (_, bytes) = source.capture();
    let backup = source.folder.path().join("backup");
    std::fs::write(&backup, &bytes).unwrap();
    let new = oracle_of(&bytes);
    let site = Site::with(&format!("{first}{}", filled("live", before)));
    let old = oracle(&site.live);
    let restore = || {
        let mut command = command();
        command.env(LIVE, &site.live).env(BACKUP, &backup);
        command
    };
    let start = Instant::now();
    assert!(restore().stdout(Stdio::null()).status().unwrap().success());
    let whole = start.elapsed();
    let (mut undone, mut switched, rounds) = (0, 0, 10_u32);
    for round in 0..=rounds {
        if let Recovered::Switched(record) = site.target("r1").recover(WAIT).unwrap() {
            let options = RollbackOptions { lock_timeout: WAIT, force: false };
            sqlite::rollback(&record, options, &mut Quiet).unwrap();
        }
        let delay = (round < rounds).then(|| whole * round / rounds);
        let ended = killed_after(&mut restore(), delay);
        let now = oracle(&site.live);
        let before = hash(&site);
        let found = site.target("r1").recover(WAIT).unwrap();
        assert_eq!(hash(&site), before, "recovery changed the database");
        match found {
            Recovered::Switched(record) => {
                switched += 1;
                assert!(now == new, "recovery says new, the database is not ({first}, {round})");
                if round % 4 == 0 || round == rounds {
                    assert_eq!(oracle(record.kept.as_ref().unwrap()), old);
                }
                if matches!(record.method, SwitchMethod::Replace(ReplaceReason::PageSize { .. })) {
                    assert!(first.contains("page_size"));
                }
            }
            Recovered::Undone | Recovered::Nothing => {
                undone += 1;
                assert!(!ended, "a finished restore was undone");
                assert!(now == old, "recovery says old, the database is not ({first}, {round})");
                // A journal that was never synced is no hot one; SQLite leaves it lying.
                let left = sqlite::leftovers(&site.live).unwrap();
                assert!(left.is_empty(), "{left:?}");
            }
        }
    }
    assert!(undone > 0, "no kill came before the switch");
    assert!(switched > 0, "no kill came after the switch");
}

#[test]
fn a_killed_restore_leaves_old_or_new_in_wal_mode() {
    kill_everywhere("PRAGMA journal_mode = wal;", 1500, 2500);
}

#[test]
fn a_killed_restore_leaves_old_or_new_in_delete_mode() {
    kill_everywhere("", 1500, 2500);
}

#[test]
fn a_killed_restore_that_shrinks_leaves_old_or_new() {
    kill_everywhere("", 4000, 300);
}

#[test]
fn a_killed_replacement_leaves_old_or_new() {
    kill_everywhere("PRAGMA page_size = 8192; PRAGMA journal_mode = wal;", 1500, 2500);
}

#[test]
fn a_killed_rollback_leaves_old_or_new_and_can_be_run_again() {
    for first in ["PRAGMA journal_mode = wal;", "", "PRAGMA page_size = 1024;"] {
        let source = Site::with(&filled("backup", 1000));
        let (captured, bytes) = source.capture();
        let new = oracle_of(&bytes);
        let site = Site::with(&format!("{first}{}", filled("live", 1500)));
        let old = oracle(&site.live);
        for delay in [12, 25, 40, 90] {
            let switched = site.restore("r1", &captured, &bytes);
            let mut command = command();
            command.env(LIVE, &site.live).env(RECORD, serde_json::to_string(&switched).unwrap());
            let ended = killed_after(&mut command, Some(Duration::from_millis(delay)));
            let now = oracle(&site.live);
            assert!(now == old || (now == new && !ended), "mixed after {delay} ms ({first})");
            if !ended {
                let options = RollbackOptions { lock_timeout: WAIT, force: true };
                match sqlite::rollback(&switched, options, &mut Quiet) {
                    Ok(_) => {}
                    Err(error) => assert!(now == old, "{error}"),
                }
            }
            assert_eq!(oracle(&site.live), old, "after {delay} ms ({first})");
            sqlite::discard(&site.target("r1")).unwrap();
            assert!(sqlite::leftovers(&site.live).unwrap().is_empty());
        }
    }
}
