//! Restores into live databases of every sort, with and without others using them.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use dalsegno_database::sqlite::{self, ReplaceReason, Source, SwitchMethod, leftovers};
use dalsegno_database::{Captured, CheckOptions, DatabaseError, Quiet, SwitchOptions};
use dalsegno_format::ErrorKind;
use rusqlite::Connection;
use support::{SWITCH, Site, WAIT, filled, make, names, oracle, oracle_of};

fn with_mode(mode: &str, sql: &str) -> String {
    format!("PRAGMA journal_mode = {mode}; {sql}")
}

fn mode_of(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap()
}

fn hash(path: &Path) -> String {
    sqlite::content_hash(Source::Private(path), &mut Quiet).unwrap()
}

fn live_hash(path: &Path) -> String {
    sqlite::content_hash(Source::Live(path, WAIT), &mut Quiet).unwrap()
}

#[test]
fn every_pair_of_journal_modes_and_sizes_keeps_the_live_mode() {
    for live_mode in ["wal", "delete", "truncate", "persist"] {
        for backup_mode in ["wal", "delete"] {
            for (before, after) in [(50, 600), (600, 50)] {
                if backup_mode == "wal" && matches!(live_mode, "truncate" | "persist") {
                    continue;
                }
                let source = Site::with(&with_mode(backup_mode, &filled("backup", after)));
                let (captured, bytes) = source.capture();
                let site = Site::with(&with_mode(live_mode, &filled("live", before)));
                let old = oracle(&site.live);
                let switched = site.restore("r1", &captured, &bytes);
                let case = format!("{backup_mode} into {live_mode}, {before} to {after}");
                assert_eq!(switched.method, SwitchMethod::InPlace, "{case}");
                assert_eq!(oracle(&site.live), oracle_of(&bytes), "{case}");
                let kept = switched.kept.clone().unwrap();
                assert_eq!(oracle(&kept), old, "{case}");
                let expected = if live_mode == "wal" { "wal" } else { "delete" };
                assert_eq!(mode_of(&site.live), expected, "{case}");
                let size = fs::metadata(&site.live).unwrap().len();
                assert_eq!(size, bytes.len() as u64, "{case}");
                sqlite::discard(&site.target("r1")).unwrap();
                assert!(leftovers(&site.live).unwrap().is_empty());
            }
        }
    }
}

#[test]
fn the_live_database_equals_the_backup_but_for_the_volatile_header() {
    let source = Site::with(&filled("backup", 300));
    let (captured, bytes) = source.capture();
    let site = Site::with(&with_mode("wal", &filled("live", 600)));
    let copy = site.folder.path().join("copy");
    fs::write(&copy, &bytes).unwrap();
    assert_ne!(live_hash(&site.live), hash(&copy));
    let switched = site.restore("r1", &captured, &bytes);
    assert_eq!(live_hash(&site.live), hash(&copy));
    assert_eq!(site.stage("r2", &bytes).switch(SWITCH, &mut Quiet).unwrap().pages_changed, 1);
    assert_ne!(hash(&switched.kept.unwrap()), hash(&copy));
    make(&site.live, "UPDATE note SET text = 'x'");
    assert_ne!(live_hash(&site.live), hash(&copy));
}

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

