//! Restores and rollbacks while the site commits at full speed.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use dalsegno_database::Quiet;
use dalsegno_database::RollbackOptions;
use dalsegno_database::sqlite;
use rusqlite::Connection;
use support::{SWITCH, Site, WAIT};

/// Moves money, writes down the number of each transfer, and prints it once it is committed.
const BANK: &str = r#"
import sqlite3, sys, random, os
c = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
n = 0
while not os.path.exists(sys.argv[2]):
    n += 1
    a, b = random.sample(range(1000), 2)
    c.execute("BEGIN IMMEDIATE")
    c.execute("UPDATE account SET money = money - 7 WHERE id = ?", (a,))
    c.execute("UPDATE account SET money = money + 7 WHERE id = ?", (b,))
    c.execute("INSERT INTO log VALUES (?)", (n,))
    c.execute("COMMIT")
    print(n, flush=True)
"#;

fn bank(mode: &str) -> Site {
    Site::with(&format!(
        "PRAGMA journal_mode = {mode};
         CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER, pad TEXT);
         CREATE TABLE log (n INTEGER PRIMARY KEY);
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
         INSERT INTO account SELECT i, 100, hex(zeroblob(1500)) FROM n;"
    ))
}

fn sum_and_log(path: &Path) -> (i64, BTreeSet<i64>) {
    let connection = Connection::open(path).unwrap();
    let sum = connection.query_row("SELECT sum(money) FROM account", [], |row| row.get(0)).unwrap();
    let log = connection
        .prepare("SELECT n FROM log")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    (sum, log)
}

#[test]
fn no_acknowledged_commit_falls_between_the_kept_copy_and_the_switch() {
    for mode in ["wal", "delete"] {
        let site = bank(mode);
        let (captured, bytes) = site.capture();
        let stop = site.folder.path().join("stop");
        let mut writer = Command::new("python3")
            .args(["-c", BANK])
            .args([&site.live, &stop])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut acknowledged = BTreeSet::new();
        let mut found = BTreeSet::new();
        for round in 0..4 {
            for _ in 0..20 {
                acknowledged.insert(lines.next().unwrap().unwrap().parse::<i64>().unwrap());
            }
            let id = format!("r{round}");
            let switched = site.restore(&id, &captured, &bytes);
            let (sum, log) = sum_and_log(switched.kept.as_ref().unwrap());
            assert_eq!(sum, 100_000, "{mode}: the kept copy is no single instant");
            found.extend(log);
            if round == 3 {
                // A forced rollback keeps what was committed since, to the last transfer.
                std::thread::sleep(Duration::from_millis(30));
                let options = RollbackOptions { lock_timeout: WAIT, force: true };
                let done = sqlite::rollback(&switched, options, &mut Quiet).unwrap();
                if let Some(present) = done.present {
                    let (sum, log) = sum_and_log(&present);
                    assert_eq!(sum, 100_000);
                    found.extend(log);
                }
            }
        }
        std::fs::write(&stop, "").unwrap();
        acknowledged.extend(lines.map(|line| line.unwrap().parse::<i64>().unwrap()));
        assert!(writer.wait().unwrap().success(), "{mode}: the writer saw an error");
        let (sum, log) = sum_and_log(&site.live);
        assert_eq!(sum, 100_000, "{mode}");
        found.extend(log);
        let lost: Vec<_> = acknowledged.difference(&found).collect();
        assert!(lost.is_empty(), "{mode}: lost {lost:?}");
        let answer = site.peer().ask("PRAGMA integrity_check");
        assert_eq!(answer, "ok [('ok',)]");
    }
}

/// What a reader sees in one transaction is all old or all new.
#[test]
fn twenty_readers_see_each_restore_whole() {
    const READER: &str = r#"
import sqlite3, sys, os
c = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
seen = set()
while not os.path.exists(sys.argv[2]):
    c.execute("BEGIN")
    a = c.execute("SELECT text FROM note").fetchall()
    b = c.execute("SELECT count(*), min(mark), max(mark) FROM big").fetchall()
    c.execute("COMMIT")
    assert a[0][0] == b[0][1] == b[0][2], (a, b)
    assert b[0][0] == {"one": 300, "two": 700}[a[0][0]], (a, b)
    seen.add(a[0][0])
"#;
    let sql = |mark: &str, rows: u32| {
        format!(
            "CREATE TABLE note (text); INSERT INTO note VALUES ('{mark}');
             CREATE TABLE big (id INTEGER PRIMARY KEY, mark TEXT, pad TEXT);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO big SELECT i, '{mark}', hex(zeroblob(400)) FROM n;"
        )
    };
    for mode in ["wal", "delete"] {
        let site = Site::with(&format!("PRAGMA journal_mode = {mode}; {}", sql("one", 300)));
        let other = Site::with(&sql("two", 700));
        let backups = [other.capture().1, site.capture().1];
        let stop = site.folder.path().join("stop");
        let readers: Vec<_> = (0..20)
            .map(|_| {
                Command::new("python3")
                    .args(["-c", READER])
                    .args([&site.live, &stop])
                    .spawn()
                    .unwrap()
            })
            .collect();
        for round in 0..6 {
            std::thread::sleep(Duration::from_millis(40));
            let id = format!("r{round}");
            site.stage(&id, &backups[round % 2]).switch(SWITCH, &mut Quiet).unwrap();
            sqlite::discard(&site.target(&id)).unwrap();
        }
        std::fs::write(&stop, "").unwrap();
        for mut reader in readers {
            assert!(reader.wait().unwrap().success(), "{mode}: a reader saw a mix");
        }
    }
}
