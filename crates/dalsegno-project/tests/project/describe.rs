//! What a real Django tells of its project.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::site::{Site, python};
use dalsegno_project::descriptor::{FieldDescriptor, RelationKind, Vendor};
use dalsegno_project::{Descriptor, ModelGraph, SqliteLocation};
use serde_json::{Value, json};

fn field<'a>(descriptor: &'a Descriptor, model: &str, name: &str) -> &'a FieldDescriptor {
    let model = descriptor.model(model).expect("the model");
    model.fields.iter().find(|field| field.name == name).expect("the field")
}

#[test]
fn a_site_whose_database_is_missing() {
    let site = Site::new("");
    let before = site.files();
    let descriptor = site.loaded().descriptor;
    assert_eq!(site.files(), before, "describing leaves no trace");

    assert_eq!(descriptor.project.name, "shopsite");
    assert_eq!(descriptor.project.base_dir, site.path());
    assert_eq!(descriptor.project.settings_module.as_deref(), Some("shopsite.settings"));
    assert_eq!(descriptor.time_zone.as_deref(), Some("Europe/Paris"));
    assert!(descriptor.use_tz && descriptor.django.is_some() && descriptor.python.is_some());
    assert_eq!(descriptor.auth_user_model.as_deref(), Some("auth.User"));
    assert_eq!(descriptor.warnings, Vec::<String>::new());

    let database = &descriptor.databases["default"];
    assert_eq!(database.vendor, Some(Vendor::Sqlite));
    assert_eq!(
        database.sqlite_location(&site.path()),
        Some(SqliteLocation::File(site.path().join("db.sqlite3")))
    );
    assert_eq!(database.reachable, Some(false));
    assert_eq!(database.reason.as_deref(), Some("the database file does not exist"));
    assert_eq!(database.migrations.applied, None);
    assert_eq!(database.migrations.pending, None);
    let migrations = descriptor.migrations.as_ref().unwrap();
    assert!(migrations.iter().any(|m| m.key.to_string() == "auth.0001_initial"));

    let media = descriptor.storage("default").unwrap();
    assert!(media.local && !media.is_static);
    assert_eq!(media.class_name.as_deref(), Some("FileSystemStorage"));
    assert_eq!(media.location.as_deref(), Some(site.path().join("media").as_path()));
    assert!(descriptor.storage("staticfiles").unwrap().is_static);
    assert_eq!(descriptor.media_storages().count(), 1);
}

#[test]
fn apps_models_and_fields() {
    let descriptor = Site::new("").loaded().descriptor;
    let apps: Vec<_> = descriptor.apps.iter().map(|app| app.label.as_str()).collect();
    assert_eq!(apps, ["contenttypes", "auth", "shop"]);
    let labels: Vec<_> =
        descriptor.apps[2].models.iter().map(|model| model.label.as_str()).collect();
    assert_eq!(
        labels,
        ["shop.Author", "shop.Item_tags", "shop.Item", "shop.Book", "shop.Tag", "shop.Shelf"]
    );
    let through = descriptor.model("shop.Item_tags").unwrap();
    assert!(through.auto_created && through.has_table());
    assert_eq!(through.db_table, "shop_item_tags");
    let proxy = descriptor.model("shop.shelf").unwrap();
    assert!(proxy.proxy && !proxy.has_table());
    assert_eq!(proxy.concrete.as_deref(), Some("shop.Author"));
    assert!(descriptor.model("auth.User").unwrap().natural_key);

    let author = field(&descriptor, "shop.Item", "author");
    assert_eq!(author.attname.as_deref(), Some("author_id"));
    assert_eq!(author.column.as_deref(), Some("writer"));
    assert_eq!(author.db_types["sqlite"], "bigint");
    let relation = author.relation.as_ref().unwrap();
    assert_eq!(relation.kind, RelationKind::ForeignKey);
    assert_eq!(relation.to.as_deref(), Some("shop.Author"));
    assert_eq!(relation.on_delete.as_deref(), Some("CASCADE"));
    assert!(relation.db_constraint && !author.null);

    let tags = field(&descriptor, "shop.Item", "tags");
    let relation = tags.relation.as_ref().unwrap();
    assert_eq!(relation.kind, RelationKind::ManyToMany);
    assert_eq!(relation.through.as_deref(), Some("shop.Item_tags"));
    assert!(relation.through_auto_created && tags.column.is_none());
    assert_eq!(relation.reverse_column.as_deref(), Some("tag_id"));

    let thing = field(&descriptor, "shop.Tag", "thing").relation.as_ref().unwrap();
    assert_eq!(thing.kind, RelationKind::Generic);
    assert_eq!(thing.object_id_field.as_deref(), Some("object_id"));
    let key = field(&descriptor, "shop.Tag", "key");
    assert!(key.pk);
    assert_eq!(key.db_types["sqlite"], "char(32)");
    let price = field(&descriptor, "shop.Item", "price");
    assert_eq!((price.max_digits, price.decimal_places), (Some(8), Some(2)));

    let book = descriptor.model("shop.Book").unwrap();
    assert_eq!(book.parents, ["shop.Item"]);
    assert_eq!(book.primary_key, ["item_ptr"]);
    assert_eq!(book.database.as_deref(), Some("default"));
    assert_eq!(book.databases, ["default"]);
    let files: Vec<_> = book
        .file_columns()
        .map(|(_, column, file)| (column, file.storage.as_deref(), file.upload_to.as_deref()))
        .collect();
    assert_eq!(files, [("cover", Some("default"), Some("covers"))]);

    let order = ModelGraph::new(&descriptor).dependency_order().join(" ");
    assert!(order.ends_with("shop.Author shop.Item shop.Book shop.Tag shop.Item_tags"), "{order}");
}

