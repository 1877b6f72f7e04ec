//! Databases that are none, are broken, or want to run something.

use std::fs;
use std::path::Path;

use dalsegno_testkit::{noise, run_python};
use serde_json::json;

use super::forge::Forge;
use super::trap::{Trap, same};
use crate::text;

const MEMBER: &str = "database/default/db.sqlite3";

/// The backup with another database; the counts of its tables as given.
fn with_database(good: &Forge, bytes: &[u8], tables: &[(&str, u64)]) -> Forge {
    let mut forge = good.clone();
    forge.member(MEMBER).set_data(bytes);
    let tables: Vec<_> =
        tables.iter().map(|(name, rows)| json!({"name": name, "rows": rows})).collect();
    let record = &mut forge.manifest["completion"]["databases"]["default"];
    record["tables"] = json!(tables);
    record["bytes"] = json!(bytes.len());
    forge
}

/// A database made by a script of SQL, with Python's own SQLite, and what a second script does to
/// its schema as text.
fn made(trap: &Trap, sql: &str) -> Vec<u8> {
    let path = trap.site.outside("made.sqlite3");
    let _ = fs::remove_file(&path);
    let program = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None); \
        db.executescript(sys.argv[2]); db.close()";
    run_python(program, &[path.as_os_str(), sql.as_ref()]);
    let bytes = fs::read(&path).expect("it was made");
    fs::remove_file(&path).expect("it is there");
    bytes
}

#[test]
fn what_is_no_sound_database_is_refused() {
    let trap = Trap::new();
    let good = trap.good.members[trap.good.place(MEMBER)].data.clone();
    let page = |number: usize| number * 4096;
    let cases: [(&str, Vec<u8>); 11] = [
        ("text", b"EVIL".repeat(3000)),
        ("nothing", Vec::new()),
        ("noise", noise(80_000, 7)),
        ("a header and no more", good[..100].to_vec()),
        ("half of it", good[..good.len() / 2].to_vec()),
        ("a page of noise", {
            let mut bytes = good.clone();
            bytes[page(2)..page(3)].copy_from_slice(&noise(4096, 3));
            bytes
        }),
        ("cells that point outside their page", {
            let mut bytes = good.clone();
            bytes[page(1) + 8..page(1) + 40].fill(0xff);
            bytes
        }),
        ("a page size of 1", {
            let mut bytes = good.clone();
            bytes[16..18].copy_from_slice(&[0, 1]);
            bytes
        }),
        ("a free list that is a ring", {
            let mut bytes = good.clone();
            bytes[32..40].copy_from_slice(&[0, 0, 0, 2, 0, 0, 0, 9]);
            bytes
        }),
        (
            "a schema that cannot be parsed",
            made(
                &trap,
                "CREATE TABLE author (id); PRAGMA writable_schema = ON; \
             UPDATE sqlite_master SET sql = 'CREATE TABLE author (id) EVIL ((('",
            ),
        ),
        (
            "two tables on one page",
            made(
                &trap,
                "CREATE TABLE author (id); CREATE TABLE book (id); INSERT INTO author VALUES (1); \
             PRAGMA writable_schema = ON; UPDATE sqlite_master SET rootpage = 2",
            ),
        ),
    ];
    for (what, bytes) in cases {
        let forge = with_database(&trap.good, &bytes, &[("author", 10), ("book", 200), ("log", 1)]);
        let path = trap.write(&forge, "database", "tar.gz");
        let before = trap.picture();
        for way in [&["--no-pre-backup"][..], &["--no-backup-check", "--no-pre-backup"]] {
            if bytes.is_empty() && way.contains(&"--no-backup-check") {
                // To SQLite that is a database without tables, and counts are not checked.
                continue;
            }
            let mut all = vec!["-q", "restore", text(&path), "--force"];
            all.extend(way);
            let answer = trap.run(&all);
            assert!([1, 13, 20].contains(&answer.code), "{what} {way:?}: {answer}");
            same(&format!("{what} {way:?}"), &before, &trap.picture());
        }
        let deep = trap.run(&["-q", "verify", text(&path), "--deep"]);
        assert_ne!(deep.code, 0, "{what}: {deep}");
        same(what, &before, &trap.picture());
        assert_eq!(trap.site.temp().read_dir().expect("it is there").count(), 0, "{what}");
    }
}

