//! The forms of a backup, as other programs read them.

use std::fs;
use std::process::Command;

use dalsegno_testkit::{Site, assert_same, damage, noise};

use crate::{backup, ok, report, restore, text};

fn shell(folder: &std::path::Path, script: &str) -> String {
    let done =
        Command::new("sh").args(["-euc", script]).current_dir(folder).output().expect("sh runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{script}: {said}{}", String::from_utf8_lossy(&done.stderr));
    said
}

/// Every form is made, verified, unpacked by ordinary tools, and restored.
fn round_trip(form: &str, unpack: &str) {
    let site = Site::plain();
    let before = site.state();
    let path = backup(&site, "b", &["--form", form]);
    let verified = report(&site, &["verify", text(&path), "--deep"]);
    assert_eq!(verified["sound"], true);
    let unpacked = site.outside("unpacked");
    fs::create_dir(&unpacked).expect("it is new");
    shell(&unpacked, &unpack.replace("FILE", text(&path)));
    let checked = shell(&unpacked, "cd b && sha256sum --strict -c checksums.sha256");
    assert!(checked.contains("files/picture.jpg: OK"), "{checked}");
    damage(&site);
    restore(&site, &["b"]);
    assert_same(&before, &site.state());
}

#[test]
fn folder() {
    round_trip("folder", "cp -a FILE b");
}

#[test]
fn tar() {
    round_trip("tar", "tar xf FILE");
}

#[test]
fn tar_gz() {
    round_trip("tar.gz", "gunzip -t FILE && tar xzf FILE");
}

#[test]
fn tar_zst() {
    let site = Site::plain();
    let before = site.state();
    let path = backup(&site, "b", &["--form", "tar.zst"]);
    assert_eq!(report(&site, &["verify", text(&path), "--deep"])["sound"], true);
    damage(&site);
    restore(&site, &["b"]);
    assert_same(&before, &site.state());
}

#[test]
fn the_metadata_come_first_and_the_index_last() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    let members = shell(&site.root(), &format!("tar tzf {}", text(&path)));
    let members: Vec<&str> = members.lines().collect();
    let first = members.iter().find(|m| !m.ends_with('/')).copied();
    assert_eq!(first, Some("b/backup_metadata.json"), "{members:?}");
    let complete = members.iter().position(|m| *m == "b/backup_complete.json");
    assert!(complete.is_some_and(|at| at + 2 >= members.len()), "{members:?}");
}

#[test]
fn the_time_of_a_folder_is_the_backups() {
    let site = Site::plain();
    let path = backup(&site, "b", &["--form", "folder"]);
    let made = &report(&site, &["show", "b"])["manifest"]["metadata"]["created_at"];
    let made = made.as_str().expect("it is text").get(..19).expect("it is a time").to_owned();
    let time = shell(&site.root(), &format!("TZ=UTC date -r {} +%Y-%m-%dT%H:%M:%S", text(&path)));
    assert_eq!(time.trim(), made);
}

#[test]
fn the_list_reads_the_ends_of_archives_only() {
    let site = Site::plain();
    site.write("media/large.bin", noise(1_200_000, 7));
    backup(&site, "a", &["--no-compress"]);
    backup(&site, "b", &[]);
    let read = report(&site, &["list"])["bytes_read"].as_u64().expect("a number");
    assert!(read < 40_000, "{read}");
    for sidecar in ["backups/a.tar.manifest.json", "backups/b.tar.gz.manifest.json"] {
        fs::remove_file(site.path(sidecar)).expect("it is there");
    }
    let listed = report(&site, &["list"]);
    assert_eq!(listed["backups"].as_array().map(Vec::len), Some(2));
    assert!(listed["bytes_read"].as_u64().expect("a number") < 80_000, "{}", listed["bytes_read"]);
    ok(&site, &["show", "b"]);
}

#[test]
fn an_ordinary_user_can_write_and_restore_every_form() {
    let site = Site::plain();
    let before = site.state();
    for form in ["folder", "tar", "tar.gz", "tar.zst"] {
        let call = |args: &[&str]| site.call(crate::BINARY, args).unprivileged().run().expect(0);
        call(&["backup", "--form", form, "--filename", form]);
        damage(&site);
        call(&["restore", form, "--force", "--no-pre-backup"]);
        assert_same(&before, &site.state());
    }
}