#[test]
fn migrations_of_a_database() {
    let site = Site::new("");
    site.manage(&["makemigrations", "-v0", "shop"]);
    site.manage(&["migrate", "-v0", "auth", "0005"]);
    let database = site.path().join("db.sqlite3");
    let wal = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
        c.execute('PRAGMA journal_mode=wal'); c.close()";
    let status = Command::new(python()).args(["-c", wal]).arg(&database).status().unwrap();
    assert!(status.success());
    let before = site.files();
    let descriptor = site.loaded().descriptor;
    assert_eq!(site.files(), before, "no -wal and -shm are left");
    let database = &descriptor.databases["default"];
    assert_eq!((database.reachable, database.reason.as_deref()), (Some(true), None));
    assert!(database.server_version.is_some());
    let names = |list: &Option<Vec<_>>| -> Vec<String> {
        list.as_ref().unwrap().iter().map(ToString::to_string).collect()
    };
    assert_eq!(database.migrations.table, Some(true));
    let applied = names(&database.migrations.applied);
    assert_eq!(applied[0], "contenttypes.0001_initial");
    assert_eq!(applied.last().unwrap(), "auth.0005_alter_user_last_login_null");
    let pending = names(&database.migrations.pending);
    assert_eq!(pending[0], "contenttypes.0002_remove_content_type_name");
    assert!(pending.contains(&"auth.0006_require_contenttypes_0002".to_owned()), "{pending:?}");
    assert!(pending.contains(&"shop.0001_initial".to_owned()), "{pending:?}");
    assert!(!pending.contains(&"auth.0001_initial".to_owned()));
}

#[test]
fn squashed_migrations() {
    let site = Site::new("");
    let migration = |more: &str| {
        format!(
            "from django.db import migrations\n\
            class Migration(migrations.Migration):\n    operations = []\n{more}\n"
        )
    };
    site.write("shop/migrations/__init__.py", "");
    site.write("shop/migrations/0001_a.py", &migration("    dependencies = []"));
    site.write("shop/migrations/0002_b.py", &migration("    dependencies = [('shop', '0001_a')]"));
    site.manage(&["migrate", "-v0"]);
    let squash = "    dependencies = []\n    replaces = [('shop', '0001_a'), ('shop', '0002_b')]";
    site.write("shop/migrations/0001_squashed.py", &migration(squash));
    let descriptor = site.loaded().descriptor;
    let state = &descriptor.databases["default"].migrations;
    assert_eq!(state.pending.as_deref(), Some(&[][..]));
    let squashed = descriptor.migrations.unwrap();
    let squashed = squashed.iter().find(|m| m.key.name == "0001_squashed").unwrap();
    let replaced: Vec<_> = squashed.replaces.iter().map(ToString::to_string).collect();
    assert_eq!(replaced, ["shop.0001_a", "shop.0002_b"]);
}

