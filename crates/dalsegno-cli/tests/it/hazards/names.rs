//! What `NAME` may be, in Django's settings and without Django.

use std::fs;
use std::os::unix::fs::symlink;

use dalsegno_testkit::Site;

use super::{describe, everything, make, site_named};
use crate::{BINARY, backup, ok, restore, run};

const ROWS: &str = "CREATE TABLE t (a); INSERT INTO t VALUES ('kept')";

#[test]
fn names_with_any_character_are_just_names() {
    for name in [
        "a b.db",
        "é ü 漢.db",
        "100%25 of it.db",
        "what?mode=memory.db",
        "half#way.db",
        "it's \\ \"quoted\".db",
        "-dash.db",
        "sub.folder/no extension",
    ] {
        let site = Site::empty();
        if let Some((folder, _)) = name.split_once('/') {
            fs::create_dir(site.path(folder)).expect("it is new");
        }
        describe(&site, name);
        make(&site.path(name), ROWS);
        let before = everything(&site.path(name));
        backup(&site, "b", &[]);
        make(&site.path(name), "DELETE FROM t; CREATE TABLE other (a)");
        restore(&site, &["b"]);
        assert_eq!(everything(&site.path(name)), before, "{name}");
        fs::remove_file(site.path(name)).expect("it is there");
        restore(&site, &["b", "--no-pre-backup"]);
        assert_eq!(everything(&site.path(name)), before, "{name}");
    }
}

#[test]
fn a_uri_is_read_as_sqlite_reads_it() {
    for (uri, file) in [
        ("file:plain.db", "plain.db"),
        ("file:a%20b%3F.db?cache=shared", "a b?.db"),
        ("file:only-read.db?mode=ro#top", "only-read.db"),
        ("file:./sub/../twisted.db?mode=rwc", "twisted.db"),
    ] {
        let site = Site::empty();
        fs::create_dir(site.path("sub")).expect("it is new");
        describe(&site, uri);
        make(&site.path(file), ROWS);
        let before = everything(&site.path(file));
        backup(&site, "b", &[]);
        make(&site.path(file), "DELETE FROM t");
        restore(&site, &["b"]);
        assert_eq!(everything(&site.path(file)), before, "{uri}");
        let strays = site.names("").into_iter().filter(|name| name.starts_with("file:"));
        assert_eq!(strays.collect::<Vec<_>>(), [""; 0], "{uri}");
    }
}

#[test]
fn every_form_of_name_in_django_leads_to_the_file_that_django_opens() {
    let site = Site::bookshop(400, 20);
    let settings = fs::read_to_string(site.path("bookshop/settings.py")).expect("it is there");
    fs::create_dir(site.path("data")).expect("it is new");
    for (name, file) in [
        ("'data/relative.db'", "data/relative.db"),
        ("BASE_DIR / 'data' / 'a path é?#%.db'", "data/a path é?#%.db"),
        ("f'file:{BASE_DIR}/data/only%20read.db?mode=ro'", "data/only read.db"),
        ("'file:data/shared.db?cache=shared'", "data/shared.db"),
    ] {
        fs::rename(site.path("db.sqlite3"), site.path(file)).expect("it can be moved");
        let databases = format!(
            "{settings}\nDATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', 'NAME': {name}}}}}\n"
        );
        site.write("bookshop/settings.py", databases);
        let before = everything(&site.path(file));
        let backup_name = file.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        backup(&site, &backup_name, &["--skip-media"]);
        site.sql(file, "PRAGMA foreign_keys = off; DELETE FROM books_book");
        restore(&site, &[&backup_name, "--no-pre-backup"]);
        assert_eq!(everything(&site.path(file)), before, "{name}");
        // By this name Django reads the very file.
        let titles = "from books.models import Book; print(Book._base_manager.count(), Book._base_manager.earliest('pk').title)";
        let read = site.manage(&["shell", "-v", "0", "-c", titles]);
        let stored = "SELECT (SELECT count(*) FROM books_book) || ' ' || title FROM books_book ORDER BY id LIMIT 1";
        assert_eq!(read.trim(), site.ask(file, stored), "{name}");
        fs::rename(site.path(file), site.path("db.sqlite3")).expect("it can be moved");
    }
}

