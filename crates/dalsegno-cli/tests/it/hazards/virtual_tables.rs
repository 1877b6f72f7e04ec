//! Full-text and other virtual tables, and those whose module is not here.

use super::{LIVE, Peer, comes_back, live, site_of};
use crate::ok;

const INDEXES: &str = "
    CREATE TABLE song (id INTEGER PRIMARY KEY, title TEXT, body TEXT);
    INSERT INTO song VALUES (3, 'dal segno', 'from the sign'), (7, 'da capo', 'from the beginning'), (9, 'fine', 'the end');
    DELETE FROM song WHERE id = 7; INSERT INTO song VALUES (12, 'coda', 'the tail of the sign');
    CREATE VIRTUAL TABLE f3 USING fts3(body); INSERT INTO f3 (docid, body) SELECT id, body FROM song;
    CREATE VIRTUAL TABLE f4 USING fts4(body, tokenize=porter, prefix='2,4'); INSERT INTO f4 (docid, body) SELECT id, body FROM song;
    CREATE VIRTUAL TABLE f4_outside USING fts4(content='song', body); INSERT INTO f4_outside (f4_outside) VALUES ('rebuild');
    CREATE VIRTUAL TABLE f4_none USING fts4(content='', body); INSERT INTO f4_none (docid, body) SELECT id, body FROM song;
    CREATE VIRTUAL TABLE f5 USING fts5(title, body, prefix='2'); INSERT INTO f5 (rowid, title, body) SELECT id, title, body FROM song;
    CREATE VIRTUAL TABLE f5_outside USING fts5(body, content='song', content_rowid='id'); INSERT INTO f5_outside (f5_outside) VALUES ('rebuild');
    CREATE VIRTUAL TABLE f5_none USING fts5(body, content='', detail=none, columnsize=0); INSERT INTO f5_none (rowid, body) SELECT id, body FROM song;
    CREATE VIRTUAL TABLE words USING fts5vocab('f5', 'row');
    CREATE VIRTUAL TABLE box USING rtree(id, x0, x1, y0, y1, +name);
    INSERT INTO box VALUES (1, 0, 2, 0, 2, 'near'), (2, 50, 52, 50, 52, 'far');
    CREATE VIRTUAL TABLE grid USING rtree_i32(id, a, b); INSERT INTO grid VALUES (5, 10, 20);
    CREATE TABLE implicit (body TEXT); INSERT INTO implicit VALUES ('gone'), ('segno'), ('gone'), ('segno'); DELETE FROM implicit WHERE body = 'gone';
    CREATE VIRTUAL TABLE f5_implicit USING fts5(body, content='implicit'); INSERT INTO f5_implicit (f5_implicit) VALUES ('rebuild');
    PRAGMA writable_schema = on;
    INSERT INTO sqlite_schema VALUES ('table', 'pages', 'pages', 0, 'CREATE VIRTUAL TABLE pages USING dbstat');";

const QUESTIONS: [(&str, &str); 11] = [
    ("SELECT docid FROM f3 WHERE f3 MATCH 'sign'", "ok [(3,), (12,)]"),
    ("SELECT docid FROM f4 WHERE f4 MATCH 'signs'", "ok [(3,), (12,)]"),
    ("SELECT docid FROM f4_outside WHERE f4_outside MATCH 'tail'", "ok [(12,)]"),
    ("SELECT docid FROM f4_none WHERE f4_none MATCH 'end'", "ok [(9,)]"),
    ("SELECT rowid FROM f5 WHERE f5 MATCH 'title:dal AND body:sign'", "ok [(3,)]"),
    ("SELECT body FROM f5_outside WHERE f5_outside MATCH 'tail'", "ok [('the tail of the sign',)]"),
    ("SELECT rowid FROM f5_none WHERE f5_none MATCH 'end'", "ok [(9,)]"),
    ("SELECT doc FROM words WHERE term = 'sign'", "ok [(2,)]"),
    ("SELECT name FROM box WHERE x0 < 10", "ok [('near',)]"),
    ("SELECT id FROM grid WHERE a < 15 AND b > 15", "ok [(5,)]"),
    (
        "SELECT rowid, body FROM f5_implicit WHERE f5_implicit MATCH 'segno'",
        "ok [(2, 'segno'), (4, 'segno')]",
    ),
];

