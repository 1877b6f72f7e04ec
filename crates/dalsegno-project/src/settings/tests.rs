use serde_json::json;

use super::*;

fn read(settings: &Value) -> Result<BackupSettings, ProjectError> {
    let descriptor = json!({
        "descriptor_version": 1,
        "project": {"name": "shop", "base_dir": "/srv/shop"},
        "settings": settings,
    });
    let descriptor = serde_json::from_value(descriptor).unwrap();
    BackupSettings::read(&descriptor, Some(Path::new("/home/op")))
}

fn one(origin: &str, name: &str, value: &Value) -> Result<BackupSettings, String> {
    read(&json!({name: {"origin": origin, "value": value}})).map_err(|error| error.to_string())
}

#[test]
fn defaults() {
    let settings = read(&json!({})).unwrap();
    assert_eq!(
        serde_json::to_value(&settings).unwrap(),
        json!({
            "dir": "/srv/shop/backups",
            "root": "/srv/shop/backups_data",
            "archive_root": "/srv/shop/backups_data/archives",
            "database_root": "/srv/shop/backups_data/database",
            "media_root": "/srv/shop/backups_data/media",
            "temp": "/srv/shop/backups_data/temp",
            "retention_days": 30,
            "retention_count": 10,
            "max_file_size": 10_737_418_240_u64,
            "use_compression": true,
            "file_permissions": 0o600,
            "use_encryption": false,
            "encryption_key": null,
            "chunk_size": 1000,
            "media_exclude": [".*", "*~"],
            "sftp": {
                "enabled": false, "host": null, "port": 22, "user": null, "password": null,
                "directory": "/backups", "key_file": null,
                "known_hosts": "/home/op/.ssh/known_hosts",
            },
            "catalog_url": null,
            "unknown": [],
        })
    );
}

#[test]
fn paths() {
    let settings = read(&json!({
        "BACKUP_DIR": {"origin": "setting", "value": "kept/here"},
        "BACKUP_ROOT": {"origin": "environment", "value": "/var/backups"},
        "BACKUP_MEDIA_ROOT": {"origin": "setting", "value": "/mnt/media"},
        "BACKUP_ARCHIVE_ROOT": {"origin": "environment", "value": ""},
        "BACKUP_SFTP_KEY_FILE": {"origin": "setting", "value": "~/.ssh/id"},
    }))
    .unwrap();
    assert_eq!(settings.dir, Path::new("/srv/shop/kept/here"));
    assert_eq!(settings.archive_root, Path::new("/var/backups/archives"));
    assert_eq!(settings.temp, Path::new("/var/backups/temp"));
    assert_eq!(settings.media_root, Path::new("/mnt/media"));
    assert_eq!(settings.sftp.key_file.as_deref(), Some(Path::new("/home/op/.ssh/id")));
}

#[test]
fn flags_sizes_modes_numbers() {
    for (value, expected) in [
        (json!(true), true),
        (json!(0), false),
        (json!("Yes"), true),
        (json!("FALSE"), false),
        (json!(" 1 "), true),
        (json!("no"), false),
    ] {
        let settings = one("environment", "BACKUP_USE_ENCRYPTION", &value).unwrap();
        assert_eq!(settings.use_encryption, expected, "{value}");
    }
    for (value, expected) in [
        (json!("500MiB"), Some(500 << 20)),
        (json!("1048576"), Some(1 << 20)),
        (json!(1024), Some(1024)),
        (json!(0), None),
        (json!("0"), None),
        (json!(null), None),
        (json!("None"), None),
    ] {
        let settings = one("setting", "BACKUP_MAX_FILE_SIZE", &value).unwrap();
        assert_eq!(settings.max_file_size.map(|size| size.0), expected, "{value}");
    }
    for (value, expected) in [
        (json!("0o640"), 0o640),
        (json!("600"), 0o600),
        (json!("0640"), 0o640),
        (json!(384), 0o600),
    ] {
        let settings = one("setting", "BACKUP_FILE_PERMISSIONS", &value).unwrap();
        assert_eq!(settings.file_permissions, expected, "{value}");
    }
    for (value, expected) in [(json!("7"), Some(7)), (json!(1), Some(1)), (json!(null), None)] {
        let settings = one("setting", "BACKUP_RETENTION_DAYS", &value).unwrap();
        assert_eq!(settings.retention_days, expected, "{value}");
    }
    let empty = one("environment", "BACKUP_RETENTION_DAYS", &json!("")).unwrap();
    assert_eq!(empty.retention_days, Some(30));
}

