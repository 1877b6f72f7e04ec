//! Checks of staged copies: what is damage, and what is only the site's own way.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use dalsegno_database::Quiet;
use dalsegno_database::sqlite;
use dalsegno_database::{CheckOptions, CheckReport};
use support::{Site, make};

fn check(site: &Site, bytes: &[u8], full: bool) -> CheckReport {
    let options = CheckOptions { full, ..CheckOptions::default() };
    site.stage("r1", bytes).check(&options, &mut Quiet).unwrap()
}

/// Rewrites definitions as an `ALTER TABLE` by hand does, without looking at the rows.
fn redefine(site: &Site, change: &str) {
    make(&site.live, &format!("PRAGMA writable_schema = on; {change}"));
}

#[test]
fn what_the_site_stored_against_its_own_rules_is_noted() {
    let site = Site::with(
        "CREATE TABLE n (a); INSERT INTO n VALUES (NULL);
         CREATE TABLE t (a BLOB); INSERT INTO t VALUES ('1');
         CREATE TABLE s (a ANY) STRICT; INSERT INTO s VALUES ('x');
         CREATE TABLE body (b); INSERT INTO body VALUES ('one');
         CREATE VIRTUAL TABLE f USING fts4(content=\"body\", b);
         INSERT INTO f (f) VALUES ('rebuild'); UPDATE body SET b = 'two';",
    );
    redefine(
        &site,
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE n (a NOT NULL)' WHERE name = 'n';
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a INT)' WHERE name = 't';
         UPDATE sqlite_schema SET sql = 'CREATE TABLE s (a INT) STRICT' WHERE name = 's';",
    );
    let (_, bytes) = site.capture();
    for full in [false, true] {
        let report = check(&site, &bytes, full);
        assert!(report.is_sound(), "{report:?}");
        for line in [
            "NULL value in n.a",
            "TEXT value in t.a",
            "non-INT value in s.a",
            "malformed inverted index for FTS4 table main.f",
        ] {
            let note = format!("as the site had it: {line}");
            assert!(report.notes.contains(&note), "{line}: {report:?}");
        }
    }
    // What is torn is damage all the same.
    let mut torn = bytes.clone();
    let last = torn.len() - 4096;
    torn[last..last + 16].fill(0xff);
    assert!(!check(&site, &torn, false).is_sound());
}

#[test]
fn a_hundred_values_against_a_rule_do_not_hide_a_broken_index() {
    let site = Site::with(
        "CREATE TABLE a (x); CREATE TABLE z (x); CREATE INDEX i ON z (x); INSERT INTO z VALUES (5);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
         INSERT INTO a SELECT NULL FROM n;",
    );
    redefine(
        &site,
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE a (x NOT NULL)' WHERE name = 'a';
         UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON z (x) WHERE x > 6' WHERE name = 'i';",
    );
    make(&site.live, "DELETE FROM z; INSERT INTO z VALUES (6);");
    redefine(&site, "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON z (x)' WHERE name = 'i';");
    let (_, bytes) = site.capture();
    let report = check(&site, &bytes, true);
    assert!(report.problems.iter().any(|line| line.contains("index i")), "{report:?}");
}

#[test]
fn a_hundred_values_against_a_rule_do_not_hide_a_broken_index_of_the_same_table() {
    let site = Site::with(
        "CREATE TABLE a (x, y); CREATE INDEX i ON a (y); INSERT INTO a VALUES (1, 5);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO a SELECT NULL, 9 FROM n;",
    );
    redefine(
        &site,
        "UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON a (y) WHERE y > 6' WHERE name = 'i';",
    );
    make(&site.live, "INSERT INTO a VALUES (1, 4);");
    redefine(
        &site,
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE a (x NOT NULL, y)' WHERE name = 'a';
         UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON a (y)' WHERE name = 'i';",
    );
    let (_, bytes) = site.capture();
    let report = check(&site, &bytes, true);
    assert!(report.problems.iter().any(|line| line.contains("index i")), "{report:?}");
    let told: Vec<&String> = report.notes.iter().filter(|note| note.contains("a.x")).collect();
    assert_eq!(told.len(), 100, "{report:?}");
    assert!(told[99].ends_with("(and 200 more like it)"), "{}", told[99]);
}

#[test]
fn an_index_whose_tokenizer_only_the_site_knows_is_noted() {
    let site = Site::with(
        "CREATE VIRTUAL TABLE f4 USING fts4(b); INSERT INTO f4 VALUES ('x');
         CREATE VIRTUAL TABLE f5 USING fts5(b); INSERT INTO f5 VALUES ('x');
         CREATE TABLE t (a); INSERT INTO t VALUES ('kept');",
    );
    redefine(
        &site,
        "UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE f4 USING fts4(b, tokenize=icu)' WHERE name = 'f4';
         UPDATE sqlite_schema SET sql = 'CREATE VIRTUAL TABLE f5 USING fts5(b, tokenize=site)' WHERE name = 'f5';",
    );
    let (captured, bytes) = site.capture();
    assert!(captured.tables.iter().all(|table| !table.damaged), "{captured:?}");
    for full in [false, true] {
        let report = check(&site, &bytes, full);
        assert!(report.is_sound(), "{report:?}");
        for table in ["f4", "f5"] {
            let start = format!("not checkable: table `{table}`: ");
            assert!(report.notes.iter().any(|note| note.starts_with(&start)), "{report:?}");
        }
    }
    let report = sqlite::deep_check(&site.live, &mut Quiet).unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
    // Table by table, damage is still found.
    let mut torn = bytes.clone();
    let last = torn.len() - 4096;
    torn[last..last + 16].fill(0xff);
    assert!(!check(&site, &torn, false).is_sound());
}