const EVERYTHING: &str = "
    PRAGMA user_version = 7; PRAGMA application_id = -3;
    CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, x);
    INSERT INTO auto (x) VALUES (1), (2), (3); DELETE FROM auto WHERE id = 3;
    CREATE TABLE gaps (x); INSERT INTO gaps VALUES (1), (2), (3); DELETE FROM gaps WHERE x = 2;
    CREATE TABLE wr (a TEXT, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO wr VALUES ('k', 1), ('k', x'00ff');
    CREATE TABLE st (a ANY, b INT) STRICT; INSERT INTO st VALUES ('1', 1), (1, 2), (x'01', 3);
    CREATE TABLE gen (a INTEGER, v AS (a * 2) VIRTUAL, s AS (a * 3) STORED); INSERT INTO gen VALUES (5);
    CREATE INDEX part ON gaps (x) WHERE x > 1; CREATE INDEX expr ON gaps (x * 2 DESC);
    CREATE TABLE typed (i INTEGER, t TEXT COLLATE NOCASE);
    INSERT INTO typed VALUES ('text', x'00'), (9223372036854775807, ''), (-9223372036854775808, NULL),
      (1e308, cast(x'ff00fe' AS TEXT)), (9e999, 'a' || char(0) || 'b'), (-9e999, 'é');
    CREATE TABLE parent (id INTEGER PRIMARY KEY); PRAGMA foreign_keys = off;
    CREATE TABLE child (p REFERENCES parent DEFERRABLE INITIALLY DEFERRED); INSERT INTO child VALUES (404);
    CREATE VIEW broken AS SELECT * FROM nowhere;
    CREATE TRIGGER tr AFTER INSERT ON gaps BEGIN INSERT INTO auto (x) VALUES (new.x); END;
    CREATE VIRTUAL TABLE docs USING fts5(body); INSERT INTO docs VALUES ('from the sign'), ('da capo');
    CREATE VIRTUAL TABLE ext USING fts5(x, content = 'gaps'); INSERT INTO ext (ext) VALUES ('rebuild');
    CREATE VIRTUAL TABLE box USING rtree(id, x0, x1); INSERT INTO box VALUES (1, 2, 3);
    CREATE TABLE \"odd \"\"name\" (\"a b\"); INSERT INTO \"odd \"\"name\" VALUES (1);
    ANALYZE;";

#[test]
fn everything_sqlite_stores_comes_back() {
    for (size, encoding, vacuum) in [
        (512, "UTF-8", "none"),
        (1024, "UTF-16le", "full"),
        (4096, "UTF-16be", "incremental"),
        (8192, "UTF-8", "full"),
        (65536, "UTF-8", "none"),
    ] {
        let first = format!(
            "PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}'; PRAGMA auto_vacuum = {vacuum};"
        );
        let source = Site::with(&format!("{first}{EVERYTHING}"));
        let (captured, bytes) = source.capture();
        assert_eq!(captured.encoding, encoding);
        let facts = captured.sqlite.clone().unwrap();
        assert_eq!((facts.page_size, facts.user_version, facts.application_id), (size, 7, -3));
        assert_eq!(facts.auto_vacuum, vacuum);
        assert!(captured.tables.iter().any(|t| t.name == "odd \"name" && t.rows == Some(1)));
        assert!(captured.tables.iter().any(|t| t.name == "docs" && t.rows == Some(2)));
        let wanted = oracle(&source.live);
        for live_vacuum in ["none", "full", "incremental"] {
            // Grows and shrinks, with pages in the free list where the vacuum leaves any.
            for rows in if size == 1024 { vec![5, 300] } else { vec![300] } {
                let site = Site::with(&format!(
                    "PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}';
                     PRAGMA auto_vacuum = {live_vacuum};{} DELETE FROM big WHERE id % 3 = 0;",
                    filled("live", rows)
                ));
                let old = oracle(&site.live);
                let switched = site.restore("r1", &captured, &bytes);
                let case = format!("{size} {encoding} {vacuum} over {live_vacuum}, {rows} rows");
                assert_eq!(switched.method, SwitchMethod::InPlace, "{case}");
                assert_eq!(fs::metadata(&site.live).unwrap().len(), bytes.len() as u64, "{case}");
                assert_eq!(oracle(&site.live), wanted, "{case}");
                assert_eq!(oracle(&switched.kept.unwrap()), old, "{case}");
                let mut peer = site.peer();
                let found = peer.ask("SELECT rowid FROM docs WHERE docs MATCH 'sign'");
                assert_eq!(found, "ok [(1,)]");
                assert_eq!(peer.ask("SELECT rowid FROM ext WHERE ext MATCH '3'"), "ok [(3,)]");
                assert_eq!(peer.ask("SELECT id FROM box WHERE x0 < 2.5"), "ok [(1,)]");
                assert_eq!(peer.ask("PRAGMA foreign_key_check"), "ok [('child', 1, 'parent', 0)]");
                peer.run("INSERT INTO auto (x) VALUES (9)");
                assert_eq!(peer.ask("SELECT max(id) FROM auto"), "ok [(4,)]");
                peer.run(
                    &"INSERT INTO gaps SELECT hex(randomblob(400)) FROM typed a, typed b, typed c;"
                        .replace(';', ""),
                );
                peer.run("PRAGMA incremental_vacuum");
                assert_eq!(peer.ask("PRAGMA integrity_check"), "ok [('ok',)]", "{case}");
            }
        }
    }
}

#[test]
fn another_page_size_or_encoding_is_replaced_while_nobody_looks() {
    for (first, reason) in [
        ("PRAGMA page_size = 8192;", ReplaceReason::PageSize { live: 8192, backup: 4096 }),
        (
            "PRAGMA encoding = 'UTF-16le';",
            ReplaceReason::Encoding { live: "UTF-16le".to_owned(), backup: "UTF-8".to_owned() },
        ),
    ] {
        for mode in ["wal", "delete"] {
            let source = Site::with(&filled("backup", 60));
            let (captured, bytes) = source.capture();
            let site = Site::with(&format!("{first}{}", with_mode(mode, &filled("live", 60))));
            let inode = fs::metadata(&site.live).unwrap().ino();
            let mut peer = site.peer();
            peer.run("INSERT INTO note VALUES (2, 'late')");
            let quick = SwitchOptions { lock_timeout: Duration::from_millis(100) };
            let error = site.stage("r1", &bytes).switch(quick, &mut Quiet).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Locked);
            let wanted = format!("it is in use by {} (`", peer.pid());
            assert!(error.to_string().contains(&wanted), "{error}");
            peer.kill();
            assert!(leftovers(&site.live).unwrap().is_empty());
            let switched = site.restore("r1", &captured, &bytes);
            assert_eq!(switched.method, SwitchMethod::Replace(reason.clone()));
            assert_eq!(oracle(&site.live), oracle_of(&bytes));
            let kept = switched.kept.unwrap();
            assert_eq!(fs::metadata(&kept).unwrap().ino(), inode);
            assert!(oracle(&kept).contains("b'note' 2 "));
            let others = site.others();
            assert!(others.iter().all(|name| name.starts_with(".live")), "{others:?}");
        }
    }
}

