//! Others who write meanwhile.

use std::fs;

use dalsegno_testkit::{BANK_SUM, Bank, bank_sum};

use super::{LIVE, Peer, filled, instead, live, restored, site_of};
use crate::backup;

#[test]
fn every_backup_under_a_busy_writer_is_of_one_instant() {
    for mode in ["wal", "delete"] {
        let site = site_of(&filled("ballast", 3000));
        let bank = Bank::open(&live(&site), mode);
        let mut states = Vec::new();
        for round in 0..3 {
            let path = backup(&site, &format!("b{round}"), &["--form", "folder"]);
            let copy = site.outside(format!("copy{round}"));
            fs::copy(path.join("database/default/db.sqlite3"), &copy).expect("it can be copied");
            assert_eq!(bank_sum(&copy), BANK_SUM, "{mode}");
            assert_eq!(site.ask(&copy, "PRAGMA integrity_check"), "ok", "{mode}");
            states.push(site.ask(&copy, "SELECT group_concat(balance) FROM bank"));
        }
        assert!(bank.close() > 0);
        states.dedup();
        assert!(states.len() > 1, "{mode}: the writer stood still");
    }
}

#[test]
fn what_another_process_has_not_committed_is_not_in_the_backup() {
    for mode in ["wal", "delete"] {
        let first = format!("PRAGMA journal_mode = {mode};");
        let site =
            site_of(&format!("{first} CREATE TABLE t (a); INSERT INTO t VALUES ('committed')"));
        let mut writer = Peer::new(&live(&site));
        writer.run("BEGIN IMMEDIATE");
        writer.run("INSERT INTO t VALUES ('not committed')");
        backup(&site, "b", &[]);
        // The backup neither ended that transaction nor was in its way.
        writer.run("COMMIT");
        assert_eq!(site.ask(LIVE, "SELECT count(*) FROM t"), "2", "{mode}");
        writer.close();
        instead(&site, &format!("{first} CREATE TABLE other (a)"));
        restored(&site, "b");
        assert_eq!(site.ask(LIVE, "SELECT group_concat(a) FROM t"), "committed", "{mode}");
    }
}

#[test]
fn a_transaction_too_large_for_memory_is_not_in_the_backup() {
    // In WAL mode its pages are in the log already, in the other mode they keep readers out.
    let site = site_of(&format!("PRAGMA journal_mode = wal; {}", filled("t", 2000)));
    let mut writer = Peer::new(&live(&site));
    writer.run("PRAGMA cache_size = 5");
    writer.run("BEGIN IMMEDIATE");
    writer.run("UPDATE t SET word = 'not committed'");
    assert!(super::size(&super::beside(&site, "-wal")) > 1_000_000, "there is no hazard");
    backup(&site, "b", &[]);
    writer.run("COMMIT");
    writer.close();
    instead(&site, "PRAGMA journal_mode = wal; CREATE TABLE other (a)");
    restored(&site, "b");
    assert_eq!(site.ask(LIVE, "SELECT count(*) FROM t WHERE word = 't'"), "2000");
}
