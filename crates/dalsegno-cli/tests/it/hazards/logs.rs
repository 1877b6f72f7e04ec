//! The write-ahead log and the rollback journal: what is only there, and what is left of them.

use std::fs;

use dalsegno_testkit::Site;

use super::{
    Peer, assert_integrity, beside, everything, filled, instead, live, restored, site_of, size,
};
use crate::{backup, ok};

#[test]
fn commits_that_are_only_in_the_log_are_in_the_backup() {
    let first = "PRAGMA journal_mode = wal;";
    let site =
        site_of(&format!("{first} CREATE TABLE t (a); INSERT INTO t VALUES ('in the file')"));
    let mut writer = Peer::new(&live(&site));
    writer.run("INSERT INTO t VALUES ('only in the log')");
    let alone = site.outside("alone");
    fs::copy(live(&site), &alone).expect("it can be copied");
    assert_eq!(site.ask(&alone, "SELECT count(*) FROM t"), "1", "there is no hazard");
    let forms = ["folder", "tar", "tar.gz", "tar.zst"];
    for form in forms {
        backup(&site, form, &["--form", form]);
    }
    writer.close();
    for form in forms {
        instead(&site, &format!("{first} CREATE TABLE other (a)"));
        restored(&site, form);
        let found = site.ask("db.sqlite3", "SELECT group_concat(a) FROM t");
        assert_eq!(found, "in the file,only in the log", "{form}");
    }
}

#[test]
fn a_stale_wal_beside_the_live_file_does_not_bring_the_old_rows_back() {
    for case in ["there", "gone", "unreadable", "of another page size"] {
        let site = site_of("CREATE TABLE new (a); INSERT INTO new VALUES ('new')");
        let before = everything(&live(&site));
        let good = site.outside("good");
        fs::copy(live(&site), &good).expect("it can be copied");
        backup(&site, "b", &[]);
        let page_size = if case == "of another page size" { 8192 } else { 4096 };
        let first = format!("PRAGMA page_size = {page_size}; PRAGMA journal_mode = wal;");
        instead(&site, &format!("{first} CREATE TABLE old (a)"));
        let mut writer = Peer::new(&live(&site));
        writer.run("INSERT INTO old VALUES ('old')");
        if case != "unreadable" {
            // With its first page in the log, a file is readable whatever is in it.
            writer.run("CREATE TABLE older (a)");
        }
        writer.kill();
        assert!(size(&beside(&site, "-wal")) > 0, "there is no log");
        if case == "there" {
            the_hazard_is_real(&site, &good);
        }
        match case {
            "gone" => fs::remove_file(live(&site)).expect("it is there"),
            "unreadable" => {
                fs::write(live(&site), "no database ".repeat(2000)).expect("it can be written");
            }
            _ => {}
        }
        restored(&site, "b");
        if case == "there" {
            assert_eq!(site.ask("db.sqlite3", "PRAGMA journal_mode"), "wal");
        } else {
            assert_eq!(everything(&live(&site)), before, "{case}");
        }
        let found = site.ask("db.sqlite3", "SELECT group_concat(name) FROM sqlite_master");
        assert_eq!(found, "new", "{case}");
        // The site goes on, and what it writes goes into the restored database.
        let mut peer = Peer::new(&live(&site));
        peer.run("INSERT INTO new VALUES ('since')");
        peer.run("PRAGMA wal_checkpoint(TRUNCATE)");
        assert_eq!(peer.ask("SELECT a FROM new"), "ok [('new',), ('since',)]", "{case}");
        peer.close();
        assert_integrity(&site);
    }
}

/// What a rename over the live name would have done.
fn the_hazard_is_real(site: &dalsegno_testkit::Site, good: &std::path::Path) {
    let naive = site.outside("naive");
    fs::copy(good, &naive).expect("it can be copied");
    for suffix in ["-wal", "-shm"] {
        let to = site.outside(format!("naive{suffix}"));
        fs::copy(beside(site, suffix), to).expect("it can be copied");
    }
    let tables = "SELECT group_concat(name) FROM sqlite_master";
    assert_eq!(site.ask(&naive, tables), "old,older", "there is no hazard");
}

#[test]
fn a_restore_over_a_log_in_use_hides_no_table() {
    let first = "PRAGMA journal_mode = wal;";
    let site = site_of(&format!("{first} {} {}", filled("one", 30), filled("added", 200)));
    let before = everything(&live(&site));
    backup(&site, "b", &[]);
    instead(&site, &format!("{first} {}", filled("one", 30)));
    let mut holder = Peer::new(&live(&site));
    holder.run("UPDATE one SET word = 'changed in the log'");
    holder.run("CREATE TABLE late (a)");
    restored(&site, "b");
    let count = "SELECT count(*), min(word) FROM added";
    assert_eq!(holder.ask(count), "ok [(200, 'added')]");
    assert_eq!(Peer::new(&live(&site)).ask(count), "ok [(200, 'added')]");
    holder.run("PRAGMA wal_checkpoint(TRUNCATE)");
    holder.close();
    assert_eq!(everything(&live(&site)), before);
    assert_integrity(&site);
}

/// A process dies half-way through a change of the table `old`.
fn leave_hot_journal(site: &Site) {
    let mut writer = Peer::new(&live(site));
    writer.run("PRAGMA cache_size = 5");
    writer.run("BEGIN IMMEDIATE");
    writer.run("UPDATE old SET word = 'half'");
    writer.kill();
    assert!(size(&beside(site, "-journal")) > 0, "there is no journal");
}

#[test]
fn a_hot_journal_is_played_back_before_anything_is_read() {
    let site = site_of(&filled("old", 3000));
    let before = everything(&live(&site));
    leave_hot_journal(&site);
    let torn = site.outside("torn");
    fs::copy(live(&site), &torn).expect("it can be copied");
    let half = site.ask(&torn, "SELECT count(*) FROM old NOT INDEXED WHERE word = 'half'");
    assert_ne!(half, "0", "there is no hazard");
    backup(&site, "b", &[]);
    assert!(!beside(&site, "-journal").exists());
    assert_eq!(everything(&live(&site)), before);
    instead(&site, "CREATE TABLE other (a)");
    restored(&site, "b");
    assert_eq!(everything(&live(&site)), before);
}

#[test]
fn a_restore_over_a_hot_journal_is_not_undone_by_it() {
    let site = site_of(&filled("new", 2500));
    let before = everything(&live(&site));
    backup(&site, "b", &[]);
    instead(&site, &filled("old", 3000));
    let old = everything(&live(&site));
    leave_hot_journal(&site);
    let id = crate::restore(&site, &["b", "--no-pre-backup"]);
    assert_eq!(everything(&live(&site)), before);
    assert!(!beside(&site, "-journal").exists());
    // What is kept is the last state that was committed.
    ok(&site, &["rollback", &id, "--force"]);
    assert_eq!(everything(&live(&site)), old);
}
