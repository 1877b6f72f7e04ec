//! Bad input gets one clear line, a hint and the right exit code.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dalsegno_testkit::{Site, noise};
use insta::assert_snapshot;

use crate::{BINARY, backup, run, text};

#[test]
fn no_such_backup() {
    let site = Site::plain();
    assert_snapshot!(run(&site, &["-q", "restore", "nosuch", "--force"]), @r#"
    exit 10
    err| error: no backup `nosuch`
    err| hint: Searched `[SITE]/backups`, `[SITE]/backups_data`, `[SITE]/backups_data/archives`, `[SITE]/backups_data/database`, `[SITE]/backups_data/media`. `dalsegno list` shows the backups there are; a path works too.
    "#);
    assert_snapshot!(run(&site, &["-q", "restore", "./nosuch.tar.gz", "--force"]), @r#"
    exit 10
    err| error: there is no backup at `./nosuch.tar.gz`
    err| hint: Check the path; `dalsegno list` shows the project's backups.
    "#);
    assert_snapshot!(run(&site, &["-q", "verify", "0123abcd"]), @r#"
    exit 10
    err| error: no backup `0123abcd`
    err| hint: Searched `[SITE]/backups`, `[SITE]/backups_data`, `[SITE]/backups_data/archives`, `[SITE]/backups_data/database`, `[SITE]/backups_data/media`. `dalsegno list` shows the backups there are; a path works too.
    "#);
    assert_snapshot!(run(&site, &["-q", "delete", "nosuch", "--force"]), @r#"
    exit 10
    err| error: no backup `nosuch`
    err| hint: Searched `[SITE]/backups`, `[SITE]/backups_data`, `[SITE]/backups_data/archives`, `[SITE]/backups_data/database`, `[SITE]/backups_data/media`. `dalsegno list` shows the backups there are; a path works too.
    "#);
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
    assert_snapshot!(run(&site, &["-q", "restore", "./notes.txt", "--force"]), @r#"
    exit 1
    err| error: `./notes.txt` is not a backup
    err| hint: Give the folder or the .tar, .tar.gz or .tar.zst file of a backup.
    "#);
    assert_snapshot!(run(&site, &["-q", "restore", "./empty.tar.gz", "--force"]), @r#"
    exit 1
    err| error: `./empty.tar.gz` is not a backup
    err| hint: Give the folder or the .tar, .tar.gz or .tar.zst file of a backup.
    "#);
    assert_snapshot!(run(&site, &["-q", "restore", "./folder", "--force"]), @r#"
    exit 1
    err| error: `./folder` is not a backup
    err| hint: Give the folder or the .tar, .tar.gz or .tar.zst file of a backup.
    "#);
    assert_snapshot!(run(&site, &["-q", "verify", "./notes.txt"]), @r#"
    exit 1
    err| error: `./notes.txt` is not a backup
    err| hint: Give the folder or the .tar, .tar.gz or .tar.zst file of a backup.
    "#);
    assert_snapshot!(run(&site, &["-q", "show", "./empty.tar.gz"]), @r#"
    exit 1
    err| error: `./empty.tar.gz` is not a backup
    err| hint: Give the folder or the .tar, .tar.gz or .tar.zst file of a backup.
    "#);
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
    assert_snapshot!(run(&site, &["-q", "restore", "./other.tar.gz", "--force"]), @r#"
    exit 1
    err| error: `./other.tar.gz` is not a backup
    err| hint: Give the folder or the .tar, .tar.gz or .tar.zst file of a backup.
    "#);
}

#[test]
fn unknown_alias() {
    let site = Site::plain();
    assert_snapshot!(run(&site, &["-q", "backup", "--database", "replica"]), @r#"
    exit 2
    err| error: the project has no database `replica`
    err| hint: The project's databases: default.
    "#);
}

#[test]
fn a_database_in_memory() {
    let site = Site::plain();
    let config = fs::read_to_string(site.path("dalsegno.toml")).expect("it is there");
    site.write("dalsegno.toml", config.replace("\"db.sqlite3\"", "\":memory:\""));
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 13
    err| error: database `default` is in memory: there is nothing to back up or restore
    err| hint: Use `--skip-database`, or name another alias with `--database`.
    "#);
}

#[test]
fn no_space() {
    let site = Site::plain();
    site.write("media/large.bin", noise(3_000_000, 7));
    let out = site.outside("out");
    fs::create_dir(&out).expect("it is new");
    let call = |form: &str| {
        site.call(BINARY, &["-q", "backup", "--form", form, "--output-dir", text(&out)])
            .tmpfs(&out, "1500k", &site.outside("left"))
            .run()
    };
    assert_snapshot!(call("tar"), @r#"
    exit 13
    err| error: not enough space in `[TEMP]/out`: [SIZE] needed, [SIZE] free
    err| hint: Free some space, or choose another folder with `--output-dir`.
    "#);
    assert_eq!(fs::read_to_string(site.outside("left")).expect("it was written"), "");
    // How far it will compress, only writing tells.
    assert_snapshot!(call("tar.gz"), @r#"
    exit 13
    err| error: not enough space in `[TEMP]/out`: [SIZE] needed, [SIZE] free
    err| hint: Free some space, or choose another folder with `--output-dir`.
    "#);
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
    assert_snapshot!(answer, @r#"
    exit 13
    err| error: the folder of backups, `[TEMP]/out`, may not be written by this user
    err| hint: Run as the site's user, or choose another folder with `--output-dir`.
    "#);
}

#[test]
fn an_unreadable_database() {
    let site = Site::plain();
    fs::set_permissions(site.path("db.sqlite3"), fs::Permissions::from_mode(0o000))
        .expect("modes can be set");
    assert_snapshot!(site.call(BINARY, &["-q", "backup"]).unprivileged().run(), @r#"
    exit 1
    err| error: database `default`: cannot open `[SITE]/db.sqlite3` with the rights of this user
    err|   because: unable to open database file: [SITE]/db.sqlite3
    err|   because: Error code 14: unable to open database file
    err| hint: Run as the user of the site: SQLite needs to write to the database file and to its folder, even for reading.
    "#);
}

#[test]
fn an_unreadable_backup() {
    let site = Site::plain();
    let path = backup(&site, "b", &[]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("modes can be set");
    assert_snapshot!(site.call(BINARY, &["-q", "restore", "b.tar.gz", "--force"]).unprivileged().run(), @r#"
    exit 1
    err| error: cannot open `[SITE]/backups/b.tar.gz`
    err|   because: Permission denied (os error 13)
    "#);
    assert_snapshot!(site.call(BINARY, &["-q", "verify", text(&path)]).unprivileged().run(), @r#"
    exit 1
    err| error: cannot open `[SITE]/backups/b.tar.gz`
    err|   because: Permission denied (os error 13)
    "#);
}

#[test]
fn no_project() {
    let site = Site::empty();
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 2
    err| error: no project in `[SITE]`: no manage.py, no dalsegno.toml and no DATABASE_URL
    err| hint: Run it in the folder of manage.py, or give `--project DIR`; without Python, write a dalsegno.toml or set DATABASE_URL and MEDIA_ROOT.
    "#);
    assert_snapshot!(run(&site, &["-q", "--project", "gone", "backup"]), @r#"
    exit 2
    err| error: the project folder `[SITE]/gone` cannot be used
    err|   because: No such file or directory (os error 2)
    err| hint: Give `--project` the folder that holds manage.py.
    "#);
    assert_snapshot!(run(&site, &["-q", "--config", "gone.toml", "backup"]), @r#"
    exit 2
    err| error: cannot read the configuration `[SITE]/gone.toml`
    err|   because: No such file or directory (os error 2)
    err| hint: Check the path given to `--config` and its permissions.
    "#);
}

#[test]
fn a_project_above() {
    let site = Site::plain();
    site.write("manage.py", "");
    let answer = site.call(BINARY, &["-q", "backup"]).in_folder(site.path("media/a")).run();
    assert_snapshot!(answer, @r#"
    exit 2
    err| error: no project in `[SITE]/media/a`: no manage.py, no dalsegno.toml and no DATABASE_URL
    err| hint: There is a manage.py in `[SITE]`: run there, or give `--project [SITE]`.
    "#);
}

#[test]
fn settings_that_raise() {
    let site = Site::bookshop(600, 60);
    site.settings("raise RuntimeError('the password is hunter2')");
    let answer = run(&site, &["-q", "backup"]);
    assert_snapshot!(answer.err().replace("hunter2", "[SAID BY THE SITE]"), @r#"
    error: the project `[SITE]/manage.py` does not start: RuntimeError: the password is [SAID BY THE SITE] (`[SITE]/bookshop/settings.py`, line 127)
    hint: Make `python manage.py check` work in `[SITE]` first.
    "#);
    let settings = fs::read_to_string(site.path("bookshop/settings.py")).expect("it is there");
    site.write(
        "bookshop/settings.py",
        settings.replace("raise RuntimeError('the password is hunter2')", "import nosuchmodule"),
    );
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 1
    err| error: the project `[SITE]/manage.py` does not start: ModuleNotFoundError: No module named 'nosuchmodule' (`[SITE]/bookshop/settings.py`, line 127)
    err| hint: Install `nosuchmodule` for the interpreter that was used, or name another with `--python`; `dalsegno describe` must work where `python manage.py check` does.
    "#);
    site.write(
        "bookshop/settings.py",
        settings.replace("raise RuntimeError('the password is hunter2')", "os.environ['SHOP_KEY']"),
    );
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 1
    err| error: the project `[SITE]/manage.py` does not start: KeyError: 'SHOP_KEY' (`[SITE]/bookshop/settings.py`, line 127)
    err| hint: If the settings read 'SHOP_KEY' from the environment, set it as the site's own service does.
    "#);
    site.write("bookshop/settings.py", "this is not Python");
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 1
    err| error: the project `[SITE]/manage.py` does not start: NameError: name 'this' is not defined (`[SITE]/bookshop/settings.py`, line 1)
    err| hint: Make `python manage.py check` work in `[SITE]` first.
    "#);
    assert_eq!(site.names("backups"), [""; 0]);
}

#[test]
fn no_django() {
    let site = Site::bookshop(600, 60);
    site.write("empty/python", "#!/bin/sh\nexec python3 -S -E \"$@\"\n");
    fs::set_permissions(site.path("empty/python"), fs::Permissions::from_mode(0o755))
        .expect("modes can be set");
    let answer = run(&site, &["-q", "--python", "empty/python", "backup"]);
    assert_snapshot!(version_masked(&answer.to_string()), @r#"
    exit 1
    err| error: `[SITE]/empty/python` cannot run the project: Python [VERSION], ModuleNotFoundError: No module named 'django'
    err| hint: Give the interpreter of the project, as in `--python /path/to/venv/bin/python`.
    "#);
    assert_snapshot!(run(&site, &["-q", "--python", "nosuch/python", "backup"]), @r#"
    exit 1
    err| error: `[SITE]/nosuch/python` cannot run the project: not found
    err| hint: Give the interpreter of the project, as in `--python /path/to/venv/bin/python`.
    "#);
}

#[test]
fn no_interpreter_at_all() {
    let site = Site::bookshop(600, 60);
    let manage = fs::read_to_string(site.path("manage.py")).expect("it is there");
    site.write("manage.py", manage.replacen("#!/usr/bin/env python3", "#!/nosuch/python", 1));
    let answer =
        site.call(BINARY, &["-q", "backup"]).env("VIRTUAL_ENV", "").env("PATH", "/nosuch").run();
    assert_snapshot!(answer, @r#"
    exit 1
    err| error: no Python with Django was found for `[SITE]/manage.py`: tried `[SITE]/.venv/bin/python` (.venv): not found; `[SITE]/venv/bin/python` (venv): not found; `/nosuch/python` (shebang of manage.py): not found; `python3` (PATH): not found
    err| hint: Give the interpreter of the project, as in `--python /path/to/venv/bin/python`.
    "#);
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
            0 => assert_snapshot!(answer, @r#"
            error: BACKUP_FILE_PERMISSIONS (configuration file) is `rw`, but must be an octal mode that lets the owner read, such as 0o600
            hint: Correct BACKUP_FILE_PERMISSIONS in the settings or the environment.
            "#),
            1 => assert_snapshot!(answer, @r#"
            error: BACKUP_USE_COMPRESSION (configuration file) is `perhaps`, but must be true, false, 1, 0, yes or no
            hint: Correct BACKUP_USE_COMPRESSION in the settings or the environment.
            "#),
            _ => assert_snapshot!(answer, @r#"
            error: BACKUP_MAX_FILE_SIZE (configuration file) is `ten`, but must be a size such as `10GiB`, or bytes
            hint: Correct BACKUP_MAX_FILE_SIZE in the settings or the environment.
            "#),
        }
    }
    site.write("dalsegno.toml", &config);
    let answer = site.call(BINARY, &["-q", "backup"]).env("BACKUP_RETENTION_DAYS", "soon").run();
    assert_snapshot!(answer, @r#"
    exit 2
    err| error: BACKUP_RETENTION_DAYS (environment variable) is `soon`, but must be a whole number from 1
    err| hint: Correct BACKUP_RETENTION_DAYS in the settings or the environment.
    "#);
    site.write("dalsegno.toml", "[databases.default]\nurl = 3\n");
    assert_snapshot!(run(&site, &["-q", "backup"]), @r#"
    exit 2
    err| error: the configuration `[SITE]/dalsegno.toml` is wrong: line 2: a secret must be a text in quotes
    err| hint: Correct the file; the guide lists its keys.
    "#);
    site.write("dalsegno.toml", "[databases.default]\nurl = \"oracle://scott:tiger@db/x\"\n");
    let answer = run(&site, &["-q", "backup"]);
    assert!(!answer.all().contains("tiger"), "{answer}");
    assert_snapshot!(answer, @r#"
    exit 13
    err| error: database `default` is oracle, which this version cannot back up
    err| hint: SQLite, PostgreSQL, MySQL and MariaDB are supported, others where Django is. Name another alias with `--database`, or use `--skip-database`.
    "#);
}

#[test]
fn names_that_cannot_be() {
    let site = Site::plain();
    assert_snapshot!(run(&site, &["-q", "backup", "--filename", "a/b"]), @r#"
    exit 2
    err| error: `a/b` cannot be the name of a backup
    err| hint: Use letters, digits and `._-`, no `/`; `--output-dir` chooses the folder.
    "#);
    for name in [".hidden", "..", "", "-x", "a\nb"] {
        let name = format!("--filename={name}");
        let answer = run(&site, &["-q", "backup", &name]);
        assert_eq!(answer.code, 2, "{name:?}: {answer}");
    }
    assert_snapshot!(run(&site, &["-q", "backup", "--exclude-media", "a[b"]), @r#"
    exit 2
    err| error: pattern `a[b` cannot be read: unclosed character class; missing ']'
    err| hint: Write patterns as in `*.tmp` or `cache/*`; `[!a-z]` and `{a,b}` work too.
    "#);
    assert_eq!(site.names("backups"), [""; 0]);
}