#[test]
fn a_destroyed_live_file_is_replaced_with_its_sidecars() {
    let source = Site::with(&filled("backup", 60));
    let (captured, bytes) = source.capture();
    let site = Site::new();
    fs::write(&site.live, "not a database at all ".repeat(500)).unwrap();
    fs::write(site.folder.path().join("live db.sqlite3-wal"), "stale").unwrap();
    let switched = site.restore("r1", &captured, &bytes);
    assert!(matches!(&switched.method, SwitchMethod::Replace(ReplaceReason::Unreadable(_))));
    assert_eq!(oracle(&site.live), oracle_of(&bytes));
    let kept = switched.kept.unwrap();
    assert!(fs::read(&kept).unwrap().starts_with(b"not a database"));
    let log = format!("{}-wal", kept.display());
    assert_eq!(fs::read_to_string(log).unwrap(), "stale");
    assert!(site.others().iter().all(|name| name.contains(".kept")), "{:?}", site.others());
}

#[test]
fn empty_files_and_missing_ones_take_a_backup() {
    let source = Site::with(&format!("PRAGMA page_size = 1024; {}", filled("backup", 60)));
    let (captured, bytes) = source.capture();
    let site = Site::new();
    fs::write(&site.live, "").unwrap();
    let switched = site.restore("r1", &captured, &bytes);
    assert_eq!(switched.method, SwitchMethod::InPlace);
    assert_eq!(oracle(&site.live), oracle_of(&bytes));
    let site = Site::new();
    let switched = site.restore("r1", &captured, &bytes);
    assert_eq!(switched.method, SwitchMethod::Create);
    assert_eq!(oracle(&site.live), oracle_of(&bytes));
    assert_eq!(fs::metadata(&site.live).unwrap().mode() & 0o777, 0o600);
    assert!(site.others().is_empty());
}

#[test]
fn an_empty_backup_empties_the_database() {
    for mode in ["wal", "delete"] {
        let source = Site::new();
        fs::write(&source.live, "").unwrap();
        let (captured, bytes) = source.capture();
        let site = Site::with(&with_mode(mode, &filled("live", 300)));
        site.restore("r1", &captured, &bytes);
        let mut peer = site.peer();
        assert_eq!(peer.ask("SELECT * FROM sqlite_master"), "ok []");
        peer.run("CREATE TABLE t (a)");
        assert_eq!(peer.ask("PRAGMA integrity_check"), "ok [('ok',)]");
    }
}

