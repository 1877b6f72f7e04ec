//! Databases whose own pages are damaged.

use std::fs;

use dalsegno_testkit::{Site, flip_byte};

use super::{LIVE, Peer, everything, filled, live, make, site_of};
use crate::{backup, ok, path_of, report, run};

/// The page at which the tree of a table or an index begins, counted from 1.
fn root(site: &Site, name: &str) -> u64 {
    let query = format!("SELECT rootpage FROM sqlite_master WHERE name = '{name}'");
    site.ask(LIVE, &query).parse().expect("a page is a number")
}

/// Where a page begins in the file.
fn at(page: u64) -> u64 {
    (page - 1) * 4096
}

#[test]
fn a_corrupt_page_makes_the_backup_partial_and_the_last_good_one_stays_the_last() {
    let site = site_of(&format!(
        "{} CREATE TABLE other (a); INSERT INTO other VALUES ('kept')",
        filled("t", 300)
    ));
    let before = everything(&live(&site));
    let good = backup(&site, "good", &[]);
    let bytes = fs::read(&good).expect("it is there");
    flip_byte(&live(&site), at(root(&site, "t")));
    let damaged = fs::read(live(&site)).expect("it is there");
    let answer =
        run(&site, &["--format", "json", "backup", "--filename", "bad", "--form", "folder"])
            .expect(3);
    let told = "database default, table `t`: not countable: database disk image is malformed";
    assert!(answer.stdout.contains(told), "{answer}");
    // All that is left is stored, to the byte.
    let bad = path_of(&answer);
    let stored = fs::read(bad.join("database/default/db.sqlite3")).expect("it is there");
    assert_eq!(stored, damaged);
    assert_eq!(fs::read(&good).expect("it is there"), bytes);
    let shown = ok(&site, &["list"]).stdout;
    assert!(shown.contains("partial"), "{shown}");
    // It is not restored over what is left of the site, and the way out is said.
    let refused = run(&site, &["-q", "restore", "bad", "--force", "--no-pre-backup"]).expect(20);
    assert!(refused.stderr.contains("holds a damaged database `default`"), "{refused}");
    assert!(refused.stderr.contains("dalsegno get"), "{refused}");
    assert_eq!(fs::read(live(&site)).expect("it is there"), damaged);
    // `latest` is the good one, and goes over the damaged one.
    let done = report(&site, &["restore", "latest", "--force"]);
    assert!(done["pre_backup"].is_string(), "{done}");
    assert_eq!(everything(&live(&site)), before);
    super::assert_integrity(&site);
}

#[test]
fn damage_that_no_count_meets_is_found_by_verify_deep_and_stops_a_restore() {
    let site = site_of(&format!("{} CREATE INDEX i ON t (word)", filled("t", 300)));
    // Rows are counted by the index; a leaf of the table is another matter. The last one stands in
    // the header of the root.
    let bytes = fs::read(live(&site)).expect("it is there");
    let from = usize::try_from(at(root(&site, "t"))).expect("the file is small") + 8;
    let leaf = u32::from_be_bytes(bytes[from..from + 4].try_into().expect("four bytes"));
    flip_byte(&live(&site), at(leaf.into()));
    let said = Peer::new(&live(&site)).ask("PRAGMA quick_check");
    assert!(!said.contains("'ok'"), "there is no hazard: {said}");
    backup(&site, "b", &[]);
    let answer = run(&site, &["-q", "verify", "b", "--deep"]).expect(20);
    assert!(answer.stdout.contains("database default: "), "{answer}");
    let damaged = fs::read(live(&site)).expect("it is there");
    run(&site, &["-q", "restore", "b", "--force", "--no-pre-backup"]).expect(20);
    assert_eq!(fs::read(live(&site)).expect("it is there"), damaged);
}

#[test]
fn a_damaged_schema_stores_nothing_and_can_be_restored_over() {
    let site = site_of(&filled("t", 300));
    let before = everything(&live(&site));
    backup(&site, "good", &[]);
    make(
        &live(&site),
        "PRAGMA writable_schema = on; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (' WHERE name = 't'",
    );
    let damaged = fs::read(live(&site)).expect("it is there");
    run(&site, &["-q", "backup", "--filename", "bad"]).expect(1);
    assert_eq!(site.names("backups"), ["good.tar.gz", "good.tar.gz.manifest.json"]);
    assert_eq!(fs::read(live(&site)).expect("it is there"), damaged);
    ok(&site, &["restore", "latest", "--force", "--no-pre-backup"]);
    assert_eq!(everything(&live(&site)), before);
}
