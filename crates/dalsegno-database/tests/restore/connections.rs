//! Connections that are open during a restore, and logs that others left.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::{SWITCH, Site, filled, oracle, oracle_of, with_mode};
use dalsegno_database::sqlite::{self, SwitchMethod, leftovers};
use dalsegno_database::{Quiet, SwitchOptions};
use dalsegno_format::ErrorKind;

#[test]
fn open_connections_see_the_new_database_and_can_write() {
    for mode in ["wal", "delete"] {
        let source = Site::with(
            "CREATE TABLE t (a); INSERT INTO t VALUES ('backup');
             CREATE TABLE added (b); INSERT INTO added VALUES (7);",
        );
        let (captured, bytes) = source.capture();
        // The same number of schema changes gives both the same schema cookie, and the tables
        // change places: a connection that trusted its schema would read one for the other.
        let site = Site::with(&with_mode(
            mode,
            "CREATE TABLE added (b); INSERT INTO added VALUES ('wrong');
             CREATE TABLE t (a); INSERT INTO t VALUES ('live');",
        ));
        let mut peer = site.peer();
        let mut second = site.peer();
        assert_eq!(peer.ask("SELECT a FROM t"), "ok [('live',)]");
        second.run("SELECT a FROM t");
        site.restore("r1", &captured, &bytes);
        assert_eq!(peer.ask("SELECT a FROM t"), "ok [('backup',)]", "{mode}");
        assert_eq!(peer.ask("SELECT b FROM added"), "ok [(7,)]", "{mode}");
        peer.run("INSERT INTO t VALUES ('after')");
        peer.run("CREATE TABLE more (c)");
        assert_eq!(second.ask("SELECT a FROM t"), "ok [('backup',), ('after',)]", "{mode}");
        drop((peer, second));
        assert!(oracle(&site.live).contains("[(b'ok',)]"), "{mode}");
    }
}

#[test]
fn wal_readers_keep_their_snapshot() {
    let source = Site::with(&filled("backup", 900));
    let (captured, bytes) = source.capture();
    let site = Site::with(&with_mode("wal", &filled("live", 1200)));
    let mut reader = site.peer();
    reader.run("BEGIN");
    reader.run("SELECT * FROM note");
    site.restore("r1", &captured, &bytes);
    assert_eq!(reader.ask("SELECT text FROM note"), "ok [('live',)]");
    assert_eq!(reader.ask("SELECT count(*) FROM big"), "ok [(1200,)]");
    reader.run("COMMIT");
    assert_eq!(reader.ask("SELECT text FROM note"), "ok [('backup',)]");
    assert_eq!(reader.ask("SELECT count(*) FROM big"), "ok [(900,)]");
    drop(reader);
    assert_eq!(oracle(&site.live), oracle_of(&bytes));
}

/// Twice: when the pages fit the cache and only COMMIT meets the reader, and when they do not.
#[test]
fn a_reader_of_a_rollback_journal_database_is_waited_for_and_named() {
    for rows in [100, 45_000] {
        let source = Site::with(&filled("backup", rows));
        let (_, bytes) = source.capture();
        let site = Site::with(&filled("live", 100));
        let before = oracle(&site.live);
        let mut reader = site.peer();
        reader.run("BEGIN");
        reader.run("SELECT * FROM note");
        let start = Instant::now();
        let error = site
            .stage("r1", &bytes)
            .switch(SwitchOptions { lock_timeout: Duration::from_millis(300) }, &mut Quiet)
            .unwrap_err();
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        assert_eq!(error.kind(), ErrorKind::Locked);
        let text = error.to_string();
        assert!(text.starts_with("cannot restore into `"), "{text}");
        assert!(text.contains(&format!("it is in use by {} (`", reader.pid())), "{text}");
        reader.run("COMMIT");
        assert!(leftovers(&site.live).unwrap().is_empty());
        assert_eq!(oracle(&site.live), before);
        site.stage("r2", &bytes).switch(SWITCH, &mut Quiet).unwrap();
        assert_eq!(oracle(&site.live), oracle_of(&bytes));
    }
}

#[test]
fn a_writers_open_transaction_is_waited_for() {
    for mode in ["wal", "delete"] {
        let source = Site::with(&filled("backup", 50));
        let (captured, bytes) = source.capture();
        let site = Site::with(&with_mode(mode, &filled("live", 50)));
        let mut writer = site.peer();
        writer.run("BEGIN IMMEDIATE");
        writer.run("INSERT INTO note VALUES (2, 'acknowledged')");
        let error = site
            .stage("r1", &bytes)
            .switch(SwitchOptions { lock_timeout: Duration::from_millis(100) }, &mut Quiet)
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked);
        writer.run("COMMIT");
        let switched = site.restore("r2", &captured, &bytes);
        // What was acknowledged before the switch is in the kept copy.
        assert!(oracle(&switched.kept.unwrap()).contains("b'note' 2 "), "{mode}");
        assert_eq!(writer.ask("SELECT count(*) FROM note"), "ok [(1,)]");
    }
}

#[test]
fn uncheckpointed_and_stale_logs_do_no_harm() {
    let source = Site::with(&filled("backup", 50));
    let (captured, bytes) = source.capture();
    for gone in [false, true] {
        let site = Site::with(&with_mode("wal", &filled("live", 50)));
        let mut peer = site.peer();
        peer.run("INSERT INTO note VALUES (2, 'only in the log')");
        peer.kill();
        assert_eq!(site.others().len(), 2, "the log must be there: {:?}", site.others());
        if gone {
            fs::remove_file(&site.live).unwrap();
        }
        let switched = site.restore("r1", &captured, &bytes);
        assert_eq!(oracle(&site.live), oracle_of(&bytes), "gone: {gone}");
        if gone {
            assert_eq!(switched.method, SwitchMethod::Create);
            assert_eq!(switched.kept, None);
        } else {
            assert!(oracle(&switched.kept.unwrap()).contains("b'note' 2 "));
        }
        sqlite::discard(&site.target("r1")).unwrap();
        assert!(site.others().is_empty(), "{:?}", site.others());
    }
}
