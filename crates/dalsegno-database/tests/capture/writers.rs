//! Captures while others write: each is one committed state.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Files, Site, filled, oracle, oracle_of, rows};
use dalsegno_database::Quiet;
use dalsegno_database::sqlite::{self, Location};
use dalsegno_format::ErrorKind;

#[test]
fn uncheckpointed_rows_are_captured_while_the_writer_goes_on() {
    let site =
        Site::with("PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    let mut peer = site.peer();
    peer.run("INSERT INTO t VALUES (2)");
    let mut snapshot =
        sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
    peer.run("INSERT INTO t VALUES (3)");
    let mut files = Files::default();
    let captured = snapshot.write(&mut files, &mut Quiet).unwrap();
    assert_eq!(rows(&captured.tables, "t"), Some(2));
    assert!(!captured.spooled);
    assert_eq!(captured.sqlite.as_ref().unwrap().journal_mode, "wal");
    let bytes = &files.0[sqlite::FILE_NAME];
    assert_eq!(bytes[18..20], [2, 2]);
    assert_eq!(bytes.len() % 4096, 0);
    drop(snapshot);
    peer.run("DELETE FROM t WHERE a = 3");
    peer.run("PRAGMA wal_checkpoint(TRUNCATE)");
    assert_eq!(oracle_of(bytes), oracle(&site.live));
    site.assert_no_spool();
}

#[test]
fn an_uncommitted_transaction_is_not_captured() {
    for mode in ["wal", "delete"] {
        let site = Site::with(&format!("PRAGMA journal_mode = {mode}; CREATE TABLE t (a);"));
        let mut peer = site.peer();
        peer.run("BEGIN IMMEDIATE");
        peer.run("INSERT INTO t VALUES (1)");
        let (captured, _) = site.capture();
        assert_eq!(rows(&captured.tables, "t"), Some(0), "{mode}");
        peer.run("COMMIT");
        let (captured, _) = site.capture();
        assert_eq!(rows(&captured.tables, "t"), Some(1), "{mode}");
    }
}

/// Moves money between accounts; the sum never changes.
const BANK: &str = r#"
import sqlite3, sys, random
c = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
n = 0
while True:
    a, b = random.sample(range(1000), 2)
    c.execute("BEGIN IMMEDIATE")
    c.execute("UPDATE account SET money = money - 7 WHERE id = ?", (a,))
    c.execute("UPDATE account SET money = money + 7 WHERE id = ?", (b,))
    c.execute("COMMIT")
    n += 1
    if n == 50:
        print("running", flush=True)
"#;

#[test]
fn every_capture_under_a_busy_writer_has_the_right_sum() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    for mode in ["wal", "delete"] {
        let site = Site::with(&format!(
            "PRAGMA journal_mode = {mode};
             CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER, pad TEXT);
             WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
             INSERT INTO account SELECT i, 100, hex(zeroblob(200)) FROM n;"
        ));
        let mut writer = Command::new("python3")
            .args(["-c", BANK])
            .arg(&site.live)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(writer.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..8 {
            let (_, bytes) = site.capture();
            let folder = tempfile::tempdir().unwrap();
            let copy = folder.path().join("copy");
            fs::write(&copy, &bytes).unwrap();
            let sum: (i64, i64) = rusqlite::Connection::open(&copy)
                .unwrap()
                .query_row("SELECT sum(money), count(*) FROM account", [], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .unwrap();
            assert_eq!(sum, (100_000, 1000), "{mode}");
            seen.insert(bytes);
        }
        assert!(seen.len() > 1, "the writer stood still");
        assert!(writer.try_wait().unwrap().is_none(), "the writer failed");
        writer.kill().unwrap();
        writer.wait().unwrap();
    }
}

#[test]
fn a_hot_journal_is_played_back() {
    let site = Site::with(&filled("old", 3000));
    let before = oracle(&site.live);
    let mut peer = site.peer();
    peer.run("PRAGMA cache_size = 5");
    peer.run("BEGIN IMMEDIATE");
    peer.run("UPDATE big SET data = 'half' || data");
    peer.kill();
    assert_eq!(site.others(), ["live db.sqlite3-journal"]);
    let (_, bytes) = site.capture();
    assert_eq!(oracle_of(&bytes), before);
    assert!(site.others().is_empty());
}

#[test]
fn an_exclusive_holder_is_named_after_a_bounded_wait() {
    let site = Site::with("CREATE TABLE t (a)");
    let mut peer = site.peer();
    peer.run("BEGIN EXCLUSIVE");
    let mut options = site.options();
    options.lock_timeout = Duration::from_millis(200);
    let start = Instant::now();
    let error = site.try_capture(&options).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&format!("it is in use by {} (`", peer.pid())), "{error}");
    peer.run("ROLLBACK");
    site.try_capture(&options).unwrap();
}