fn writes(victim: &str) -> Vec<(&'static str, String)> {
    let tables = "CREATE TABLE author (id INTEGER PRIMARY KEY, name TEXT); \
        INSERT INTO author VALUES (1, 'x'), (2, 'y');";
    vec![
        (
            "a view that writes a file",
            format!(
                "{tables} CREATE VIEW evil AS SELECT writefile('{victim}', 'EVIL') FROM author;"
            ),
        ),
        (
            "a view that reads one",
            format!("{tables} CREATE VIEW evil AS SELECT readfile('{victim}') FROM author;"),
        ),
        (
            "a view that loads code",
            format!("{tables} CREATE VIEW evil AS SELECT load_extension('{victim}') FROM author;"),
        ),
        (
            "a trigger on every table",
            format!(
                "{tables} CREATE TRIGGER evil AFTER INSERT ON author BEGIN \
             SELECT load_extension('{victim}'); END; \
             CREATE TRIGGER evil2 AFTER DELETE ON author BEGIN \
             SELECT writefile('{victim}', 'EVIL'); END;"
            ),
        ),
        (
            "a view in the place of a counted table",
            format!(
                "{tables} CREATE TABLE book (id); INSERT INTO book VALUES (1); \
             PRAGMA writable_schema = ON; \
             UPDATE sqlite_master SET type = 'view', rootpage = 0, \
             sql = 'CREATE VIEW book AS SELECT load_extension(''{victim}'') AS id' \
             WHERE name = 'book';"
            ),
        ),
        (
            "a view without an end",
            format!(
                "{tables} CREATE VIEW evil AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 \
             FROM n) SELECT i FROM n;"
            ),
        ),
        (
            "names that are SQL",
            format!("{tables} CREATE TABLE \"x\"\"; ATTACH '{victim}' AS e; --\" (id);"),
        ),
        ("a virtual table", format!("{tables} CREATE VIRTUAL TABLE evil USING fts5(x);")),
    ]
}

/// The database is data. It is put in place when it is sound, and nothing in it has run.
#[test]
fn nothing_in_a_database_is_run() {
    let trap = Trap::new();
    let victim = trap.victim();
    for (what, sql) in writes(&victim) {
        let bytes = made(&trap, &sql);
        let forge = with_database(&trap.good, &bytes, &[("author", 2)]);
        let path = trap.write(&forge, "database", "tar.zst");
        let outside = |trap: &Trap| {
            let mut picture = trap.picture();
            let site = trap.site.root();
            picture.retain(|path: &std::path::PathBuf, _| !path.starts_with(&site));
            picture
        };
        let before = outside(&trap);
        for args in [
            &["-q", "verify", text(&path), "--deep"][..],
            &["-q", "diff", text(&path)],
            &["-q", "restore", text(&path), "--force", "--no-pre-backup", "--verify", "full"],
        ] {
            trap.run(args);
            same(&format!("{what}: {args:?}"), &before, &outside(&trap));
        }
        // The live database is hostile now: backups, plans and rollbacks meet it too.
        for args in [
            &["-q", "backup", "--filename", "hostile"][..],
            &["-q", "diff", "good"],
            &["-q", "restore", "good", "--dry-run"],
            &["-q", "rollback", "latest", "--force"],
        ] {
            trap.run(args);
            same(&format!("{what}: {args:?}"), &before, &outside(&trap));
        }
        for left in trap.site.names("backups") {
            if left.starts_with("hostile") {
                fs::remove_file(trap.site.path(Path::new("backups").join(left))).expect("there");
            }
        }
    }
}
