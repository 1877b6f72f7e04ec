//! What a capture reads of the rows: references, row counts, rows left out, damaged pages.

use std::fs;

use crate::support::{Site, filled, oracle, oracle_of, rows};
use dalsegno_database::sqlite::{self, Location};
use dalsegno_database::{FileColumn, Quiet};
use dalsegno_format::ErrorKind;

#[test]
fn file_references_are_distinct_bytes() {
    for encoding in ["UTF-8", "UTF-16le"] {
        let site = Site::with(&format!(
            "PRAGMA encoding = '{encoding}';
             CREATE TABLE \"my files\" (id INTEGER PRIMARY KEY, \"a file\" TEXT COLLATE NOCASE);
             INSERT INTO \"my files\" (\"a file\") VALUES
               ('é/a.png'), ('é/a.png'), ('É/A.png'), ('é/A.png'), (''), (NULL);"
        ));
        let mut snapshot =
            sqlite::capture(&Location::new(&site.live), &site.options(), &mut Quiet).unwrap();
        let column = |table: &str, column: &str| FileColumn {
            table: table.to_owned(),
            column: column.to_owned(),
        };
        let columns =
            [column("my files", "nothing"), column("my files", "a file"), column("none", "x")];
        let mut found = Vec::new();
        let unreadable = snapshot
            .file_references(&columns, &mut |at, value| {
                found.push((at, String::from_utf8(value.to_vec()).unwrap()));
            })
            .unwrap();
        found.sort();
        let expected: Vec<(usize, String)> =
            ["É/A.png", "é/A.png", "é/a.png"].iter().map(|name| (1, (*name).to_owned())).collect();
        assert_eq!(found, expected, "{encoding}");
        let reasons: Vec<&str> = unreadable.iter().map(|u| u.reason.as_str()).collect();
        assert_eq!(reasons, ["no such column: my files.nothing", "no such table: none"]);
    }
}

#[test]
fn rows_are_left_out_and_nothing_else_changes() {
    for mode in ["wal", "delete"] {
        let site = Site::with(&format!(
            "PRAGMA journal_mode = {mode};
             CREATE TABLE session (id INTEGER PRIMARY KEY AUTOINCREMENT, secret TEXT);
             CREATE TABLE kept (a TEXT, s REFERENCES session ON DELETE CASCADE);
             CREATE TRIGGER gone AFTER DELETE ON session BEGIN DELETE FROM kept; END;
             INSERT INTO session (secret) VALUES ('S3CRET-' || hex(zeroblob(6000))), ('S3CRET-2');
             INSERT INTO kept VALUES ('x', 1), ('gap', 2), ('y', 1);
             DELETE FROM kept WHERE a = 'gap';"
        ));
        let before = oracle(&site.live);
        let mut options = site.options();
        options.exclude_rows_of = vec!["Session".to_owned(), "session".to_owned()];
        let (captured, bytes) = site.try_capture(&options).unwrap();
        assert_eq!(captured.excluded, ["session"]);
        assert!(captured.spooled);
        assert_eq!(rows(&captured.tables, "session"), Some(0));
        assert_eq!(rows(&captured.tables, "kept"), Some(2));
        assert_eq!(rows(&captured.tables, "sqlite_sequence"), Some(1));
        assert!(!bytes.windows(6).any(|w| w == b"S3CRET"), "the rows are still in free pages");
        assert_eq!(bytes[18..20], if mode == "wal" { [2, 2] } else { [1, 1] });
        let after = oracle_of(&bytes);
        let changed: Vec<&str> = after.lines().filter(|line| !before.contains(*line)).collect();
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert!(changed[0].starts_with("b'session' 0 "));
        assert_eq!(oracle(&site.live), before);
        site.assert_no_spool();
    }
}

#[test]
fn tables_that_cannot_be_emptied_are_refused() {
    let site = Site::with(
        "CREATE VIRTUAL TABLE f USING fts5(a); CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT);
         CREATE VIEW v AS SELECT 1;",
    );
    for (table, wording) in [
        ("f", "the rows of `f` cannot be left out: it is a virtual table"),
        ("f_data", "the rows of `f_data` cannot be left out: it is part of a virtual table"),
        ("v", "the rows of `v` cannot be left out: it is a view"),
        ("sqlite_sequence", "the rows of `sqlite_sequence` cannot be left out: it is SQLite's own"),
        ("none", "has no table `none`"),
    ] {
        let mut options = site.options();
        options.exclude_rows_of = vec![table.to_owned()];
        let error = site.try_capture(&options).unwrap_err();
        assert!(error.to_string().ends_with(wording), "{error}");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
    site.assert_no_spool();
}

#[test]
fn a_corrupt_page_is_captured_as_it_is_and_noted() {
    use std::os::unix::fs::FileExt;
    let site = Site::with(&filled("x", 400));
    let size = fs::metadata(&site.live).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(&site.live).unwrap();
    for page in 2..size / 4096 {
        file.write_all_at(&[0xff; 8], page * 4096).unwrap();
    }
    drop(file);
    let (captured, bytes) = site.capture();
    assert_eq!(bytes, fs::read(&site.live).unwrap());
    let big = captured.tables.iter().find(|table| table.name == "big").unwrap();
    assert_eq!(big.rows, None);
    assert_eq!(big.note.as_deref(), Some("not countable: database disk image is malformed"));
}
