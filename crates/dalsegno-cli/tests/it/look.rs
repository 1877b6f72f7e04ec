//! Looking inside a backup.

use std::fs;

use dalsegno_testkit::Site;
use insta::assert_snapshot;

use crate::{backup, mode, ok, report, run};

#[test]
fn show_and_contents() {
    let site = Site::plain();
    backup(&site, "b", &["--description", "before the move", "--tag", "keep", "--no-compress"]);
    let shown = ok(&site, &["show", "b"]);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("Linux tells it");
    assert_snapshot!(shown.out().replace(&format!(" on {}", host.trim()), " on [HOST]"), @"");
    let tables = ok(&site, &["-v", "show", "b"]).stdout;
    assert!(tables.contains("author") && tables.contains("200"), "{tables}");
    assert_snapshot!(ok(&site, &["contents", "b", "files/a"]), @"");
    assert_snapshot!(ok(&site, &["contents", "b", "files/a/one.txt"]), @"");
    assert_snapshot!(run(&site, &["-q", "contents", "b", "files/none"]), @"");
    run(&site, &["contents", "b", "../etc"]).expect(2);
}

#[test]
fn contents_in_json() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let members = report(&site, &["contents", "b", "files/picture.jpg"]);
    let text = members.to_string();
    assert!(text.contains("files/picture.jpg") && text.contains("30000"), "{text}");
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
    assert_snapshot!(run(&site, &["-q", "get", "tar", "files/none"]), @"");
    assert_snapshot!(run(&site, &["-q", "get", "tar", "files/a"]), @"");
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
