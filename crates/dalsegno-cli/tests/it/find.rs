//! Which backup is meant.

use std::fs;

use dalsegno_testkit::{Site, damage};
use insta::assert_snapshot;

use crate::{backup, ok, report, restore, run, text};

fn name_of(site: &Site, wanted: &str) -> String {
    let shown = report(site, &["show", wanted]);
    shown["manifest"]["metadata"]["name"].as_str().expect("it has a name").to_owned()
}

#[test]
fn by_id_prefix_name_file_and_path() {
    let site = Site::plain();
    let path = backup(&site, "one", &["--name", "first"]);
    backup(&site, "two", &[]);
    let id = report(&site, &["show", "first"])["manifest"]["metadata"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for wanted in [&id, "first", "one", "one.tar.gz", text(&path), "backups/one.tar.gz"] {
        assert_eq!(name_of(&site, wanted), "first", "{wanted}");
    }
    // Ids begin with the time: only the random part tells two of the same moment apart.
    assert_eq!(name_of(&site, &id[..35]), "first");
    run(&site, &["show", &id[..3]]).expect(10);
    assert_eq!(name_of(&site, "latest"), "two");
    run(&site, &["show", "fir"]).expect(10);
}

#[test]
fn an_ambiguous_name_is_refused_with_the_list() {
    let site = Site::plain();
    backup(&site, "one", &["--name", "nightly"]);
    backup(&site, "two", &["--name", "nightly"]);
    assert_snapshot!(run(&site, &["-q", "show", "nightly"]), @r#"
    exit 2
    err| error: `nightly` is the name of 2 backups: [ID] ([SITE]/backups/two.tar.gz), [ID] ([SITE]/backups/one.tar.gz)
    err| hint: Give the id, or more of it.
    "#);
    run(&site, &["restore", "nightly", "--force"]).expect(2);
    run(&site, &["delete", "nightly", "--force"]).expect(2);
}

#[test]
fn latest_is_never_what_a_restore_made() {
    let site = Site::plain();
    backup(&site, "mine", &[]);
    damage(&site);
    restore(&site, &["mine"]);
    let listed = report(&site, &["list"]);
    assert_eq!(listed["backups"][0]["tags"], serde_json::json!(["pre-restore"]));
    assert_eq!(name_of(&site, "latest"), "mine");
}

#[test]
fn unreadable_things_do_not_hide_the_others() {
    let site = Site::plain();
    backup(&site, "good", &[]);
    site.write("backups/broken.tar.gz", "no archive at all");
    site.write("backups/notes.txt", "no backup either");
    site.write("backups/.hidden.tar.gz", "work in progress");
    fs::create_dir_all(site.path("backups/other folder")).expect("folders can be made");
    let listed = ok(&site, &["list"]);
    assert_snapshot!(columns(&listed.out()), @r#"
    name | made (UTC) | type | size | rows | files | state | id
    good | [TIME] | full | [SIZE] | 211 | 5 | complete | [ID]
    broken.tar.gz | - | - | - | - | - | unreadable | `dalsegno verify` tells why
    "#);
    assert_eq!(name_of(&site, "latest"), "good");
    let json = report(&site, &["list"]);
    assert_eq!(json["backups"][1]["outcome"], "unreadable");
    assert!(json["backups"][1]["error"].is_string());
}

#[test]
fn both_folders_are_searched() {
    let site = Site::plain();
    ok(&site, &["backup", "--filename", "in-dir"]);
    ok(&site, &["backup", "--filename", "in-root", "--output-dir", "backups_data/archives"]);
    let listed = report(&site, &["list"]);
    assert_eq!(listed["backups"].as_array().map(Vec::len), Some(2));
    assert_eq!(name_of(&site, "in-root"), "in-root");
    let newest = report(&site, &["list", "--limit", "1"]);
    assert_eq!(newest["backups"].as_array().map(Vec::len), Some(1));
    assert_eq!(newest["backups"][0]["name"], "in-root");
}

#[test]
fn an_empty_list_says_what_to_do() {
    let site = Site::plain();
    assert_snapshot!(ok(&site, &["list"]), @r#"
    exit 0
    out| No backups in [SITE]/backups, [SITE]/backups_data, [SITE]/backups_data/archives, [SITE]/backups_data/database, [SITE]/backups_data/media. `dalsegno backup` makes one.
    "#);
    assert_snapshot!(run(&site, &["-q", "show", "latest"]), @r#"
    exit 10
    err| error: no backup `latest`
    err| hint: Searched `[SITE]/backups`, `[SITE]/backups_data`, `[SITE]/backups_data/archives`, `[SITE]/backups_data/database`, `[SITE]/backups_data/media`. `dalsegno list` shows the backups there are; a path works too.
    "#);
}

/// Columns without their padding, which depends on sizes.
fn columns(text: &str) -> String {
    text.lines()
        .map(|line| {
            line.split("  ")
                .filter(|c| !c.is_empty())
                .map(str::trim)
                .collect::<Vec<_>>()
                .join(" | ")
        })
        .collect::<Vec<_>>()
        .join("\n")
}
