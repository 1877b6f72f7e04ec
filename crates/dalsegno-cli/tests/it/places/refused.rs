//! Places in which a restore cannot be done, and says so before anything has changed.

use dalsegno_testkit::{Answer, Site};

use super::mounts::Mounts;
use crate::backup;

fn refused(script: &str, code: i32) -> Answer {
    let site = Site::plain();
    backup(&site, "b", &[]);
    let mounts = Mounts::new(&site, &format!("echo changed >media/a/two.txt; {script}"));
    let media = site.path("media");
    let before = mounts.picture(&media);
    let dry = mounts.call(&site, &["-q", "restore", "b", "--dry-run"]).run();
    let answer = mounts.call(&site, &["-q", "restore", "b", "--force"]).run().expect(code);
    assert_eq!(mounts.picture(&media), before, "{answer}");
    assert_eq!(site.ask("db.sqlite3", "SELECT count(*) FROM book"), "200");
    assert_eq!(mounts.sh("find . -name '.*dalsegno-*'"), "", "{answer}");
    assert_eq!(dry.code, code, "a dry run ends as the restore would: {dry}");
    answer
}

#[test]
fn a_mount_inside_the_media() {
    let answer = refused("mount -t tmpfs none media/incoming; echo precious >media/incoming/x", 13);
    assert!(answer.stderr.contains("media/incoming"), "{answer}");
}

#[test]
fn a_file_inside_the_media_that_is_a_mount() {
    let answer = refused("mount --bind media/a/one.txt media/picture.jpg", 13);
    assert!(answer.stderr.contains("media/picture.jpg"), "{answer}");
}

#[test]
fn media_that_may_only_be_read() {
    let answer = refused("mount --bind media media; mount -o remount,ro,bind media", 13);
    assert!(answer.stderr.contains("media"), "{answer}");
}
