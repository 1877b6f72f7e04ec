//! `dalsegno.toml`: a project described by hand.
//!
//! ```toml
//! [project]
//! name = "shop"
//! time_zone = "Europe/Paris"
//!
//! [databases.default]
//! url = "sqlite:////srv/shop/db.sqlite3"    # or engine, name, host, port, user, password, options
//!
//! [storages.default]
//! location = "media"                        # relative to this file
//!
//! [settings]
//! BACKUP_DIR = "/srv/backups"
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::Secret;
use crate::database_url::{self, engine, set_sqlite_name, unasked};
use crate::descriptor::{
    DESCRIPTOR_VERSION, DatabaseDescriptor, Descriptor, ProjectIdentity, SettingOrigin,
    SettingValues, StorageDescriptor, Vendor,
};
use crate::error::ProjectError;
use crate::server_settings::set_connection;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    #[serde(default)]
    project: ProjectTable,
    #[serde(default)]
    databases: BTreeMap<String, DatabaseTable>,
    #[serde(default)]
    storages: BTreeMap<String, StorageTable>,
    #[serde(default)]
    settings: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProjectTable {
    name: Option<String>,
    time_zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DatabaseTable {
    url: Option<Secret>,
    engine: Option<String>,
    name: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    #[serde(default)]
    options: BTreeMap<String, Value>,
    time_zone: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StorageTable {
    location: PathBuf,
    base_url: Option<String>,
}

/// Reads the configuration at `path`, an absolute path.
pub(crate) fn read(path: &Path) -> Result<Descriptor, ProjectError> {
    let text = fs::read_to_string(path)
        .map_err(|source| ProjectError::ConfigUnreadable { path: path.to_owned(), source })?;
    let folder = path.parent().unwrap_or(path);
    understand(&text, path, folder)
}

fn understand(text: &str, path: &Path, folder: &Path) -> Result<Descriptor, ProjectError> {
    let invalid = |reason: String| ProjectError::ConfigInvalid { path: path.to_owned(), reason };
    let file: ConfigFile = toml::from_str(text).map_err(|error| invalid(located(&error, text)))?;
    if file.databases.is_empty() && file.storages.is_empty() {
        return Err(invalid("it names neither a database nor a storage".to_owned()));
    }
    let mut databases = BTreeMap::new();
    for (alias, table) in file.databases {
        let database = database(&alias, table, folder, &invalid)?;
        databases.insert(alias, database);
    }
    let storages: Vec<_> = file
        .storages
        .into_iter()
        .map(|(alias, table)| StorageDescriptor {
            base_url: table.base_url,
            ..StorageDescriptor::folder(alias, folder.join(table.location))
        })
        .collect();
    let mut settings = SettingValues::default();
    for (name, value) in file.settings {
        settings.fill_in(name, SettingOrigin::Config, value);
    }
    let name = file.project.name.unwrap_or_else(|| folder_name(folder));
    Ok(Descriptor {
        time_zone: file.project.time_zone,
        databases,
        media_root: media_root(&storages),
        storages,
        settings,
        ..without_django(name, folder)
    })
}

/// A descriptor of which nothing is known but name and place.
pub(crate) fn without_django(name: String, folder: &Path) -> Descriptor {
    Descriptor {
        descriptor_version: DESCRIPTOR_VERSION,
        project: ProjectIdentity {
            name,
            base_dir: folder.to_owned(),
            settings_module: None,
            executable: None,
        },
        python: None,
        django: None,
        time_zone: None,
        use_tz: true,
        databases: BTreeMap::new(),
        migrations: None,
        storages: Vec::new(),
        media_root: None,
        media_url: None,
        apps: Vec::new(),
        settings: SettingValues::default(),
        fixture_dirs: Vec::new(),
        auth_user_model: None,
        installed_apps: Vec::new(),
        own_backups_app: None,
        warnings: Vec::new(),
    }
}

/// The last name of a folder; `project` for the root.
pub(crate) fn folder_name(folder: &Path) -> String {
    folder.file_name().map_or_else(|| "project".into(), |name| name.to_string_lossy().into_owned())
}

/// The folder of the `default` storage.
pub(crate) fn media_root(storages: &[StorageDescriptor]) -> Option<PathBuf> {
    storages.iter().find(|storage| storage.alias == "default")?.location.clone()
}

fn database(
    alias: &str,
    table: DatabaseTable,
    base: &Path,
    invalid: &dyn Fn(String) -> ProjectError,
) -> Result<DatabaseDescriptor, ProjectError> {
    let key = format!("databases.{alias}");
    if let Some(url) = &table.url {
        let by_keys = table.engine.is_some() || table.name.is_some() || table.host.is_some();
        if by_keys {
            return Err(invalid(format!("[{key}] has a `url` and other keys: keep one")));
        }
        let mut database = database_url::parse(url.expose(), &format!("{key}.url"), base)?;
        database.password = database.password.or(table.password);
        if let Some(connection) = &mut database.connection {
            connection.password = connection.password.take().or(database.password.clone());
        }
        database.time_zone = table.time_zone;
        return Ok(database);
    }
    let named =
        table.engine.ok_or_else(|| invalid(format!("[{key}] needs a `url` or an `engine`")))?;
    let (vendor, dotted) = engine(&named)
        .ok_or_else(|| invalid(format!("[{key}] has an unknown engine `{named}`")))?;
    let name = table.name.ok_or_else(|| invalid(format!("[{key}] needs a `name`")))?;
    let mut database = unasked(vendor, dotted);
    if database.vendor == Some(Vendor::Sqlite) {
        set_sqlite_name(&mut database, &name, base);
    } else {
        database.name = Some(name);
    }
    database.host = table.host;
    database.port = table.port.map(|port| port.to_string());
    database.user = table.user;
    database.password = table.password;
    database.options = table.options.into_iter().collect();
    database.time_zone = table.time_zone;
    set_connection(&mut database, base).map_err(|reason| invalid(format!("[{key}] {reason}")))?;
    Ok(database)
}

/// One line instead of the excerpt that the library prints, which could hold a password.
fn located(error: &toml::de::Error, text: &str) -> String {
    let message = error.message().lines().next().unwrap_or_default();
    match error.span() {
        Some(span) => {
            let line = text.get(..span.start).map_or(0, |before| before.matches('\n').count()) + 1;
            format!("line {line}: {message}")
        }
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Descriptor, String> {
        understand(text, Path::new("/srv/shop/dalsegno.toml"), Path::new("/srv/shop"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_project() {
        let descriptor = read(
            r#"
            [project]
            time_zone = "Europe/Paris"
            [databases.default]
            url = "sqlite:///db.sqlite3"
            [databases.log]
            engine = "postgresql"
            name = "log"
            host = "db"
            port = 5433
            user = "u"
            password = "hunter2"
            options = { sslmode = "require" }
            [storages.default]
            location = "media"
            [settings]
            BACKUP_RETENTION_COUNT = 3
            "#,
        )
        .unwrap();
        assert_eq!(descriptor.project.name, "shop");
        assert_eq!(descriptor.databases["default"].name.as_deref(), Some("/srv/shop/db.sqlite3"));
        let log = &descriptor.databases["log"];
        assert_eq!(log.password.as_ref().map(Secret::expose), Some("hunter2"));
        assert_eq!(log.port.as_deref(), Some("5433"));
        assert_eq!(descriptor.media_root.as_deref(), Some(Path::new("/srv/shop/media")));
        assert_eq!(
            descriptor.settings.get("BACKUP_RETENTION_COUNT").unwrap().expose(),
            &Value::from(3)
        );
        assert!(descriptor.django.is_none() && descriptor.migrations.is_none());
    }

    #[test]
    fn mistakes_are_located() {
        let at = "the configuration `/srv/shop/dalsegno.toml` is wrong: ";
        for (text, reason) in [
            ("", "it names neither a database nor a storage"),
            ("\n[databases.default]\nurl = 3", "line 3: "),
            ("[database.default]", "line 1: unknown field `database`"),
            ("[databases.x]\nname = 'y'", "[databases.x] needs a `url` or an `engine`"),
            ("[databases.x]\nengine = 'dbase'", "[databases.x] has an unknown engine `dbase`"),
            ("[databases.x]\nengine = 'mysql'", "[databases.x] needs a `name`"),
            ("[databases.x]\nurl = 'mysql://h/y'\nname = 'y'", "[databases.x] has a `url` and"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(&format!("{at}{reason}")), "{error}");
        }
        let error = read("[databases.x]\nurl = 'postgres://u:hunter2@h'").unwrap_err();
        assert_eq!(error, "databases.x.url is no database URL: it names no database");
        for value in ["hunter2", "271828"] {
            let error = read(&format!("[databases.x]\npassword = {value}")).unwrap_err();
            assert!(error.contains("line 2: ") && !error.contains(value), "{error}");
        }
    }
}
