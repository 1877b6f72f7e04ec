//! What is live after a restore is what was captured.

use std::fs;

use crate::support::{
    SWITCH, Site, filled, hash, live_hash, make, mode_of, oracle, oracle_of, with_mode,
};
use dalsegno_database::Quiet;
use dalsegno_database::sqlite::{self, SwitchMethod, leftovers};

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
