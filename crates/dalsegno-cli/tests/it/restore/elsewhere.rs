//! Backups of another project, of a site that moved, of another engine.

use std::fs;

use dalsegno_testkit::{Site, assert_same, damage};
use insta::assert_snapshot;

use crate::{backup, ok, restore, run, text};

#[test]
fn another_projects_backup_is_refused() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    let other = Site::plain();
    let config = fs::read_to_string(other.path("dalsegno.toml")).expect("it is there");
    other.write("dalsegno.toml", config.replace("\"plain\"", "\"other\""));
    fs::copy(path, other.path("b.tar.gz")).expect("it can be copied");
    let before = other.state();
    let refused = run(&other, &["-q", "restore", "./b.tar.gz", "--force"]).expect(13);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux tells it");
    assert_snapshot!(refused.err().replace(host.trim(), "[HOST]"), @r#"
    error: the backup is of project `plain (on [HOST])`, this is `other`
    hint: If that is what you want, repeat with `--other-project`.
    "#);
    assert_same(&before, &other.state());
    damage(&other);
    ok(&other, &["restore", "./b.tar.gz", "--force", "--other-project"]);
    assert_same(&before, &other.state());
}

#[test]
fn a_moved_site_is_the_same_project() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    let moved = Site::plain();
    let before = moved.state();
    damage(&moved);
    restore(&moved, &[text(&path)]);
    assert_same(&before, &moved.state());
}

#[test]
fn another_engine_is_refused() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let config = fs::read_to_string(site.path("dalsegno.toml")).expect("it is there");
    let postgres = "url = \"postgres://shop:hunter2@db.example:5432/shop\"";
    site.write(
        "dalsegno.toml",
        config.replace("engine = \"sqlite3\"\nname = \"db.sqlite3\"", postgres),
    );
    assert_snapshot!(run(&site, &["-q", "restore", "b", "--force"]), @r#"
    exit 13
    err| error: the backup of `default` is sqlite, the database `default` is postgresql
    err| hint: A native backup goes back to the engine it came from; name a fitting target with `--database`.
    "#);
}
