//! `doctor` and `describe`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use dalsegno_testkit::{Site, damage};
use insta::assert_snapshot;

use crate::{BINARY, backup, ok, report, restore, run};

#[test]
fn a_healthy_site() {
    let site = Site::plain();
    assert_snapshot!(ok(&site, &["doctor"]), @r#"
    exit 0
    out| ok       project plain, described by [SITE]/dalsegno.toml
    out| ok       database default: SQLite, [SIZE], 3 tables, `[SITE]/db.sqlite3`
    out| ok       storage default: `[SITE]/media`
    out| ok       BACKUP_DIR: `[SITE]/backups`, [SIZE] free
    out| ok       BACKUP_ROOT: `[SITE]/backups_data`, [SIZE] free
    "#);
    let before = site.names("");
    ok(&site, &["doctor"]);
    assert_eq!(site.names(""), before, "the doctor changed something");
    let json = report(&site, &["doctor"]).to_string();
    assert!(json.contains("db.sqlite3"), "{json}");
    let shop = Site::bookshop(600, 60);
    let answer = ok(&shop, &["doctor"]);
    assert!(answer.stdout.contains("project bookshop: Django"), "{answer}");
    assert!(answer.stdout.lines().all(|line| line.starts_with("ok ")), "{answer}");
}

#[test]
fn an_ill_one() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    fs::set_permissions(site.path("backups"), fs::Permissions::from_mode(0o755))
        .expect("modes can be set");
    site.settings("[settings]\nBACKUP_RETENSION_DAYS = 3\nBACKUP_USE_ENCRYPTION = true\nBACKUP_ENCRYPTION_KEY = \"hunter2\"");
    fs::remove_dir_all(site.path("media")).expect("it is there");
    site.write("db.sqlite3", "no database at all".repeat(300));
    let answer = run(&site, &["doctor"]);
    assert!(!answer.all().contains("hunter2"), "{answer}");
    assert_snapshot!(answer, @r#"
    exit 1
    out| ok       project plain, described by [SITE]/dalsegno.toml
    out| error    `BACKUP_RETENSION_DAYS` is no setting of Dalsegno
    out|          hint: Did you mean `BACKUP_RETENTION_DAYS`?
    out| error    `BACKUP_USE_ENCRYPTION` is on, and this version cannot encrypt: backups are refused
    out|          hint: Set `BACKUP_USE_ENCRYPTION` to False.
    out| error    database default: `[SITE]/db.sqlite3` is not an SQLite database, or it is encrypted
    out|          hint: Check `NAME` in the `DATABASES` setting; a database encrypted by an extension cannot be read.
    out| warning  storage default: `[SITE]/media` does not exist
    out|          hint: If the site has media, check MEDIA_ROOT or the storage's location.
    out| ok       BACKUP_DIR: `[SITE]/backups`, [SIZE] free
    out| warning  BACKUP_DIR: `[SITE]/backups` is open to every user (mode 0755)
    out|          hint: chmod 750 '[SITE]/backups'
    out| ok       BACKUP_ROOT: `[SITE]/backups_data`, [SIZE] free
    "#);
}

#[test]
fn kept_data_are_named() {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    let id = restore(&site, &["b"]);
    let answer = run(&site, &["doctor"]);
    assert!(answer.stdout.contains(&format!("dalsegno discard {id}")), "{answer}");
    ok(&site, &["discard", &id, "--force"]);
    let answer = ok(&site, &["doctor"]);
    assert!(!answer.stdout.contains(&id), "{answer}");
}

#[test]
fn folders_that_may_not_be_written() {
    let site = Site::plain();
    fs::set_permissions(site.root(), fs::Permissions::from_mode(0o555)).expect("modes can be set");
    let answer = site.call(BINARY, &["doctor"]).unprivileged().run();
    fs::set_permissions(site.root(), fs::Permissions::from_mode(0o755)).expect("modes can be set");
    assert_snapshot!(answer, @r#"
    exit 1
    out| ok       project plain, described by [SITE]/dalsegno.toml
    out| ok       database default: SQLite, [SIZE], 3 tables, `[SITE]/db.sqlite3`
    out| warning  the folder of database default, `[SITE]`, may not be written by this user: restores are refused
    out|          hint: Restore as the site's user or as root.
    out| ok       storage default: `[SITE]/media`
    out| error    BACKUP_DIR: `[SITE]/backups` may not be written by this user
    out|          hint: Set BACKUP_DIR to a folder this user may write.
    out| error    BACKUP_ROOT: `[SITE]/backups_data` may not be written by this user
    out|          hint: Set BACKUP_ROOT to a folder this user may write.
    "#);
}

/// A driver that is never reached: Django loads it, and that is all.
const FAKE: &str = "
from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    vendor = 'postgresql'
    display_name = 'PostgreSQL'

    def get_new_connection(self, conn_params):
        raise base.Database.OperationalError('connection to hunter2 refused')
";

fn shop_with_secrets() -> Site {
    let site = Site::bookshop(600, 60);
    site.write("bookshop/fake/__init__.py", "");
    site.write("bookshop/fake/base.py", FAKE);
    site.settings(
        "DATABASES['main'] = {'ENGINE': 'bookshop.fake', 'NAME': 'shop', 'USER': 'shop', \
        'PASSWORD': 'hunter2', 'HOST': 'db.example', 'OPTIONS': {'sslpassword': 'hunter2'}}\n\
        SECRET_KEY = 'hunter2'\nBACKUP_ENCRYPTION_KEY = 'hunter2'\nBACKUP_SFTP_PASSWORD = 'hunter2'",
    );
    site
}

#[test]
fn secrets_are_masked() {
    let site = shop_with_secrets();
    let described = ok(&site, &["describe"]);
    assert!(described.stdout.contains("\"db.example\""), "{described}");
    // How the server is reached, as written down: the password is there, and masked.
    assert!(described.stdout.contains("\"resolved\": false"), "{described}");
    assert_eq!(described.stdout.matches("\"password\": \"***\"").count(), 2, "{described}");
    let json = ok(&site, &["--format", "json", "describe"]);
    let backed_up = ok(&site, &["--format", "json", "-v", "-v", "backup"]);
    let failed = run(&site, &["-v", "-v", "backup", "--database", "main"]);
    let doctor = run(&site, &["doctor"]);
    for answer in [described, json, backed_up, failed, doctor] {
        assert!(!answer.all().contains("hunter2"), "{answer}");
    }
    for entry in fs::read_dir(site.path("backups")).expect("it is there") {
        let path = entry.expect("it can be read").path();
        let bytes = fs::read(&path).expect("it can be read");
        assert!(!bytes.windows(7).any(|w| w == b"hunter2"), "{}", path.display());
    }
}

#[test]
fn a_server_that_is_not_there_is_named_and_may_be_left_out() {
    let site = shop_with_secrets();
    let answer = run(&site, &["-q", "backup", "--database", "all"]);
    assert_eq!(answer.code, 1, "{answer}");
    let said = "error: database `main`: cannot connect to `shop on db.example:5432`: ";
    assert!(answer.stderr.contains(said), "{answer}");
    assert!(answer.stderr.contains("hint: Check `HOST` and `PORT`"), "{answer}");
    let report = report(&site, &["backup", "--filename", "b"]);
    assert_eq!(report["manifest"]["metadata"]["left_out"][0]["name"], "main");
    assert_snapshot!(run(&site, &["-q", "restore", "b", "--force", "--skip-media", "--database", "main"]), @r#"
    exit 13
    err| error: the backup of `default` is sqlite, the database `main` is postgresql
    err| hint: A native backup goes back to the engine it came from; name a fitting target with `--database`.
    "#);
}
