//! Looking inside a backup.

use std::fs;

use dalsegno_testkit::Site;
use insta::assert_snapshot;

use crate::{backup, mode, ok, run};

#[test]
fn show_and_contents() {
    let site = Site::plain();
    backup(&site, "b", &["--description", "before the move", "--tag", "keep", "--no-compress"]);
    let shown = ok(&site, &["show", "b"]);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux tells it");
    assert_snapshot!(shown.out().replace(&format!(" on {}", host.trim()), " on [HOST]"), @r#"
    b
      path         [SITE]/backups/b.tar
      form         tar, [SIZE] stored of [SIZE]
      state        complete
      made         [TIME] (UTC), in [DURATION]
      project      plain on [HOST]
      versions     Dalsegno 0.1.0, Django none
      description  before the move
      tags         keep
      id           [ID]
      database     default: 3 tables, 211 rows, [SIZE]
      storage      default: 5 files, [SIZE], 1 left out by rule
    "#);
    let tables = ok(&site, &["-v", "show", "b"]).stdout;
    assert!(tables.contains("author") && tables.contains("200"), "{tables}");
    assert_snapshot!(ok(&site, &["contents", "b", "files/a"]), @r#"
    exit 0
    out| d 0755           - [TIME] files/a/
    out| l 0777           - [TIME] files/a/link -> one.txt
    out| - 0644         [SIZE] [TIME] files/a/one.txt
    out| - 0640         [SIZE] [TIME] files/a/two.txt
    "#);
    assert_snapshot!(ok(&site, &["contents", "b", "files/a/one.txt"]), @r#"
    exit 0
    out| - 0644         [SIZE] [TIME] files/a/one.txt
    "#);
    assert_snapshot!(run(&site, &["-q", "contents", "b", "files/none"]), @r#"
    exit 2
    err| error: the backup holds no `files/none`
    err| hint: `dalsegno contents` lists what it holds.
    "#);
    run(&site, &["contents", "b", "../etc"]).expect(2);
}

#[test]
fn the_tables_of_a_database_are_read_without_restoring_it() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    assert_snapshot!(ok(&site, &["contents", "b", "database/default"]), @r#"
    exit 0
    out| d 0700           - [TIME] database/default/
    out| - 0644    [SIZE] [TIME] database/default/db.sqlite3
    out| t               10 rows                database/default/author
    out| t              200 rows                database/default/book
    out| t                1 rows                database/default/log
    "#);
    let rows = ok(&site, &["get", "b", "database/default/author"]).stdout;
    let first: serde_json::Value =
        serde_json::from_str(rows.lines().next().expect("there is a row")).expect("it is JSON");
    assert_eq!(first, serde_json::json!({ "id": 1, "name": "first author 1" }));
    assert_eq!(rows.lines().count(), 10);
    let report = ok(&site, &["--format", "json", "contents", "b", "database/default"]).json();
    assert_eq!(report["tables"], 3);
    assert_snapshot!(run(&site, &["-q", "get", "b", "database/default/none"]), @r#"
    exit 2
    err| error: the backup holds no `database/default/none`
    err| hint: `dalsegno contents` lists what it holds.
    "#);
    let file = site.path("authors.jsonl");
    ok(&site, &["get", "b", "database/default/author", "-o", crate::text(&file)]);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), rows);
}

#[test]
fn contents_in_json() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let answer = ok(&site, &["--format", "json", "contents", "b", "files/picture.jpg"]);
    assert_eq!(answer.json()["entries"], 1);
    let member = answer.stdout.lines().next().expect("there is a line");
    assert!(member.contains("files/picture.jpg") && member.contains("30000"), "{member}");
}

#[test]
fn one_file_is_taken_out() {
    let site = Site::plain();
    for form in ["folder", "tar", "tar.gz", "tar.zst"] {
        backup(&site, form, &["--form", form]);
        assert_eq!(ok(&site, &["get", form, "files/a/one.txt"]).stdout, "one\n");
        let target = format!("out-{form}");
        ok(&site, &["get", form, "files/picture.jpg", "--output", &target]);
        let original = fs::read(site.path("media/picture.jpg")).expect("it is there");
        assert!(fs::read(site.path(&target)).expect("it was written") == original, "{form}");
        assert_eq!(mode(site.path(&target)), "0600");
        run(&site, &["get", form, "files/a/two.txt", "--output", &target]).expect(13);
        assert!(fs::read(site.path(&target)).expect("it was written") == original, "{form}");
    }
    ok(&site, &["get", "tar", "database/default/db.sqlite3", "-o", "copy.db"]);
    assert_eq!(site.ask("copy.db", "SELECT count(*) FROM book"), "200");
    assert_snapshot!(run(&site, &["-q", "get", "tar", "files/none"]), @r#"
    exit 2
    err| error: the backup holds no `files/none`
    err| hint: `dalsegno contents` lists what it holds.
    "#);
    let folder = run(&site, &["-q", "get", "tar", "files/a"]).expect(2);
    assert!(folder.stderr.contains("hint:") && !folder.stderr.contains("refused"), "{folder}");
    run(&site, &["get", "tar", "files/none", "-o", "none"]).expect(2);
    assert!(!site.path("none").exists());
}

#[test]
fn a_backup_needs_no_project_to_be_looked_at() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    fs::rename(site.path("backups/b.tar.gz"), site.outside("moved.tar.gz"))
        .expect("it can be moved");
    fs::remove_file(site.path("dalsegno.toml")).expect("it is there");
    for args in [
        &["show", "../moved.tar.gz"][..],
        &["contents", "../moved.tar.gz"],
        &["verify", "../moved.tar.gz"],
        &["get", "../moved.tar.gz", "files/a/one.txt"],
        &["list", "--output-dir", ".."],
    ] {
        ok(&site, args);
    }
}
