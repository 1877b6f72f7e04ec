//! Values, row numbers, counters and settings of the file.

use dalsegno_testkit::Site;

use super::{LIVE, Peer, comes_back, live, site_of};

#[test]
fn every_setting_stored_in_the_file_comes_back() {
    let sizes = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536];
    let encodings = ["UTF-8", "UTF-16le", "UTF-16be"];
    let vacuums = ["none", "full", "incremental"];
    for (at, size) in sizes.into_iter().enumerate() {
        let (encoding, vacuum) = (encodings[at % 3], vacuums[(at + at / 3) % 3]);
        let shape = format!("PRAGMA page_size = {size}; PRAGMA encoding = '{encoding}';");
        let site = site_of(&format!(
            "{shape} PRAGMA auto_vacuum = {vacuum}; PRAGMA user_version = -7;
             PRAGMA application_id = 305419896;
             CREATE TABLE t (a, b TEXT UNIQUE);
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
             INSERT INTO t SELECT i, 'é ' || hex(randomblob(100)) FROM n;
             DELETE FROM t WHERE a % 3 = 0;"
        ));
        comes_back(&site, &shape, &[]);
        let found = |pragma: &str| site.ask(LIVE, &format!("PRAGMA {pragma}"));
        assert_eq!(found("page_size"), size.to_string());
        assert_eq!(found("encoding"), encoding);
        assert_eq!(found("auto_vacuum"), (at + at / 3).rem_euclid(3).to_string());
        assert_eq!(found("user_version"), "-7");
        assert_eq!(found("application_id"), "305419896");
        // The file goes on working: it grows, shrinks and is vacuumed by its own rules.
        site.sql(LIVE, "DELETE FROM t WHERE a % 2; INSERT INTO t SELECT a, hex(randomblob(90)) FROM t; PRAGMA incremental_vacuum");
        assert_eq!(found("integrity_check"), "ok", "{size} {encoding} {vacuum}");
    }
}

#[test]
fn row_numbers_nobody_declared_and_texts_with_nul_come_back() {
    let site = site_of(
        "CREATE TABLE gaps (a); INSERT INTO gaps VALUES ('x'), ('gone'), ('y'); DELETE FROM gaps WHERE a = 'gone';
         INSERT INTO gaps (rowid, a) VALUES (-5, 'negative'), (9223372036854775807, 'last');
         CREATE TABLE nul (a TEXT); INSERT INTO nul VALUES ('a' || char(0) || 'b'), (char(0)), ('');",
    );
    comes_back(&site, "", &[]);
    let mut peer = Peer::new(&live(&site));
    let rows = "ok [(-5, 'negative'), (1, 'x'), (3, 'y'), (9223372036854775807, 'last')]";
    assert_eq!(peer.ask("SELECT rowid, a FROM gaps ORDER BY rowid"), rows);
    assert_eq!(
        peer.ask("SELECT hex(a), length(CAST(a AS BLOB)) FROM nul"),
        "ok [('610062', 3), ('00', 1), ('', 0)]"
    );
}

#[test]
fn the_next_automatic_number_is_the_one_the_site_would_have_given() {
    for mode in ["wal", "delete"] {
        let first = format!("PRAGMA journal_mode = {mode};");
        let site = site_of(&format!(
            "{first} CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a);
             INSERT INTO t (a) VALUES (1), (2), (3); DELETE FROM t WHERE id > 1;
             CREATE TABLE emptied (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO emptied VALUES (41); DELETE FROM emptied;"
        ));
        comes_back(&site, &first, &[]);
        site.sql(LIVE, "INSERT INTO t (a) VALUES ('next'); INSERT INTO emptied DEFAULT VALUES");
        assert_eq!(site.ask(LIVE, "SELECT max(id) FROM t"), "4", "{mode}");
        assert_eq!(site.ask(LIVE, "SELECT id FROM emptied"), "42", "{mode}");
    }
}

#[test]
fn values_of_every_odd_type_come_back_to_the_bit() {
    let site = site_of(
        "CREATE TABLE v (n INTEGER PRIMARY KEY, i INTEGER, t TEXT, r REAL, b BLOB, x);
         INSERT INTO v (i, t, r, b, x) VALUES
           ('text in a number', x'00ff', 'text', 5, NULL),
           (9223372036854775807, '', 1e308, x'', -9223372036854775808),
           (-9223372036854775808, NULL, -0.0, 'text', 9e999),
           (1.5, CAST(x'fffe80' AS TEXT), 4.9e-324, 1, -9e999),
           ('1', 12, 0.1, 0.1, '0.1'),
           (NULL, char(0x10FFFF, 0xD800, 0xFEFF), 2.2250738585072014e-308, NULL, 9e999 - 9e999);",
    );
    let types = "SELECT group_concat(typeof(i) || typeof(t) || typeof(r) || typeof(b) || typeof(x), ' ') FROM v";
    let before = site.ask(LIVE, types);
    let hex = "SELECT group_concat(hex(t), ' ') FROM v";
    let texts = site.ask(LIVE, hex);
    assert!(texts.contains("FFFE80"), "there is no text that is not UTF-8: {texts}");
    for form in ["folder", "tar", "tar.gz", "tar.zst"] {
        comes_back(&site, "", &["--form", form]);
        assert_eq!(site.ask(LIVE, types), before, "{form}");
        assert_eq!(site.ask(LIVE, hex), texts, "{form}");
    }
    assert_eq!(site.ask(LIVE, "SELECT x FROM v WHERE n = 3"), "inf");
    assert_eq!(site.ask(LIVE, "SELECT x IS NULL FROM v WHERE n = 6"), "1");
}

fn violations(site: &Site) -> String {
    Peer::new(&live(site)).ask("PRAGMA foreign_key_check")
}

#[test]
fn rows_that_point_nowhere_are_told_and_not_refused() {
    let site = site_of(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p);
         CREATE TABLE w (k TEXT PRIMARY KEY, p REFERENCES p) WITHOUT ROWID;
         CREATE TABLE lost (a REFERENCES never_made);
         INSERT INTO p VALUES (1); INSERT INTO c VALUES (1), (404), (NULL), (405);
         INSERT INTO w VALUES ('a', 406); INSERT INTO lost VALUES (7);",
    );
    let before = violations(&site);
    assert_eq!(before.matches('(').count(), 4, "{before}");
    let said = comes_back(&site, "", &[]);
    assert_eq!(violations(&site), before);
    assert!(said.contains("4 rows point at rows that do not exist"), "{said}");
}

#[test]
fn values_against_the_sites_own_rules_are_told_and_not_refused() {
    let site = site_of(
        "CREATE TABLE n (a); INSERT INTO n VALUES (NULL); CREATE TABLE t (a BLOB); INSERT INTO t VALUES ('12');
         CREATE TABLE c (a CHECK (a > 9)); PRAGMA ignore_check_constraints = on; INSERT INTO c VALUES (1);
         PRAGMA writable_schema = on;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE n (a NOT NULL)' WHERE name = 'n';
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t (a INTEGER)' WHERE name = 't';",
    );
    assert_ne!(site.ask(LIVE, "PRAGMA quick_check"), "ok", "there is no hazard");
    let said = comes_back(&site, "", &[]);
    for what in ["NULL value in n.a", "TEXT value in t.a"] {
        assert!(said.contains(&format!("as the site had it: {what}")), "{said}");
    }
}
