//! What becomes of media files that are there already.

use std::fs;
use std::time::{Duration, SystemTime};

use dalsegno_testkit::Site;
use insta::assert_snapshot;

use crate::{backup, ok, restore, run};

/// A site whose media changed since its backup: one file changed, one deleted, one new, one hidden.
fn changed() -> Site {
    let site = Site::plain();
    backup(&site, "b", &[]);
    site.write("media/a/two.txt", "changed\n");
    fs::remove_file(site.path("media/picture.jpg")).expect("it is there");
    site.write("media/new/file", "new\n");
    site.write("media/.later", "hidden\n");
    site
}

fn read(site: &Site, below: &str) -> Option<String> {
    fs::read(site.path(below)).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn replace() {
    let site = changed();
    restore(&site, &["b"]);
    assert_eq!(read(&site, "media/a/two.txt").as_deref(), Some("two\n"));
    assert!(site.path("media/picture.jpg").exists());
    assert!(!site.path("media/new").exists());
    assert_eq!(read(&site, "media/.later").as_deref(), Some("hidden\n"));
    assert_eq!(read(&site, "media/.hidden").as_deref(), Some("left out by rule\n"));
}

#[test]
fn merge() {
    let site = changed();
    let id = restore(&site, &["b", "--media-strategy", "merge"]);
    assert_eq!(read(&site, "media/a/two.txt").as_deref(), Some("two\n"));
    assert!(site.path("media/picture.jpg").exists());
    assert_eq!(read(&site, "media/new/file").as_deref(), Some("new\n"));
    ok(&site, &["rollback", &id, "--force"]);
    assert_eq!(read(&site, "media/a/two.txt").as_deref(), Some("changed\n"));
    assert!(!site.path("media/picture.jpg").exists());
}

#[test]
fn keep_existing() {
    let site = changed();
    restore(&site, &["b", "--media-strategy", "keep-existing"]);
    assert_eq!(read(&site, "media/a/two.txt").as_deref(), Some("changed\n"));
    assert!(site.path("media/picture.jpg").exists());
    assert_eq!(read(&site, "media/new/file").as_deref(), Some("new\n"));
}

#[test]
fn the_plan_counts_for_each() {
    let site = changed();
    // The plan tells a changed file by size or time; a time that went backwards counts too.
    let old =
        fs::File::options().write(true).open(site.path("media/a/two.txt")).expect("it is there");
    old.set_modified(SystemTime::now() - Duration::from_secs(86_400)).expect("times can be set");
    let media = |strategy: &str| {
        let answer = ok(
            &site,
            &["-q", "restore", "b", "--dry-run", "--skip-database", "--media-strategy", strategy],
        );
        answer.out()
    };
    assert_snapshot!(media("replace"), @"");
    assert_snapshot!(media("merge"), @"");
    assert_snapshot!(media("keep-existing"), @"");
    run(&site, &["restore", "b", "--media-strategy", "sideways"]).expect(2);
}

#[test]
fn media_that_are_a_mount_point_are_replaced_inside() {
    let site = Site::plain();
    let before = site.state();
    let path = backup(&site, "b", &[]);
    // The live folder is another file system: its own folder cannot be renamed.
    let script = format!(
        "set -e; mkdir ../kept; cp -a media/. ../kept; mount -t tmpfs none media; cp -a ../kept/. media; \
        rm media/picture.jpg; echo oops >media/a/two.txt; echo new >media/new; \
        {} restore {} --force --skip-database; ls -A media >../listed; rm -rf ../after; cp -a media ../after",
        crate::BINARY,
        path.display()
    );
    let done = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .current_dir(site.root())
        .output()
        .expect("unshare runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::remove_dir_all(site.path("media")).expect("it can be removed");
    fs::rename(site.outside("after"), site.path("media")).expect("it can be moved");
    let after: Vec<String> =
        site.state().part("media").iter().filter(|l| !l.contains(".dalsegno")).cloned().collect();
    let without_total = |lines: &[String]| -> Vec<String> {
        lines.iter().filter(|l| !l.starts_with("ALL")).cloned().collect()
    };
    let mut after = without_total(&after);
    let mut expected = without_total(before.part("media"));
    // The mount point's own mode is the tmpfs's.
    after.retain(|l| !l.starts_with("d\t.\t"));
    expected.retain(|l| !l.starts_with("d\t.\t"));
    after.retain(|l| !l.split('\t').nth(1).is_some_and(|name| name.starts_with(".dalsegno")));
    assert_eq!(after, expected);
}
