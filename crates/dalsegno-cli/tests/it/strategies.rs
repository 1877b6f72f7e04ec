//! What becomes of media files that are there already.

use std::fs;
use std::time::{Duration, SystemTime};

use dalsegno_testkit::{Site, with_own_mounts};
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
    assert_snapshot!(media("replace"), @r#"
    Backup b of project plain, made [TIME] (UTC)
      storage default: [SITE]/media (replace)
        1 file added ([SIZE])
        1 file replaced ([SIZE])
        1 file removed ([SIZE])
        2 files left as they are: the backup does not hold them ([SIZE])
        4 files the same by size and time ([SIZE])
      What is there now is backed up first.
    Nothing was changed.
    "#);
    assert_snapshot!(media("merge"), @r#"
    Backup b of project plain, made [TIME] (UTC)
      storage default: [SITE]/media (merge)
        1 file added ([SIZE])
        1 file replaced ([SIZE])
        3 files left as they are: the backup does not hold them ([SIZE])
        4 files the same by size and time ([SIZE])
      What is there now is backed up first.
    Nothing was changed.
    "#);
    assert_snapshot!(media("keep-existing"), @r#"
    Backup b of project plain, made [TIME] (UTC)
      storage default: [SITE]/media (keep-existing)
        1 file added ([SIZE])
        3 files left as they are: the backup does not hold them ([SIZE])
        1 file left as they are: the live ones win ([SIZE])
        4 files the same by size and time ([SIZE])
      What is there now is backed up first.
    Nothing was changed.
    "#);
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
        {} restore {} --force --skip-database; {} discard latest --force; cp -a media ../after",
        crate::BINARY,
        path.display(),
        crate::BINARY
    );
    let done = with_own_mounts()
        .args(["sh", "-c", &script])
        .current_dir(site.root())
        .output()
        .expect("unshare runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::remove_dir_all(site.path("media")).expect("it can be removed");
    fs::rename(site.outside("after"), site.path("media")).expect("it can be moved");
    // The mount point's own mode is that of the other file system.
    let lines = |lines: &[String]| -> Vec<String> {
        let keep = |l: &&String| !l.starts_with("ALL") && !l.starts_with("d\t.\t");
        lines.iter().filter(keep).cloned().collect()
    };
    assert_eq!(lines(site.state().part("media")), lines(before.part("media")));
}
