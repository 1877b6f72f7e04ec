//! Bad input gets one clear line, a hint and the right exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dalsegno_testkit::Site;
use insta::assert_snapshot;

use crate::{BINARY, backup, run, text};

#[test]
fn no_such_backup() {
    let site = Site::plain();
    assert_snapshot!(run(&site, &["-q", "restore", "nosuch", "--force"]), @"");
    assert_snapshot!(run(&site, &["-q", "restore", "./nosuch.tar.gz", "--force"]), @"");
    assert_snapshot!(run(&site, &["-q", "verify", "0123abcd"]), @"");
    assert_snapshot!(run(&site, &["-q", "delete", "nosuch", "--force"]), @"");
}

#[test]
fn not_an_archive() {
    let site = Site::plain();
    site.write(
        "notes.txt",
        "Not an archive, but a longer text, so that a trailer could be in it. ".repeat(40),
    );
    site.write("empty.tar.gz", "");
    site.write("folder/file", "x");
    assert_snapshot!(run(&site, &["-q", "restore", "./notes.txt", "--force"]), @"");
    assert_snapshot!(run(&site, &["-q", "restore", "./empty.tar.gz", "--force"]), @"");
    assert_snapshot!(run(&site, &["-q", "restore", "./folder", "--force"]), @"");
    assert_snapshot!(run(&site, &["-q", "verify", "./notes.txt"]), @"");
    assert_snapshot!(run(&site, &["-q", "show", "./empty.tar.gz"]), @"");
}

#[test]
fn an_archive_of_something_else() {
    let site = Site::plain();
    let made = std::process::Command::new("tar")
        .args(["czf", "other.tar.gz", "media"])
        .current_dir(site.root())
        .status()
        .expect("tar runs");
    assert!(made.success());
    assert_snapshot!(run(&site, &["-q", "restore", "./other.tar.gz", "--force"]), @"");
}

#[test]
fn unknown_alias() {
    let site = Site::plain();
    assert_snapshot!(run(&site, &["-q", "backup", "--database", "replica"]), @"");
}

#[test]
fn a_database_in_memory() {
    let site = Site::plain();
    let config = fs::read_to_string(site.path("dalsegno.toml")).expect("it is there");
    site.write("dalsegno.toml", config.replace("\"db.sqlite3\"", "\":memory:\""));
    assert_snapshot!(run(&site, &["-q", "backup"]), @"");
}

#[test]
fn no_space() {
    let site = Site::plain();
    let noise: Vec<u8> = fs::read(site.path("media/picture.jpg")).expect("it is there").repeat(100);
    site.write("media/large.bin", &noise);
    let out = site.outside("out");
    fs::create_dir(&out).expect("it is new");
    let call = |form: &str| {
        site.call(BINARY, &["-q", "backup", "--form", form, "--output-dir", text(&out)])
            .tmpfs(&out, "1500k", &site.outside("left"))
            .run()
    };
    assert_snapshot!(call("tar"), @"");
    assert_eq!(fs::read_to_string(site.outside("left")).expect("it was written"), "");
    // Noise in ten equal parts: only writing tells that it does not fit.
    for file in 0..10 {
        let other: Vec<u8> = noise
            .iter()
            .enumerate()
            .map(|(i, b)| b.wrapping_mul(2 * file + 3).wrapping_add((i >> 8) as u8))
            .collect();
        site.write(&format!("media/large{file}.bin"), other);
    }
    assert_snapshot!(call("tar.gz"), @"");
    assert_eq!(fs::read_to_string(site.outside("left")).expect("it was written"), "");
}

#[test]
fn a_folder_that_may_not_be_written() {
    let site = Site::plain();
    let out = site.outside("out");
    fs::create_dir(&out).expect("it is new");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o555)).expect("modes can be set");
    let answer =
        site.call(BINARY, &["-q", "backup", "--output-dir", text(&out)]).unprivileged().run();
    assert_snapshot!(answer, @"");
}

#[test]
fn an_unreadable_database() {
    let site = Site::plain();
    fs::set_permissions(site.path("db.sqlite3"), fs::Permissions::from_mode(0o000))
        .expect("modes can be set");
    assert_snapshot!(site.call(BINARY, &["-q", "backup"]).unprivileged().run(), @"");
}

#[test]
fn an_unreadable_backup() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("modes can be set");
    assert_snapshot!(site.call(BINARY, &["-q", "restore", "b.tar.gz", "--force"]).unprivileged().run(), @"");
    assert_snapshot!(site.call(BINARY, &["-q", "verify", text(&path)]).unprivileged().run(), @"");
}

#[test]
fn no_project() {
    let site = Site::empty();
    assert_snapshot!(run(&site, &["-q", "backup"]), @"");
    assert_snapshot!(run(&site, &["-q", "--project", "gone", "backup"]), @"");
    assert_snapshot!(run(&site, &["-q", "--config", "gone.toml", "backup"]), @"");
}