#[test]
fn lists() {
    for (value, expected) in [
        (json!([]), &[][..]),
        (json!(""), &[]),
        (json!("*.tmp, .*"), &["*.tmp", ".*"]),
        (json!("[\"a,b\", \"c\"]"), &["a,b", "c"]),
        (json!("[ab]*,x"), &["[ab]*", "x"]),
        (json!(["Thumbs.db"]), &["Thumbs.db"]),
        (json!(null), &[".*", "*~"]),
    ] {
        let settings = one("environment", "BACKUP_MEDIA_EXCLUDE", &value).unwrap();
        assert_eq!(settings.media_exclude, expected, "{value}");
    }
}

#[test]
fn bad_values_name_their_variable() {
    for (origin, name, value, text) in [
        (
            "environment",
            "BACKUP_USE_COMPRESSION",
            json!("maybe"),
            "BACKUP_USE_COMPRESSION (environment variable) is `maybe`, but must be true, false, 1, \
            0, yes or no",
        ),
        (
            "setting",
            "BACKUP_MAX_FILE_SIZE",
            json!("ten"),
            "BACKUP_MAX_FILE_SIZE (Django setting) is `ten`, but must be a size such as `10GiB`, \
            or bytes",
        ),
        (
            "setting",
            "BACKUP_FILE_PERMISSIONS",
            json!(600),
            "BACKUP_FILE_PERMISSIONS (Django setting) is `600`, but must be an octal mode that \
            lets the owner read, such as 0o600",
        ),
        (
            "environment",
            "BACKUP_FILE_PERMISSIONS",
            json!("u+rw"),
            "BACKUP_FILE_PERMISSIONS (environment variable) is `u+rw`, but must be an octal mode \
            that lets the owner read, such as 0o600",
        ),
        (
            "setting",
            "BACKUP_RETENTION_DAYS",
            json!({"$unsupported": "datetime.timedelta"}),
            "BACKUP_RETENTION_DAYS (Django setting) is `a datetime.timedelta`, but must be a \
            whole number from 1",
        ),
        (
            "config",
            "BACKUP_RETENTION_COUNT",
            json!(0),
            "BACKUP_RETENTION_COUNT (configuration file) is `0`, but must be a whole number from 1",
        ),
        (
            "setting",
            "BACKUP_ENCRYPTION_KEY",
            json!(12345),
            "BACKUP_ENCRYPTION_KEY (Django setting) is `***`, but must be a text",
        ),
        (
            "setting",
            "BACKUP_SFTP_PORT",
            json!(70000),
            "BACKUP_SFTP_PORT (Django setting) is `70000`, but must be a port from 1 to 65535",
        ),
        (
            "setting",
            "BACKUP_DIR",
            json!(""),
            "BACKUP_DIR (Django setting) is ``, but must be a path",
        ),
        (
            "setting",
            "BACKUP_MEDIA_EXCLUDE",
            json!([1]),
            "BACKUP_MEDIA_EXCLUDE (Django setting) is `[1]`, but must be a list of texts",
        ),
        (
            "environment",
            "BACKUP_DESTINATIONS",
            json!("{"),
            "BACKUP_DESTINATIONS (environment variable) is `{`, but must be a dictionary or a list",
        ),
    ] {
        assert_eq!(one(origin, name, &value).unwrap_err(), text);
    }
}

#[test]
fn secrets_are_kept() {
    let settings = read(&json!({
        "BACKUP_ENCRYPTION_KEY": {"origin": "environment", "value": "hunter2"},
        "BACKUP_NOTIFICATIONS": {"origin": "setting", "value": {"webhook": "https://x/hunter2"}},
        "BACKUP_CATALOG_URL": {"origin": "setting", "value": "postgres://u:hunter2@h/x"},
    }))
    .unwrap();
    assert_eq!(settings.encryption_key.as_ref().map(Secret::expose), Some("hunter2"));
    assert_eq!(settings.notifications.as_ref().unwrap().expose()["webhook"], "https://x/hunter2");
    let shown = format!("{settings:?}{}", serde_json::to_string(&settings).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn unknown_names() {
    let settings = read(&json!({
        "BACKUP_RETENTION_DAY": {"origin": "setting", "value": 3},
        "BACKUP_BUCKET_OF_OTHERS": {"origin": "environment", "value": "x"},
    }))
    .unwrap();
    let unknown: Vec<_> =
        settings.unknown.iter().map(|u| (u.name.as_str(), u.origin, u.nearest)).collect();
    assert_eq!(
        unknown,
        [
            ("BACKUP_BUCKET_OF_OTHERS", SettingOrigin::Environment, None),
            ("BACKUP_RETENTION_DAY", SettingOrigin::Setting, Some("BACKUP_RETENTION_DAYS")),
        ]
    );
}