#[track_caller]
fn answers(site: &dalsegno_testkit::Site) {
    let mut peer = Peer::new(&live(site));
    for (question, answer) in QUESTIONS {
        assert_eq!(peer.ask(question), answer, "{question}");
    }
    for (table, check) in [
        ("f3", "integrity-check"),
        ("f4", "integrity-check"),
        ("f5", "integrity-check"),
        ("f5_implicit", "integrity-check"),
    ] {
        peer.run(&format!("INSERT INTO {table} ({table}) VALUES ('{check}')"));
    }
    peer.close();
}

#[test]
fn full_text_and_rtree_tables_answer_as_before() {
    for mode in ["wal", "delete"] {
        let first = format!("PRAGMA journal_mode = {mode};");
        let site = site_of(&format!("{first} {INDEXES}"));
        answers(&site);
        comes_back(&site, &first, &[]);
        answers(&site);
        site.sql(LIVE, "INSERT INTO f5 (rowid, title, body) VALUES (99, 'new', 'segue'); INSERT INTO box VALUES (3, 1, 2, 1, 2, 'new')");
        assert_eq!(site.ask(LIVE, "SELECT rowid FROM f5 WHERE f5 MATCH 'segue'"), "99");
    }
}

#[test]
fn a_table_whose_module_is_not_here_comes_back() {
    let site = site_of(
        "CREATE TABLE place (id INTEGER PRIMARY KEY, at BLOB); INSERT INTO place VALUES (1, x'0001');
         CREATE TABLE idx_place (a); INSERT INTO idx_place VALUES ('its own table');
         PRAGMA writable_schema = on;
         INSERT INTO sqlite_schema VALUES ('table', 'SpatialIndex', 'SpatialIndex', 0, 'CREATE VIRTUAL TABLE SpatialIndex USING VirtualSpatialIndex()');
         INSERT INTO sqlite_schema VALUES ('table', 'vectors', 'vectors', 0, 'CREATE VIRTUAL TABLE vectors USING vec0(embedding float[4])');",
    );
    let said = Peer::new(&live(&site)).ask("SELECT * FROM SpatialIndex");
    assert!(said.contains("no such module"), "there is no hazard: {said}");
    comes_back(&site, "", &["--form", "folder"]);
    let shown = ok(&site, &["--format", "json", "show", "b--formfolder"]).stdout;
    assert!(shown.contains("no such module: VirtualSpatialIndex"), "{shown}");
    assert!(shown.contains("\"complete\""), "{shown}");
}

#[test]
fn a_full_text_table_whose_tokenizer_is_not_here_comes_back() {
    let site = site_of(
        "CREATE VIRTUAL TABLE f4 USING fts4(body); INSERT INTO f4 VALUES ('dal segno');
         CREATE VIRTUAL TABLE f5 USING fts5(body); INSERT INTO f5 VALUES ('dal segno');
         PRAGMA writable_schema = on;
         UPDATE sqlite_schema SET sql = replace(sql, '(body)', '(body, tokenize=icu de_DE)') WHERE name = 'f4';
         UPDATE sqlite_schema SET sql = replace(sql, '(body)', '(body, tokenize=''of the site'')') WHERE name = 'f5';",
    );
    let said = Peer::new(&live(&site)).ask("SELECT * FROM f4");
    assert!(said.contains("unknown tokenizer"), "there is no hazard: {said}");
    let said = comes_back(&site, "", &[]);
    assert!(said.contains("not checkable: table `f4`: unknown tokenizer: icu"), "{said}");
}

#[test]
fn a_full_text_index_that_lags_behind_its_table_is_told_and_not_refused() {
    let site = site_of(
        "CREATE TABLE t (body); INSERT INTO t VALUES ('one'), ('two');
         CREATE VIRTUAL TABLE f4 USING fts4(content='t', body); INSERT INTO f4 (f4) VALUES ('rebuild');
         UPDATE t SET body = 'three';",
    );
    let said = comes_back(&site, "", &[]);
    assert!(said.contains("as the site had it: malformed inverted index for FTS4"), "{said}");
}
