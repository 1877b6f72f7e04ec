//! The site commits at full speed while it is backed up and restored.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use dalsegno_testkit::{Ledger, LedgerBook, Site, Worked};

use crate::scene::{tell, torture};
use crate::{backup, ok, restore, text};

/// What a writer of the bank waits at most for a lock; a longer wait is an error that it sees.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

fn counts() -> (u32, u32) {
    if torture() { (50, 20) } else { (4, 3) }
}

/// A bank with this many writers; two of them in rollback-journal mode rest a little after each
/// transfer, since SQLite's lock there is not fair.
fn open(journal: &str, writers: u32) -> (Site, Ledger) {
    let site = Site::in_memory();
    let rest = Duration::from_millis(u64::from(journal == "delete" && writers > 1));
    let ledger = Ledger::open(&site, "db.sqlite3", journal, writers, rest);
    (site, ledger)
}

/// Nobody saw an error, and nobody waited nearly as long as it is ready to wait.
fn close(ledger: Ledger, what: &str) {
    let (writers, reader) = ledger.close();
    let longest = writers.iter().map(|worked| worked.longest).max().expect("there are writers");
    let transfers: u64 = writers.iter().map(|worked| worked.count).sum();
    let Worked { count, longest: read } = reader;
    tell(&format!(
        "{what}: {transfers} transfers, the longest took {longest:?}; {count} looks, {read:?}"
    ));
    assert!(longest < BUSY_TIMEOUT, "{what}: a writer waited {longest:?}");
    assert!(read < BUSY_TIMEOUT, "{what}: the reader waited {read:?}");
}

fn captured(site: &Site, path: &Path, round: u32) -> LedgerBook {
    let out = site.outside(format!("captured-{round}.sqlite3"));
    ok(site, &["get", text(path), "database/default/db.sqlite3", "-o", text(&out)]);
    let book = LedgerBook::of(&out);
    fs::remove_file(out).expect("it was just written");
    book
}

fn back_up_while_writing(journal: &str, writers: u32) {
    let (site, ledger) = open(journal, writers);
    for round in 0..counts().0 {
        let before = ledger.acknowledged();
        let form = ["folder", "tar.zst", "tar.gz", "tar"]
            [usize::try_from(round % 4).expect("it is small")];
        let path = backup(&site, &format!("b{round}"), &["--form", form]);
        let book = captured(&site, &path, round);
        for (writer, acknowledged) in before.into_iter().enumerate() {
            // What was committed before the backup began is in it, and so is all before the last.
            let missing =
                (1..=book.last(writer).max(acknowledged)).find(|n| !book.holds(writer, *n));
            assert_eq!(missing, None, "{journal}: backup {round} lacks a transfer of {writer}");
        }
    }
    close(ledger, &format!("{} backups, {writers} writers, {journal}", counts().0));
}

#[test]
fn every_backup_of_a_busy_bank_is_one_instant_in_wal_mode() {
    back_up_while_writing("wal", 1);
    back_up_while_writing("wal", 2);
}

#[test]
fn every_backup_of_a_busy_bank_is_one_instant_in_delete_mode() {
    back_up_while_writing("delete", 1);
    back_up_while_writing("delete", 2);
}

fn restore_while_writing(journal: &str, writers: u32) {
    let (site, ledger) = open(journal, writers);
    backup(&site, "b", &[]);
    // Copies of the database in the order of time, and what was acknowledged when each switch began.
    let mut copies = Vec::new();
    let mut acknowledged = Vec::new();
    for _ in 0..counts().1 {
        ledger.advance(5);
        acknowledged.push(ledger.acknowledged());
        let id = restore(&site, &["b", "--no-pre-backup", "--skip-media"]);
        copies.push(LedgerBook::of(&site.path(format!(".db.sqlite3.dalsegno-{id}.kept"))));
    }
    ledger.advance(5);
    acknowledged.push(ledger.acknowledged());
    close(ledger, &format!("{} restores, {writers} writers, {journal}", counts().1));
    copies.push(LedgerBook::of(&site.path("db.sqlite3")));
    for (writer, _) in acknowledged[0].iter().enumerate() {
        // The first transfer after the switch before; that switch took away all before it.
        let mut first = 1;
        for (round, copy) in copies.iter().enumerate() {
            let known = acknowledged[round][writer];
            let last = copy.last(writer);
            assert!(
                last >= known,
                "{journal}: copy {round} ends at {last}, {known} was acknowledged"
            );
            let lost: BTreeSet<u64> = (first..=last).filter(|n| !copy.holds(writer, *n)).collect();
            assert!(lost.is_empty(), "{journal}: copy {round} lacks {lost:?} of writer {writer}");
            first = last + 1;
        }
    }
}

#[test]
fn no_acknowledged_commit_is_lost_by_restores_in_wal_mode() {
    restore_while_writing("wal", 1);
    restore_while_writing("wal", 2);
}

#[test]
fn no_acknowledged_commit_is_lost_by_restores_in_delete_mode() {
    restore_while_writing("delete", 1);
    restore_while_writing("delete", 2);
}
