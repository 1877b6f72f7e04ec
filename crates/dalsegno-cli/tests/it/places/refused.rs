//! Places in which a restore cannot be done, and says so before anything has changed.

use dalsegno_testkit::{Answer, Site};
use serde_json::{Value, json};

use super::mounts::Mounts;
use crate::backup;
use crate::recovery::{change_record, state};

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

#[test]
fn a_volume_that_is_not_mounted_is_not_taken_for_a_restore_that_never_began() {
    let site = Site::plain();
    let volume = "cp -a media volume; mount --bind volume media";
    let mounted = Mounts::new(&site, volume);
    mounted.call(&site, &["backup", "--filename", "b"]).run().expect(0);
    mounted.sh("echo precious >media/a/late.txt");
    let restore = ["--format", "json", "restore", "b", "--force", "--no-pre-backup"];
    let answer = mounted.call(&site, &restore).run().expect(0);
    let line = answer.stdout.lines().last().expect("a report");
    let report: Value = serde_json::from_str(line).expect("it is JSON");
    let id = report["restore"].as_str().or(report["id"].as_str()).expect("an id").to_owned();
    change_record(&site, &id, |record| {
        record["state"] = json!("switching");
        record["storages"][0]["switched"] = Value::Null;
    });

    let elsewhere = Mounts::new(&site, "");
    let answer = elsewhere.call(&site, &["-q", "backup"]).run().expect(13);
    assert!(answer.stderr.contains("was on the filesystem mounted at"), "{answer}");
    assert!(answer.stderr.contains("hint: Mount what belongs at"), "{answer}");
    elsewhere.call(&site, &["-q", "rollback", &id, "--force"]).run().expect(13);
    assert_eq!(state(&site, &id), "switching");

    mounted.call(&site, &["-q", "rollback", &id, "--force"]).run().expect(0);
    assert_eq!(mounted.sh("cat media/a/late.txt"), "precious\n");
}