#[test]
fn names_without_a_file_are_refused_and_nothing_is_made() {
    for name in [":memory:", "file::memory:?cache=shared", "file:x?mode=memory&cache=shared"] {
        let site = Site::empty();
        describe(&site, name);
        let answer = run(&site, &["-q", "backup"]).expect(13);
        assert!(answer.stderr.contains("is in memory"), "{name}: {answer}");
        assert_eq!(site.names(""), ["dalsegno.toml"], "{name}");
    }
    let site = Site::empty();
    describe(&site, "not/there.db");
    let answer = run(&site, &["-q", "backup"]).expect(1);
    assert!(answer.stderr.contains("no database file at"), "{answer}");
    assert!(!site.path("not").exists());
    fs::create_dir_all(site.path("not/there.db")).expect("it is new");
    let answer = run(&site, &["-q", "backup"]).expect(1);
    assert!(answer.stderr.contains("is not a regular file"), "{answer}");
}

#[test]
fn a_file_of_no_bytes_is_an_empty_database_both_ways() {
    for mode in ["wal", "delete"] {
        let site = site_named("db.sqlite3", "");
        fs::write(site.path("db.sqlite3"), "").expect("it can be written");
        backup(&site, "empty", &[]);
        assert_eq!(fs::metadata(site.path("db.sqlite3")).expect("it is there").len(), 0);
        make(&site.path("db.sqlite3"), &format!("PRAGMA journal_mode = {mode}; {ROWS}"));
        let before = everything(&site.path("db.sqlite3"));
        backup(&site, "full", &[]);
        restore(&site, &["empty", "--no-pre-backup"]);
        let count = "SELECT count(*) FROM sqlite_master";
        assert_eq!(site.ask("db.sqlite3", count), "0", "{mode}");
        fs::write(site.path("db.sqlite3"), "").expect("it can be written");
        restore(&site, &["full", "--no-pre-backup"]);
        let after = everything(&site.path("db.sqlite3"));
        // A file of no bytes has no journal mode, so it gets SQLite's own.
        assert_eq!(
            after.replace("journal_mode b'delete'", ""),
            before.replace(&format!("journal_mode b'{mode}'"), "")
        );
    }
}

#[test]
fn a_symbolic_link_stays_and_its_target_is_restored() {
    for mode in ["wal", "delete"] {
        let site = Site::empty();
        describe(&site, "link.db");
        let real = site.outside("elsewhere");
        fs::create_dir(&real).expect("it is new");
        let file = real.join("real.db");
        make(&file, &format!("PRAGMA journal_mode = {mode}; {ROWS}"));
        symlink(&file, site.path("link.db")).expect("links can be made");
        let before = everything(&file);
        backup(&site, "b", &[]);
        make(&file, "DELETE FROM t");
        let id = restore(&site, &["b"]);
        assert_eq!(everything(&file), before, "{mode}");
        assert!(site.path("link.db").is_symlink(), "{mode}");
        ok(&site, &["rollback", &id, "--force"]);
        assert_eq!(site.ask(&file, "SELECT count(*) FROM t"), "0", "{mode}");
        let left: Vec<_> = fs::read_dir(&real)
            .expect("it is there")
            .map(|entry| entry.expect("it can be read").file_name())
            .collect();
        assert_eq!(left, ["real.db"], "{mode}");
    }
}

#[test]
fn a_link_that_leads_nowhere_is_refused() {
    let site = Site::empty();
    describe(&site, "link.db");
    symlink("gone.db", site.path("link.db")).expect("links can be made");
    let answer = site.call(BINARY, &["-q", "backup"]).run().expect(1);
    assert!(answer.stderr.contains("no database file at"), "{answer}");
    assert!(!site.path("gone.db").exists());
}
