//! A bank whose every transfer has a number, written down once it is committed: what a copy of the
//! database lacks can be told.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::bank::BANK_SUM;
use crate::python::{python, run_python};
use crate::site::Site;

const MAKE: &str = r#"
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute(f"PRAGMA journal_mode = {sys.argv[2]}")
db.executescript("""
BEGIN;
CREATE TABLE bank (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, pad TEXT);
CREATE TABLE ledger (writer INTEGER, n INTEGER, PRIMARY KEY (writer, n)) WITHOUT ROWID;
""")
db.executemany("INSERT INTO bank VALUES (?, 1000, ?)", [(n, "x" * 3000) for n in range(100)])
db.execute("COMMIT")
"#;

const WRITER: &str = r#"
import json, os, random, sqlite3, sys, threading, time
path, me, log, pause = sys.argv[1], int(sys.argv[2]), sys.argv[3], float(sys.argv[4])
# Five seconds is what Python and Django wait by default.
db = sqlite3.connect(path, timeout=5, isolation_level=None)
log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
rng = random.Random(me)
n, longest = 0, 0.0
while not stop.is_set():
    n += 1
    begun = time.monotonic()
    db.execute("BEGIN IMMEDIATE")
    a, b = rng.sample(range(100), 2)
    amount = rng.randrange(1, 50)
    db.execute("UPDATE bank SET balance = balance - ? WHERE id = ?", (amount, a))
    db.execute("UPDATE bank SET balance = balance + ? WHERE id = ?", (amount, b))
    db.execute("INSERT INTO ledger VALUES (?, ?)", (me, n))
    db.execute("COMMIT")
    longest = max(longest, time.monotonic() - begun)
    os.write(log, b"%d\n" % n)
    os.fsync(log)
    if pause:
        time.sleep(pause)
print(json.dumps({"count": n, "longest": longest}))
"#;

const READER: &str = r#"
import json, sqlite3, sys, threading, time
path = sys.argv[1]
db = sqlite3.connect(path, timeout=5, isolation_level=None)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
looks, longest = 0, 0.0
while not stop.is_set():
    begun = time.monotonic()
    db.execute("BEGIN")
    found = db.execute("SELECT count(*), sum(balance) FROM bank").fetchone()
    assert found == (100, 100000), found
    longest = max(longest, time.monotonic() - begun)
    if looks % 50 == 0:
        assert db.execute("PRAGMA quick_check").fetchone() == ("ok",)
    db.execute("COMMIT")
    looks += 1
    time.sleep(0.005)
print(json.dumps({"count": looks, "longest": longest}))
"#;

const BOOK: &str = r#"
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30)
numbers = {}
db.execute("BEGIN")
for writer, n in db.execute("SELECT writer, n FROM ledger ORDER BY writer, n"):
    numbers.setdefault(writer, []).append(n)
total = db.execute("SELECT sum(balance) FROM bank").fetchone()[0]
db.execute("COMMIT")
print(json.dumps({"sum": total, "check": db.execute("PRAGMA integrity_check").fetchone()[0], "numbers": numbers}))
"#;

/// The bank: processes that move money as fast as they can, and one that reads.
#[derive(Debug)]
pub struct Ledger {
    writers: Vec<Child>,
    reader: Child,
    logs: Vec<PathBuf>,
}

/// What processes of a bank did until it was closed.
#[derive(Debug, Clone, Copy)]
pub struct Worked {
    /// Transfers, or looks of the reader.
    pub count: u64,
    /// The longest time one of them took, waiting included.
    pub longest: Duration,
}

impl Ledger {
    /// Opens a bank in a database of a site (tables `bank` and `ledger` are made) in SQLite's journal
    /// mode `wal` or `delete`. Each writer rests that long after a transfer.
    pub fn open(site: &Site, database: &str, journal: &str, writers: u32, rest: Duration) -> Self {
        let path = site.path(database);
        run_python(MAKE, &[path.as_os_str(), journal.as_ref()]);
        let start = |program: &str, args: &[&str]| {
            let mut command = Command::new(python());
            command.args(["-c", program]).arg(&path).args(args);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts")
        };
        let log = |n: u32| site.outside(format!("{database}.{n}.log"));
        let logs: Vec<PathBuf> = (0..writers).map(log).collect();
        let rest = rest.as_secs_f64().to_string();
        let writers = logs.iter().enumerate().map(|(n, log)| {
            let log = log.to_str().expect("the paths of the tests are text");
            start(WRITER, &[&n.to_string(), log, &rest])
        });
        let ledger = Self { writers: writers.collect(), reader: start(READER, &[]), logs };
        ledger.advance(3);
        ledger
    }

    /// For each writer the number of the last transfer it knows to be committed; all before it are
    /// too.
    pub fn acknowledged(&self) -> Vec<u64> {
        let last = |log: &PathBuf| {
            let text = fs::read_to_string(log).unwrap_or_default();
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            whole.lines().last().map_or(0, |n| n.parse().expect("it is a number"))
        };
        self.logs.iter().map(last).collect()
    }

    /// Waits until each writer has made this many transfers more.
    #[track_caller]
    pub fn advance(&self, transfers: u64) {
        let (before, begun) = (self.acknowledged(), Instant::now());
        while self.acknowledged().iter().zip(&before).any(|(now, then)| *now < then + transfers) {
            assert!(begun.elapsed() < Duration::from_secs(30), "a writer stands still");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Ends it: the writers, then the reader. None of them may have seen an error.
    #[track_caller]
    pub fn close(mut self) -> (Vec<Worked>, Worked) {
        let writers = self.writers.iter_mut().map(end).collect();
        (writers, end(&mut self.reader))
    }
}

#[track_caller]
fn end(child: &mut Child) -> Worked {
    #[derive(Deserialize)]
    struct Line {
        count: u64,
        longest: f64,
    }
    drop(child.stdin.take());
    let mut said = String::new();
    let mut stdout = child.stdout.take().expect("it is piped");
    stdout.read_to_string(&mut said).expect("its output can be read");
    let status = child.wait().expect("it can be waited for");
    assert!(status.success(), "a process of the bank saw an error: {status}");
    let line: Line = serde_json::from_str(&said).expect("it prints a line of JSON");
    Worked { count: line.count, longest: Duration::from_secs_f64(line.longest) }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        for child in self.writers.iter_mut().chain([&mut self.reader]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The transfers that a copy of a bank holds.
#[derive(Debug, Deserialize)]
pub struct LedgerBook {
    sum: i64,
    check: String,
    numbers: BTreeMap<usize, Vec<u64>>,
}

impl LedgerBook {
    /// Reads a database; fails when it is damaged or shows half of a transfer.
    #[track_caller]
    pub fn of(database: &Path) -> Self {
        let said = run_python(BOOK, &[database]);
        let book: Self = serde_json::from_str(&said).expect("it prints JSON");
        assert_eq!(book.sum, BANK_SUM, "{}: half of a transfer", database.display());
        assert_eq!(book.check, "ok", "{}", database.display());
        book
    }

    /// Whether it holds a transfer.
    pub fn holds(&self, writer: usize, n: u64) -> bool {
        self.numbers.get(&writer).is_some_and(|numbers| numbers.binary_search(&n).is_ok())
    }

    /// The last transfer of a writer.
    pub fn last(&self, writer: usize) -> u64 {
        self.numbers.get(&writer).and_then(|numbers| numbers.last()).copied().unwrap_or(0)
    }
}