#[test]
fn owner_and_mode_of_the_live_file_stay() {
    let source = Site::with(&filled("backup", 20));
    let (captured, bytes) = source.capture();
    for page_size in [4096, 1024] {
        let site = Site::with(&format!("PRAGMA page_size = {page_size}; {}", filled("live", 20)));
        let root = fs::metadata(&site.live).unwrap().uid() == 0;
        if root {
            std::os::unix::fs::chown(&site.live, Some(65534), Some(65533)).unwrap();
        }
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o640);
        fs::set_permissions(&site.live, mode).unwrap();
        let staged = site.stage("r0", &bytes);
        assert_eq!(fs::metadata(staged.path()).unwrap().mode() & 0o777, 0o640);
        staged.discard().unwrap();
        let switched = site.restore("r1", &captured, &bytes);
        for path in [&site.live, &switched.kept.unwrap()] {
            let file = fs::metadata(path).unwrap();
            assert_eq!(file.mode() & 0o7777, 0o640);
            if root {
                assert_eq!((file.uid(), file.gid()), (65534, 65533));
            }
        }
    }
}

#[test]
fn a_symlink_is_followed_once_and_stays() {
    let source = Site::with(&filled("backup", 20));
    let (captured, bytes) = source.capture();
    let site = Site::new();
    let real = site.folder.path().join("spool/real.db");
    make(&real, "CREATE TABLE t (a)");
    std::os::unix::fs::symlink("spool/real.db", &site.live).unwrap();
    site.restore("r1", &captured, &bytes);
    assert!(fs::symlink_metadata(&site.live).unwrap().is_symlink());
    assert_eq!(oracle(&real), oracle_of(&bytes));
    assert_eq!(names(&site.folder.path().join("spool")), [".real.db.dalsegno-r1.kept", "real.db"]);
}

#[test]
fn damaged_copies_are_found_before_the_switch() {
    let source = Site::with(&filled("backup", 400));
    let (captured, bytes) = source.capture();
    let site = Site::with(&filled("live", 20));
    let stage =
        |bytes: &[u8], size: u64| site.target("r1").stage(&mut &bytes[..], size, &mut Quiet);
    let short = bytes.len() as u64 - 1;
    for (result, words) in [
        (stage(&bytes[..5000], bytes.len() as u64), "it ends "),
        (stage(&bytes, short), "it goes on after the "),
        (stage(&bytes[..5000], 5000), "5000 bytes are no whole pages of 4096"),
        (stage(&bytes[..8192], 8192), "its header counts "),
        (stage(b"no database", 11), "it is not an SQLite database"),
    ] {
        let error = result.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(leftovers(&site.live).unwrap().is_empty());
    }
    let mut flipped = bytes.clone();
    flipped[5 * 4096..5 * 4096 + 16].fill(0xff);
    let staged = site.stage("r1", &flipped);
    let report = staged.check(&CheckOptions::default(), &mut Quiet).unwrap();
    assert!(!report.is_sound());
    drop(staged);
    let mut counts = captured.tables.clone();
    counts[0].rows = Some(1);
    let staged = site.stage("r1", &bytes);
    let options = CheckOptions { expected_counts: &counts, full: false };
    let report = staged.check(&options, &mut Quiet).unwrap();
    assert_eq!(report.problems, ["table `big` has 400 rows instead of 1"]);
    assert_eq!(names(site.folder.path()).len(), 3, "a check leaves no sidecar");
    drop(staged);
    assert!(leftovers(&site.live).unwrap().is_empty());
}

#[test]
fn a_backup_with_functions_only_the_site_knows_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db");
    let script = r#"
