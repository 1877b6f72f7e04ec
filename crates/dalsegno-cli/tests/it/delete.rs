//! Deleting backups.

use dalsegno_testkit::Site;
use insta::assert_snapshot;

use crate::{BINARY, backup, ok, run, text};

#[test]
fn a_backup_goes_with_its_sidecar() {
    let site = Site::plain();
    for form in ["folder", "tar", "tar.gz", "tar.zst"] {
        backup(&site, "kept", &["--form", form, "--name", &format!("kept-{form}")]);
        let path = backup(&site, "gone", &["--form", form]);
        run(&site, &["-q", "delete", "gone"]).expect(13);
        assert!(path.exists());
        ok(&site, &["delete", text(&path), "--force"]);
        assert!(
            !site.names("backups").iter().any(|name| name.contains("gone")),
            "{:?}",
            site.names("backups")
        );
        ok(&site, &["verify", &format!("kept-{form}")]);
    }
}

#[test]
fn a_yes_is_wanted() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    assert_snapshot!(run(&site, &["-q", "delete", "b"]), @r#"
    exit 13
    err| error: deleting the backup needs a yes, and there is no terminal to ask on
    err| hint: Repeat with `--force` to answer yes.
    "#);
    let answer = site.call(BINARY, &["delete", "b"]).on_terminal("y\n").run().expect(13);
    assert!(answer.stdout.contains("cancelled: deleting the backup was not confirmed"), "{answer}");
    assert!(path.exists());
    site.call(BINARY, &["delete", "b"]).on_terminal("yes\n").run().expect(0);
    assert!(!path.exists());
}

#[test]
fn only_backups_are_deleted() {
    let site = Site::plain();
    site.write("precious/file", "not a backup");
    run(&site, &["delete", "./precious", "--force"]);
    run(&site, &["delete", "./media/a/one.txt", "--force"]);
    run(&site, &["delete", "./db.sqlite3", "--force"]);
    assert!(site.path("precious/file").exists(), "a folder that is no backup was deleted");
    assert!(site.path("media/a/one.txt").exists(), "a file that is no backup was deleted");
    assert!(site.path("db.sqlite3").exists(), "the live database was deleted");
}

#[test]
fn an_unreadable_archive_can_be_deleted() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    let bytes = std::fs::read(&path).expect("it is there");
    std::fs::write(&path, &bytes[..bytes.len() / 2]).expect("it can be written");
    ok(&site, &["delete", "b", "--force"]);
    assert!(!path.exists());
}
