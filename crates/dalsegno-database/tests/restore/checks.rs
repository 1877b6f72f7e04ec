//! What is checked before the switch, and what is only noted.

use std::fs;
use std::path::Path;

use crate::support::{SWITCH, Site, WAIT, filled, live_hash, make, names};
use dalsegno_database::sqlite::{self, Source, SwitchMethod, leftovers};
use dalsegno_database::{Captured, CheckOptions, Quiet};
use dalsegno_format::ErrorKind;

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
