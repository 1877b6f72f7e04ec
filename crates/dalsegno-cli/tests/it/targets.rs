//! Where a restore goes.

use std::fs;

use dalsegno_testkit::{Site, assert_same, damage};
use insta::assert_snapshot;

use crate::{backup, ok, report, restore, run, text};

#[test]
fn each_database_goes_back_where_it_came_from() {
    let site = Site::two_databases();
    let before = site.state();
    backup(&site, "b", &["--database", "all"]);
    damage(&site);
    site.sql("archive.sqlite3", "DELETE FROM book");
    restore(&site, &["b"]);
    assert_same(&before, &site.state());
}

#[test]
fn one_database_of_several() {
    let site = Site::two_databases();
    let before = site.state();
    backup(&site, "b", &["--database", "all"]);
    site.sql("db.sqlite3", "DELETE FROM book");
    site.sql("archive.sqlite3", "DELETE FROM book");
    let damaged = site.state();
    restore(&site, &["b", "--skip-media", "--database", "archive"]);
    assert_eq!(site.state().part("archive.sqlite3"), before.part("archive.sqlite3"));
    assert_eq!(site.state().part("db.sqlite3"), damaged.part("db.sqlite3"));
    // The target is `default`, the source another.
    restore(&site, &["b", "--skip-media", "--database", "default", "--from-database", "archive"]);
    assert_eq!(site.state().part("db.sqlite3"), before.part("archive.sqlite3"));
    restore(&site, &["b", "--skip-media", "--from-database", "default", "--database", "default"]);
    assert_eq!(site.state().part("db.sqlite3"), before.part("db.sqlite3"));
}

#[test]
fn the_only_database_goes_where_it_is_sent() {
    let site = Site::two_databases();
    let before = site.state();
    backup(&site, "one", &["--skip-media"]);
    restore(&site, &["one", "--database", "archive"]);
    assert_eq!(site.state().part("archive.sqlite3"), before.part("db.sqlite3"));
    assert_eq!(site.state().part("db.sqlite3"), before.part("db.sqlite3"));
}

#[test]
fn names_that_do_not_fit() {
    let site = Site::two_databases();
    backup(&site, "one", &["--skip-media"]);
    backup(&site, "files", &["--type", "media"]);
    assert_snapshot!(run(&site, &["-q", "restore", "one", "--force", "--database", "nosuch"]), @r#"
    exit 2
    err| error: the project has no database `nosuch`
    err| hint: The project's databases: archive, default.
    "#);
    assert_snapshot!(run(&site, &["-q", "restore", "one", "--force", "--from-database", "archive"]), @r#"
    exit 2
    err| error: the backup holds no database that fits `archive`; it holds: default
    err| hint: `--from-database` names one of those, `--skip-database` none.
    "#);
    assert_snapshot!(run(&site, &["-q", "restore", "files", "--force", "--database", "default"]), @r#"
    exit 2
    err| error: the backup holds no database that fits `default`; it holds: no database
    err| hint: `--from-database` names one of those, `--skip-database` none.
    "#);
    assert_snapshot!(run(&site, &["-q", "restore", "one", "--force", "--database", "default", "--skip-database"]), @r#"
    exit 2
    err| error: `--skip-database` contradicts `--database` and `--to-database`
    "#);
}

#[test]
fn a_new_database_and_a_new_folder() {
    let site = Site::plain();
    let before = site.state();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    let database = site.outside("new.sqlite3");
    let url = format!("sqlite:///{}", database.display());
    let media = site.outside("new media");
    let answer =
        ok(&site, &["restore", "b", "--force", "--to-database", &url, "--to-media", text(&media)]);
    assert_same(&damaged, &site.state());
    assert_eq!(site.ask(&database, "SELECT count(*) FROM author"), "10");
    fs::rename(&media, site.path("private")).expect("it can be moved");
    let lines = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|l| !l.starts_with("ALL") && !l.contains(".hidden")).cloned().collect()
    };
    assert_eq!(lines(site.state().part("private")), lines(before.part("media")), "{answer}");
    assert_eq!(site.names("backups_data/archives"), [""; 0], "what is not touched needs no backup");
}

#[test]
fn new_places_must_be_new() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let before = site.state();
    let url = format!("sqlite:///{}", site.path("db.sqlite3").display());
    assert_snapshot!(run(&site, &["-q", "restore", "b", "--force", "--to-database", &url]), @r#"
    exit 13
    err| error: `[SITE]/db.sqlite3` exists already
    err| hint: Choose another name: nothing existing is overwritten.
    "#);
    let media = site.path("media");
    assert_snapshot!(run(&site, &["-q", "restore", "b", "--force", "--skip-database", "--to-media", text(&media)]), @r#"
    exit 13
    err| error: `[SITE]/media` exists already
    err| hint: Choose another name: nothing existing is overwritten.
    "#);
    let to = |url: &str| run(&site, &["-q", "restore", "b", "--force", "--to-database", url]);
    assert_snapshot!(to("oracle://x/y"), @r#"
    exit 2
    err| error: `--to-database` takes the URL of a new database
    err| hint: Write it as `sqlite:////absolute/path.db`, `postgresql:///NAME` or `mysql:///NAME`.
    "#);
    assert_snapshot!(to("mysql://[::1]:3306/y"), @r#"
    exit 2
    err| error: no database of this site is on that mysql server
    err| hint: `--to-database mysql:///NAME` makes a new database on the server of the site.
    "#);
    let said = to("postgresql://shop:hunter2@db/new");
    assert_snapshot!(said, @r#"
    exit 2
    err| error: `--to-database` takes no user and no password: others could see them here
    err| hint: Leave them out: the server is reached as the site reaches it.
    "#);
    for wrong in ["postgresql://db", "postgresql:///", "mysql://db:port/x", "mysql:///a/b"] {
        assert_eq!(to(wrong).code, 2, "{wrong}");
    }
    assert_same(&before, &site.state());
}

#[test]
fn only_what_is_named_goes_to_a_new_place() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let damaged = site.state();
    let url = format!("sqlite:///{}", site.outside("new.sqlite3").display());
    let plan = report(&site, &["restore", "b", "--dry-run", "--skip-media", "--to-database", &url]);
    assert_eq!(plan["plan"]["databases"][0]["exists"], false);
    restore(&site, &["b", "--skip-media", "--to-database", &url]);
    assert_same(&damaged, &site.state());
}