#[test]
fn a_locked_database_has_a_reason() {
    let site = Site::new("");
    site.manage(&["migrate", "-v0"]);
    let lock = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); \
        c.execute('BEGIN EXCLUSIVE'); print('locked', flush=True); sys.stdin.read()";
    let mut holder = Command::new(python())
        .args(["-c", lock])
        .arg(site.path().join("db.sqlite3"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut stdout = std::io::BufReader::new(holder.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    let descriptor = site.loaded().descriptor;
    drop(holder.stdin.take());
    holder.wait().unwrap();
    let database = &descriptor.databases["default"];
    assert_eq!(database.reachable, Some(false));
    assert_eq!(database.reason.as_deref(), Some("OperationalError: database is locked"));
    assert_eq!(database.migrations.applied, None);
}

#[test]
fn a_broken_alias_does_not_hide_the_others() {
    let site = Site::new(
        r#"
DATABASES["lake"] = {"ENGINE": "no_such_driver", "NAME": "lake", "HOST": "db.invalid",
    "USER": "u", "PASSWORD": "hunter2", "OPTIONS": {"sslpassword": "hunter2", "sslmode": "verify-full"}}
DATABASES["mem"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:x?mode=memory&cache=shared"}
DATABASES["uri"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "file:sub/u%20v.db?mode=ro"}
DATABASES["replica"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": "rel.db",
    "TEST": {"MIRROR": "default"}}
"#,
    );
    let descriptor = site.loaded().descriptor;
    let lake = &descriptor.databases["lake"];
    assert_eq!((&lake.vendor, lake.reachable), (&None, None));
    assert!(lake.reason.as_ref().unwrap().contains("no_such_driver"), "{:?}", lake.reason);
    assert_eq!(lake.password.as_ref().unwrap().expose(), "hunter2");
    assert_eq!(lake.options.expose("sslpassword"), Some(&json!("hunter2")));
    let shown = descriptor.masked_json();
    assert_eq!(shown["databases"]["lake"]["password"], "***");
    assert_eq!(shown["databases"]["lake"]["options"]["sslmode"], "verify-full");
    let everywhere = format!("{shown}{descriptor:?}");
    assert!(!everywhere.contains("hunter2"), "{everywhere}");

    let location = |alias: &str| {
        let database = &descriptor.databases[alias];
        assert_eq!(database.vendor, Some(Vendor::Sqlite), "{alias}");
        database.sqlite_location(Path::new("/elsewhere")).unwrap()
    };
    assert_eq!(location("mem"), SqliteLocation::Memory);
    assert_eq!(descriptor.databases["mem"].reason.as_deref(), Some("it lives in memory"));
    assert!(location("uri").is_read_only());
    assert_eq!(location("uri").path(), Some(site.path().join("sub/u v.db").as_path()));
    assert_eq!(location("replica").path(), Some(site.path().join("rel.db").as_path()));
    assert_eq!(descriptor.databases["replica"].test_mirror.as_deref(), Some("default"));
}

#[test]
fn a_driver_that_is_not_installed() {
    let site = Site::new(
        r#"
DATABASES["lake"] = {"ENGINE": "django.db.backends.postgresql", "NAME": "lake", "HOST": "db.invalid"}
"#,
    );
    // Where the driver is there after all, the host cannot be found.
    let descriptor = site.loaded().descriptor;
    let lake = &descriptor.databases["lake"];
    assert_ne!(lake.reachable, Some(true));
    assert!(lake.reason.is_some() && lake.migrations.applied.is_none());
    assert_eq!(lake.host.as_deref(), Some("db.invalid"));
    assert_eq!(descriptor.databases["default"].vendor, Some(Vendor::Sqlite));
}

#[test]
fn storages_of_every_kind() {
    let site = Site::new(
        r#"
FS = "django.core.files.storage.FileSystemStorage"
STORAGES = {
    "default": {"BACKEND": FS},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "mirror": {"BACKEND": FS, "OPTIONS": {"location": str(MEDIA_ROOT) + "/"}},
    "private": {"BACKEND": FS, "OPTIONS": {"location": BASE_DIR / "private",
        "file_permissions_mode": 0o640}},
    "memory": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    "gone": {"BACKEND": "no_such.Storage"},
}
INSTALLED_APPS += ["paper"]
"#,
    );
    site.write("paper/__init__.py", "");
    site.write(
        "paper/models.py",
        r#"
from django.core.files.storage import FileSystemStorage, storages
from django.db import models


class Paper(models.Model):
    scan = models.FileField(storage=storages["private"])
    inside = models.FileField(storage=FileSystemStorage("private/inside"))
    outside = models.FileField(storage=FileSystemStorage("/srv/outside"))
"#,
    );
    let descriptor = site.loaded().descriptor;
    let storage = |alias: &str| descriptor.storage(alias).unwrap();
    assert_eq!(storage("mirror").same_location_as.as_deref(), Some("default"));
    assert_eq!(storage("private").same_location_as, None);
    assert_eq!(storage("private").file_permissions_mode, Some(0o640));
    assert!(!storage("memory").local && storage("memory").location.is_none());
    assert!(storage("gone").error.as_ref().unwrap().contains("no_such.Storage"));
    let aliases: Vec<_> = descriptor.media_storages().map(|s| s.alias.as_str()).collect();
    assert_eq!(aliases, ["default", "mirror", "private", "memory", "gone"]);
    let alias =
        |name: &str| field(&descriptor, "paper.Paper", name).file.as_ref().unwrap().storage.clone();
    assert_eq!(alias("scan").as_deref(), Some("private"));
    assert_eq!((alias("inside"), alias("outside")), (None, None));
    assert_eq!(
        descriptor.warnings,
        ["files of `paper.Paper.outside` lie in `/srv/outside`, outside every storage that the \
          settings name"]
    );
}

#[test]
fn a_site_without_media_has_no_media_folder() {
    let descriptor = Site::new("MEDIA_ROOT = ''").loaded().descriptor;
    let storage = descriptor.storage("default").unwrap();
    assert!(storage.local && storage.location.is_none());
    let reason = "it has no location of its own and MEDIA_ROOT is not set";
    assert_eq!(storage.reason.as_deref(), Some(reason));
    assert_eq!(descriptor.media_root, None);
}

#[test]
fn backup_settings_and_their_origin() {
    let site = Site::new(
        r#"
import datetime, os
BACKUP_DIR = BASE_DIR / "kept"
BACKUP_MAX_FILE_SIZE = None
BACKUP_FILE_PERMISSIONS = 0o640
BACKUP_MEDIA_EXCLUDE = ("*.tmp",)
BACKUP_ENCRYPTION_KEY = "hunter2"
BACKUP_ROTATION = datetime.timedelta(days=1)
os.environ["BACKUP_RETENTION_COUNT"] = "4"
os.environ["BACKUP_DIR"] = "/never"
"#,
    );
    let project = site.loaded();
    assert_eq!(project.settings.dir, site.path().join("kept"));
    assert_eq!(project.settings.max_file_size, None);
    assert_eq!(project.settings.file_permissions, 0o640);
    assert_eq!(project.settings.media_exclude, ["*.tmp"]);
    assert_eq!(project.settings.retention_count, Some(4));
    assert_eq!(project.settings.encryption_key.as_ref().unwrap().expose(), "hunter2");
    assert!(project.settings.unknown.iter().any(|unknown| unknown.name == "BACKUP_ROTATION"));
    let shown = project.descriptor.masked_json();
    assert_eq!(
        shown["settings"]["BACKUP_RETENTION_COUNT"],
        json!({"origin": "environment", "value": "4"})
    );
    assert_eq!(shown["settings"]["BACKUP_ENCRYPTION_KEY"]["value"], "***");
    assert_eq!(
        shown["settings"]["BACKUP_ROTATION"]["value"],
        json!({"$unsupported": "datetime.timedelta"})
    );
}

#[test]
fn fixtures_and_an_own_app_named_backups() {
    let site = Site::new("INSTALLED_APPS += ['backups']\nFIXTURE_DIRS = ['data', 'missing']");
    site.write("backups/__init__.py", "");
    site.write("shop/fixtures/tags.json", "[]");
    site.write("data/more.json", "[]");
    let descriptor = site.loaded().descriptor;
    assert_eq!(descriptor.own_backups_app, Some(site.path().join("backups")));
    let folders: Vec<_> =
        descriptor.fixture_dirs.iter().map(|dir| (dir.app.as_deref(), dir.path.clone())).collect();
    assert_eq!(
        folders,
        [(Some("shop"), site.path().join("shop/fixtures")), (None, site.path().join("data"))]
    );
}

#[test]
fn unknown_keys_are_ignored_and_missing_ones_filled_in() {
    let text = json!({"descriptor_version": 1, "project": {"name": "p", "base_dir": "/p"},
        "of_a_newer_helper": {"x": 1}, "apps": [{"label": "a", "name": "a", "models": [
            {"label": "a.B", "db_table": "b", "fields": [
                {"name": "f", "new": 1, "relation": {"kind": "novel"}}]}]}]});
    let descriptor: Descriptor = serde_json::from_value(text).unwrap();
    let model = descriptor.model("a.B").unwrap();
    assert!(model.managed && model.has_table());
    assert_eq!(model.fields[0].relation.as_ref().unwrap().kind, RelationKind::Other);
    let again: Descriptor = serde_json::from_value(descriptor.masked_json()).unwrap();
    assert_eq!(again.masked_json(), descriptor.masked_json());
    assert_eq!(descriptor.masked_json()["django"], Value::Null);
}