import sqlite3, sys
c = sqlite3.connect(sys.argv[1])
c.create_function("django_regexp_like", 2, lambda p, v: True, deterministic=True)
c.create_function("REGEXP", 2, lambda p, v: True, deterministic=True)
c.create_collation("german", lambda a, b: (a < b) - (a > b))
c.executescript("""
create table checked (a text, check (a regexp '^x' and django_regexp_like(a, 'x')));
create table generated (a, b not null as (django_regexp_like(a, 'x')));
create index expression on checked (django_regexp_like(a, 'y'));
create table sorted (a text collate german primary key) without rowid;
create table indexed (a text); create index by_german on indexed (a collate german);
insert into checked values ('x'), ('xx'); insert into generated values (1);
insert into sorted values ('a'), ('b'), ('c'); insert into indexed values ('a'), ('b');
""")
"#;
    let status =
        std::process::Command::new("python3").args(["-c", script]).arg(&path).status().unwrap();
    assert!(status.success());
    let site = Site::new();
    fs::copy(&path, &site.live).unwrap();
    let (captured, bytes) = site.capture();
    for table in &captured.tables {
        assert!(table.rows.is_some(), "{table:?}");
    }
    for full in [false, true] {
        let staged = site.stage("r1", &bytes);
        let options = CheckOptions { expected_counts: &captured.tables, full };
        let report = staged.check(&options, &mut Quiet).unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert!(report.notes.iter().any(|note| note.contains("`german`")), "{report:?}");
        // Damage to pages is still seen.
        let mut flipped = bytes.clone();
        let last = flipped.len() - 4096;
        flipped[last..last + 16].fill(0xff);
        drop(staged);
        let report = site
            .stage("r1", &flipped)
            .check(&CheckOptions { full, ..options }, &mut Quiet)
            .unwrap();
        assert!(!report.is_sound(), "{report:?}");
    }
    let report = sqlite::deep_check(&path, &mut Quiet).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    assert!(report.tables.iter().all(|table| table.hash.is_some()), "{report:?}");
    make(&site.live, "DELETE FROM indexed");
    site.stage("r2", &bytes).switch(SWITCH, &mut Quiet).unwrap();
    let copy = sqlite::content_hash(Source::Private(&path), &mut Quiet).unwrap();
    assert_eq!(live_hash(&site.live), copy);
}

#[test]
fn a_table_of_a_missing_module_is_kept_and_noted() {
    let site = Site::with(
        "CREATE TABLE t (a); INSERT INTO t VALUES (1); PRAGMA writable_schema = on;
         INSERT INTO sqlite_schema VALUES ('table', 'geo', 'geo', 0, 'CREATE VIRTUAL TABLE geo USING VirtualSpatialIndex()');",
    );
    let (captured, bytes) = site.capture();
    let geo = captured.tables.iter().find(|table| table.name == "geo").unwrap();
    assert_eq!(geo.rows, None);
    assert!(geo.note.as_ref().unwrap().contains("no such module: VirtualSpatialIndex"), "{geo:?}");
    make(&site.live, "DELETE FROM t");
    site.restore("r1", &captured, &bytes);
    assert!(site.peer().ask("SELECT sql FROM sqlite_master").contains("VirtualSpatialIndex"));
    assert_eq!(site.peer().ask("SELECT * FROM t"), "ok [(1,)]");
}

#[test]
fn a_restore_of_the_same_id_is_not_run_over() {
    let site = Site::with(&filled("live", 20));
    let (captured, bytes) = site.capture();
    let staged = site.stage("r1", &bytes);
    let error =
        site.target("r1").stage(&mut &bytes[..], bytes.len() as u64, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::Exists { .. }));
    assert!(staged.path().exists(), "the earlier copy is gone");
    drop(staged);
    site.restore("r1", &captured, &bytes);
    let error = site.stage("r1", &bytes).switch(SWITCH, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::Exists { .. }));
    let elsewhere = site.folder.path().join("elsewhere");
    fs::write(&elsewhere, "untouched").unwrap();
    std::os::unix::fs::symlink(&elsewhere, site.target("r3").staged()).unwrap();
    let error =
        site.target("r3").stage(&mut &bytes[..], bytes.len() as u64, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::Exists { .. }));
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), "untouched");
    assert!(sqlite::Target::new(&site.live, "../x").is_err());
}

#[test]
fn a_plan_needs_only_what_the_manifest_says() {
    let site = Site::with(&filled("live", 20));
    let (captured, _) = site.capture();
    let plan = |live: &Path, captured: &Captured| sqlite::plan(live, captured, WAIT).unwrap();
    assert_eq!(plan(&site.live, &captured), SwitchMethod::InPlace);
    assert_eq!(plan(&site.folder.path().join("none"), &captured), SwitchMethod::Create);
    let utf16 = Captured { encoding: "UTF-16le".to_owned(), ..captured.clone() };
    assert!(matches!(plan(&site.live, &utf16), SwitchMethod::Replace(_)));
    let mut pages = captured.clone();
    pages.sqlite.as_mut().unwrap().page_size = 8192;
    assert!(matches!(plan(&site.live, &pages), SwitchMethod::Replace(_)));
    // An empty file has neither page size nor encoding that could differ.
    pages.size = 0;
    assert_eq!(plan(&site.live, &pages), SwitchMethod::InPlace);
}
