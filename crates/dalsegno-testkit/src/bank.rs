//! A process that moves money all the time: whoever reads half of a transfer sees another sum.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::python::{python, run_python};

/// The sum of all accounts, at any moment at which a transaction is over.
pub const BANK_SUM: i64 = 100_000;

const WRITER: &str = r#"
import random, sqlite3, sys, threading
path, journal = sys.argv[1:]
db = sqlite3.connect(path, timeout=30, isolation_level=None)
db.execute(f"PRAGMA journal_mode = {journal}")
db.execute("CREATE TABLE IF NOT EXISTS bank (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, pad TEXT)")
if not db.execute("SELECT count(*) FROM bank").fetchone()[0]:
    db.execute("BEGIN")
    db.executemany("INSERT INTO bank VALUES (?, 1000, ?)", [(n, "x" * 3000) for n in range(100)])
    db.execute("COMMIT")
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
rng = random.Random(1)
print("ready", flush=True)
transfers = 0
while not stop.is_set():
    db.execute("BEGIN IMMEDIATE")
    a, b = rng.sample(range(100), 2)
    amount = rng.randrange(1, 50)
    db.execute("UPDATE bank SET balance = balance - ? WHERE id = ?", (amount, a))
    found = db.execute("SELECT count(*), sum(balance) + ? FROM bank", (amount,)).fetchone()
    assert found == (100, 100000), found
    db.execute("UPDATE bank SET balance = balance + ? WHERE id = ?", (amount, b))
    db.execute("COMMIT")
    transfers += 1
    # Readers in rollback-journal mode need a gap to get in.
    stop.wait(0.001)
print(transfers, flush=True)
"#;

/// The process. It ends, with a panic of the test, when it ever reads another sum than
/// [`BANK_SUM`].
#[derive(Debug)]
pub struct Bank {
    child: Child,
}

impl Bank {
    /// Opens a bank in a database (table `bank`, 100 accounts) and begins to move money.
    /// `journal` is SQLite's journal mode: `wal` or `delete`.
    pub fn open(database: &Path, journal: &str) -> Self {
        let mut child = Command::new(python())
            .args(["-c", WRITER])
            .arg(database)
            .arg(journal)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python starts");
        let mut line = String::new();
        let mut out = BufReader::with_capacity(1, child.stdout.as_mut().expect("it is piped"));
        out.read_line(&mut line).expect("its output can be read");
        assert_eq!(line, "ready\n", "the bank did not open");
        Self { child }
    }

    /// Ends it; gives back the number of transfers.
    pub fn close(mut self) -> u64 {
        let mut stdin = self.child.stdin.take().expect("it is piped");
        stdin.flush().expect("the pipe is open");
        drop(stdin);
        let mut line = String::new();
        let mut out = BufReader::new(self.child.stdout.take().expect("it is piped"));
        out.read_line(&mut line).expect("its output can be read");
        let status = self.child.wait().expect("it can be waited for");
        assert!(status.success(), "the bank failed: {status}");
        line.trim().parse().expect("it prints the number of transfers")
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The sum of all accounts in a database.
pub fn bank_sum(database: &Path) -> i64 {
    let program = "import sqlite3, sys; \
        print(sqlite3.connect(sys.argv[1]).execute('SELECT sum(balance) FROM bank').fetchone()[0])";
    run_python(program, &[database]).trim().parse().expect("a sum is a number")
}
