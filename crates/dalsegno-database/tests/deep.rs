//! Row hashes, deep checks, rows, migrations.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::fs;

use dalsegno_database::sqlite::{self, Source};
use dalsegno_database::{DatabaseError, Quiet, TableHash, holders};
use dalsegno_format::ErrorKind;
use support::{Site, WAIT, filled, make};

fn hashes(site: &Site) -> Vec<TableHash> {
    sqlite::table_hashes(Source::Live(&site.live, WAIT), &mut Quiet).unwrap()
}

#[test]
fn row_hashes_see_one_changed_value_and_not_the_order() {
    let rows =
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2.0, NULL), (x'00', ''), (1, 'x');";
    let site = Site::with(rows);
    let before = hashes(&site);
    assert_eq!(before[0].rows, Some(4));
    assert_eq!(before[0].hash.as_ref().unwrap().len(), 32);
    let turned = Site::with(
        "CREATE TABLE t (a, b); INSERT INTO t VALUES (x'00', ''), (1, 'x'), (1, 'x'), (2.0, NULL);
         PRAGMA journal_mode = wal; CREATE INDEX i ON t (a);",
    );
    assert_eq!(hashes(&turned), before);
    for change in [
        "UPDATE t SET a = 2 WHERE a = 2.0",
        "UPDATE t SET b = NULL WHERE b = ''",
        "UPDATE t SET b = x'78' WHERE b = 'x'",
        "DELETE FROM t WHERE a = 1",
        "UPDATE t SET a = b, b = a WHERE a = x'00'",
    ] {
        let site = Site::with(&format!("{rows}{change}"));
        assert_ne!(hashes(&site)[0].hash, before[0].hash, "{change}");
    }
}

/// The form of the hash is written down; another reader of the same rows must agree.
#[test]
fn the_row_hash_is_the_one_that_is_documented() {
    let site = Site::with(
        "CREATE TABLE t (a, b, c, d, e); INSERT INTO t VALUES (NULL, -2, 1.5, 'é', x'ff');",
    );
    let mut row = vec![0, 1];
    row.extend((-2_i64).to_le_bytes());
    row.push(2);
    row.extend(1.5_f64.to_le_bytes());
    row.push(3);
    row.extend(2_u64.to_le_bytes());
    row.extend("é".as_bytes());
    row.push(4);
    row.extend(1_u64.to_le_bytes());
    row.push(0xff);
    let expected = format!("{:032x}", xxhash_rust::xxh3::xxh3_128(&row));
    assert_eq!(hashes(&site)[0].hash.as_ref(), Some(&expected));
    let utf16 = Site::with(
        "PRAGMA encoding = 'UTF-16be'; CREATE TABLE t (a, b, c, d, e); INSERT INTO t VALUES (NULL, -2, 1.5, 'é', x'ff');",
    );
    assert_eq!(hashes(&utf16)[0].hash.as_ref(), Some(&expected));
}

#[test]
fn a_deep_check_lists_dangling_rows_and_damage() {
    let site = Site::with(
        "PRAGMA foreign_keys = off; CREATE TABLE p (id INTEGER PRIMARY KEY);
         CREATE TABLE c (p REFERENCES p, x TEXT); CREATE INDEX i ON c (x);
         INSERT INTO c VALUES (1, 'a'), (NULL, 'b'), (3, 'c');
         CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('x');",
    );
    let report = sqlite::deep_check(&site.live, &mut Quiet).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    assert_eq!(report.foreign_key_violations, Some(2));
    let first = &report.violations[0];
    assert_eq!((first.table.as_str(), first.rowid, first.parent.as_str()), ("c", Some(1), "p"));
    let virtual_table = report.tables.iter().find(|table| table.name == "f").unwrap();
    assert!(virtual_table.hash.is_none() && virtual_table.note.is_some());
    assert!(report.tables.iter().any(|table| table.name == "f_content" && table.hash.is_some()));
    assert!(site.others().is_empty());
    // A row that its index does not know.
    make(
        &site.live,
        "PRAGMA writable_schema = on;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON c (x) WHERE x > ''a''' WHERE name = 'i';",
    );
    make(&site.live, "DELETE FROM c WHERE x = 'a'; INSERT INTO c VALUES (NULL, 'a');");
    make(
        &site.live,
        "PRAGMA writable_schema = on;
         UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON c (x)' WHERE name = 'i';",
    );
    let report = sqlite::deep_check(&site.live, &mut Quiet).unwrap();
    assert!(!report.problems.is_empty());
    fs::write(&site.live, "no database").unwrap();
    let error = sqlite::deep_check(&site.live, &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::NotADatabase { .. }));
}

#[test]
fn migrations_are_read_from_live_and_captured_files() {
    let site = Site::with("PRAGMA journal_mode = wal; CREATE TABLE t (a)");
    let live = Source::Live(&site.live, WAIT);
    assert_eq!(sqlite::applied_migrations(live).unwrap(), None);
    make(
        &site.live,
        "CREATE TABLE django_migrations (id INTEGER PRIMARY KEY, app TEXT, name TEXT, applied TEXT);
         INSERT INTO django_migrations (app, name) VALUES ('shop', '0001_initial'), ('auth', '0002_x');",
    );
    let pair = |app: &str, name: &str| (app.to_owned(), name.to_owned());
    let expected = Some(vec![pair("shop", "0001_initial"), pair("auth", "0002_x")]);
    assert_eq!(sqlite::applied_migrations(live).unwrap(), expected);
    assert!(site.others().is_empty());
    assert_eq!(sqlite::applied_migrations(Source::Private(&site.live)).unwrap(), expected);
    assert!(site.others().is_empty());
    let missing = site.folder.path().join("none");
    let error = sqlite::applied_migrations(Source::Live(&missing, WAIT)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(!missing.exists());
}

#[test]
fn counts_of_a_live_database_and_its_holders() {
    let site = Site::with(&filled("live", 30));
    let mut peer = site.peer();
    peer.run("SELECT 1 FROM note");
    let counts = sqlite::table_counts(Source::Live(&site.live, WAIT), &mut Quiet).unwrap();
    let found: Vec<_> = counts.iter().map(|c| (c.name.as_str(), c.rows)).collect();
    assert_eq!(found, [("big", Some(30)), ("note", Some(1))]);
    let found = holders(&site.live).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pid, peer.pid());
    assert!(found[0].command.contains("python"), "{found:?}");
    drop(peer);
    assert!(holders(&site.live).unwrap().is_empty());
    assert!(holders(&site.folder.path().join("none")).unwrap().is_empty());
}

#[test]
fn rows_are_json_lines() {
    let site = Site::with(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a, g AS (a) VIRTUAL);
         INSERT INTO t (a) VALUES ('é'), (NULL), (1.5), (x'0aff'), (9e999), (CAST(x'fe' AS TEXT));",
    );
    let mut out = Vec::new();
    let n = sqlite::rows(Source::Private(&site.live), "T", &mut out, &mut Quiet).unwrap();
    assert_eq!(n, 6);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"id\":1,\"a\":\"é\"}\n{\"id\":2,\"a\":null}\n{\"id\":3,\"a\":1.5}\n\
         {\"id\":4,\"a\":{\"blob\":\"0aff\"}}\n{\"id\":5,\"a\":{\"real\":\"inf\"}}\n\
         {\"id\":6,\"a\":{\"text\":\"fe\"}}\n"
    );
    let error =
        sqlite::rows(Source::Private(&site.live), "x", &mut Vec::new(), &mut Quiet).unwrap_err();
    assert!(matches!(error, DatabaseError::UnknownTable { .. }));
}