#[test]
fn a_project_above() {
    let site = Site::plain();
    site.write("manage.py", "");
    let answer = site.call(BINARY, &["-q", "backup"]).in_folder(site.path("media/a")).run();
    assert_snapshot!(answer, @"");
}

#[test]
fn settings_that_raise() {
    let site = Site::bookshop(600, 60);
    site.settings("raise RuntimeError('the password is hunter2')");
    let answer = run(&site, &["-q", "backup"]);
    assert_snapshot!(answer.err().replace("hunter2", "[SAID BY THE SITE]"), @"");
    let settings = fs::read_to_string(site.path("bookshop/settings.py")).expect("it is there");
    site.write(
        "bookshop/settings.py",
        settings.replace("raise RuntimeError('the password is hunter2')", "import nosuchmodule"),
    );
    assert_snapshot!(run(&site, &["-q", "backup"]), @"");
    site.write(
        "bookshop/settings.py",
        settings.replace("raise RuntimeError('the password is hunter2')", "os.environ['SHOP_KEY']"),
    );
    assert_snapshot!(run(&site, &["-q", "backup"]), @"");
    site.write("bookshop/settings.py", "this is not Python");
    assert_snapshot!(run(&site, &["-q", "backup"]), @"");
    assert_eq!(site.names("backups"), [""; 0]);
}

#[test]
fn no_django() {
    let site = Site::bookshop(600, 60);
    site.write("empty/python", "#!/bin/sh\nexec python3 -S -E \"$@\"\n");
    fs::set_permissions(site.path("empty/python"), fs::Permissions::from_mode(0o755))
        .expect("modes can be set");
    let answer = run(&site, &["-q", "--python", "empty/python", "backup"]);
    assert_snapshot!(version_masked(&answer.to_string()), @"");
    assert_snapshot!(run(&site, &["-q", "--python", "nosuch/python", "backup"]), @"");
}

#[test]
fn no_interpreter_at_all() {
    let site = Site::bookshop(600, 60);
    let manage = fs::read_to_string(site.path("manage.py")).expect("it is there");
    site.write("manage.py", manage.replacen("#!/usr/bin/env python3", "#!/nosuch/python", 1));
    let answer =
        site.call(BINARY, &["-q", "backup"]).env("VIRTUAL_ENV", "").env("PATH", "/nosuch").run();
    assert_snapshot!(answer, @"");
}

fn version_masked(text: &str) -> String {
    let Some((before, rest)) = text.split_once("Python 3.") else { return text.to_owned() };
    let after = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    format!("{before}Python [VERSION]{after}")
}

#[test]
fn settings_that_cannot_be() {
    let site = Site::plain();
    let config = fs::read_to_string(site.path("dalsegno.toml")).expect("it is there");
    for (setting, snapshot) in [
        ("BACKUP_FILE_PERMISSIONS = \"rw\"", 0),
        ("BACKUP_USE_COMPRESSION = \"perhaps\"", 1),
        ("BACKUP_MAX_FILE_SIZE = \"ten\"", 2),
    ] {
        site.write("dalsegno.toml", format!("{config}\n[settings]\n{setting}\n"));
        let answer = run(&site, &["-q", "backup"]).expect(2).err();
        match snapshot {
            0 => assert_snapshot!(answer, @""),
            1 => assert_snapshot!(answer, @""),
            _ => assert_snapshot!(answer, @""),
        }
    }
    site.write("dalsegno.toml", &config);
    let answer = site.call(BINARY, &["-q", "backup"]).env("BACKUP_RETENTION_DAYS", "soon").run();
    assert_snapshot!(answer, @"");
    site.write("dalsegno.toml", "[databases.default]\nurl = 3\n");
    assert_snapshot!(run(&site, &["-q", "backup"]), @"");
    site.write("dalsegno.toml", "[databases.default]\nurl = \"oracle://scott:tiger@db/x\"\n");
    let answer = run(&site, &["-q", "backup"]);
    assert!(!answer.all().contains("tiger"), "{answer}");
    assert_snapshot!(answer, @"");
}

#[test]
fn names_that_cannot_be() {
    let site = Site::plain();
    assert_snapshot!(run(&site, &["-q", "backup", "--filename", "a/b"]), @"");
    for name in [".hidden", "..", "", "-x", "a\nb"] {
        let name = format!("--filename={name}");
        let answer = run(&site, &["-q", "backup", &name]);
        assert_eq!(answer.code, 2, "{name:?}: {answer}");
    }
    assert_snapshot!(run(&site, &["-q", "backup", "--exclude-media", "a[b"]), @"");
    assert_eq!(site.names("backups"), [""; 0]);
}
