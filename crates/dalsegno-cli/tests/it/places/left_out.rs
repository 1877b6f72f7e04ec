//! Names that a backup leaves out by rule stay with the site: as they were, where they were.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use dalsegno_testkit::Site;

use crate::{backup, ok, restore};

/// Mode, owner, time and content.
fn look(path: &Path) -> String {
    let meta =
        path.symlink_metadata().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let content = fs::read(path).expect("it is a file");
    let mtime = (meta.mtime(), meta.mtime_nsec());
    format!("{:o} {}:{} {mtime:?} {content:?}", meta.mode(), meta.uid(), meta.gid())
}

fn put(site: &Site, below: &str) {
    site.write(below, below);
    let path = site.path(below);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).expect("modes can be set");
    chown(&path, Some(12_345), Some(23_456)).expect("root gives files away");
    let file = fs::File::options().write(true).open(&path).expect("it was just written");
    file.set_modified(UNIX_EPOCH + Duration::new(1_234_567_890, 42)).expect("times can be set");
}

/// Backs up, changes, restores, rolls back, restores again and discards: these files stay equal.
fn stay(settings: &str, args: &[&str], names: &[&str]) -> Site {
    let site = Site::plain();
    site.settings(settings);
    site.write("media/.well-known/acme", "challenge");
    names.iter().filter(|name| !name.contains("/later/")).for_each(|name| put(&site, name));
    backup(&site, "b", args);
    names.iter().filter(|name| name.contains("/later/")).for_each(|name| put(&site, name));
    site.write("media/a/two.txt", "changed");
    site.write("media/later/file", "goes");
    fs::remove_dir_all(site.path("media/.well-known")).expect("it is there");
    let looks = || names.iter().map(|name| look(&site.path(name))).collect::<Vec<_>>();
    let (before, state) = (looks(), site.state());
    for last in ["rollback", "discard"] {
        let id = restore(&site, &["b", "--no-pre-backup"]);
        assert_eq!(looks(), before, "after the restore");
        let acme = fs::read_to_string(site.path("media/.well-known/acme"));
        assert_eq!(acme.expect("folders are not left out by name"), "challenge");
        assert!(!site.path("media/later/file").exists());
        assert_eq!(fs::read(site.path("media/a/two.txt")).expect("it is there"), b"two\n");
        ok(&site, &[last, &id, "--force"]);
        assert_eq!(looks(), before, "after the {last}");
        if last == "rollback" {
            dalsegno_testkit::assert_same(&state, &site.state());
        }
    }
    site
}

#[test]
fn dot_files_and_editors_copies() {
    stay(
        "",
        &[],
        &[
            "media/.htaccess",
            "media/a/one.txt~",
            "media/a/.hidden-too",
            "media/later/.keep",
            "media/later/deep/er/x~",
        ],
    );
}

#[test]
fn other_patterns_of_the_settings() {
    stay(
        "[settings]\nBACKUP_MEDIA_EXCLUDE = [\"*.tmp\", \"Thumbs.db\"]",
        &[],
        &["media/a/x.tmp", "media/Thumbs.db", "media/later/y.tmp"],
    );
}

#[test]
fn what_the_command_line_left_out() {
    stay("", &["--exclude-media", "cache/*"], &["media/cache/one", "media/cache/two", "media/.x"]);
}
