//! The site goes on while it is restored.

use std::process::{Command, Stdio};

use dalsegno_testkit::{BANK_SUM, Bank, Site, bank_sum, python};

use crate::{backup, ok};

#[test]
fn the_site_may_read_and_write_throughout() {
    for journal in ["wal", "delete"] {
        let site = Site::plain();
        let bank = Bank::open(&site.path("db.sqlite3"), journal);
        backup(&site, "b", &[]);
        let mut reader = reader(&site);
        for _ in 0..3 {
            ok(&site, &["restore", "b", "--force", "--skip-media"]);
        }
        assert!(bank.close() > 0);
        drop(reader.stdin.take());
        let read = reader.wait_with_output().expect("it can be waited for");
        assert!(read.status.success(), "{journal}: {}", String::from_utf8_lossy(&read.stderr));
        assert_eq!(bank_sum(&site.path("db.sqlite3")), BANK_SUM, "{journal}");
        assert_eq!(site.ask("db.sqlite3", "PRAGMA integrity_check"), "ok", "{journal}");
        assert_eq!(site.ask("db.sqlite3", "PRAGMA journal_mode"), journal);
    }
}

/// Reads the bank over one connection, again and again, until its input ends.
fn reader(site: &Site) -> std::process::Child {
    let program = "
import sqlite3, sys, threading
db = sqlite3.connect(sys.argv[1], timeout=30)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
while not stop.wait(0.002):
    found = db.execute('SELECT count(*), sum(balance) FROM bank').fetchone()
    assert found == (100, 100000), found
    assert db.execute('SELECT count(*) FROM book').fetchone() == (200,)
";
    Command::new(python())
        .args(["-c", program])
        .arg(site.path("db.sqlite3"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts")
}
