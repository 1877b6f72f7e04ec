//! A project described by `DATABASE_URL` and `MEDIA_ROOT` alone.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use serde_json::Value;

use crate::config_file::{folder_name, media_root, without_django};
use crate::database_url;
use crate::descriptor::{Descriptor, SettingOrigin, SettingValues, StorageDescriptor};
use crate::error::ProjectError;

/// The project the environment describes; `None` where it has no `DATABASE_URL`.
pub(crate) fn read(folder: &Path) -> Result<Option<Descriptor>, ProjectError> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.trim().is_empty());
    understand(variable("DATABASE_URL"), variable("MEDIA_ROOT"), folder)
}

fn understand(
    database_url: Option<String>,
    media: Option<String>,
    folder: &Path,
) -> Result<Option<Descriptor>, ProjectError> {
    let Some(url) = database_url else { return Ok(None) };
    let database = database_url::parse(&url, "DATABASE_URL", folder)?;
    let storages: Vec<_> = media
        .into_iter()
        .map(|location| StorageDescriptor::folder("default", folder.join(location)))
        .collect();
    Ok(Some(Descriptor {
        databases: BTreeMap::from([("default".to_owned(), database)]),
        media_root: media_root(&storages),
        storages,
        ..without_django(folder_name(folder), folder)
    }))
}

/// Adds every `BACKUP_*` variable of this process whose name has no value yet.
pub(crate) fn fill_in_settings(settings: &mut SettingValues) {
    for (name, value) in env::vars_os() {
        let (Ok(name), Ok(value)) = (name.into_string(), value.into_string()) else { continue };
        if name.starts_with("BACKUP_") {
            settings.fill_in(name, SettingOrigin::Environment, Value::from(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn database_and_media() {
        let folder = Path::new("/srv/shop");
        let both = understand(Some("sqlite:///x.db".into()), Some("media".into()), folder);
        let descriptor = both.unwrap().unwrap();
        assert_eq!(descriptor.project.name, "shop");
        assert_eq!(descriptor.databases["default"].name.as_deref(), Some("/srv/shop/x.db"));
        assert_eq!(descriptor.media_root.as_deref(), Some(Path::new("/srv/shop/media")));
        let no_media = understand(Some("mysql://h/x".into()), None, folder).unwrap().unwrap();
        assert!(no_media.storages.is_empty());
        assert!(understand(None, Some("/media".into()), folder).unwrap().is_none());
        assert!(understand(Some("nonsense".into()), None, folder).is_err());
    }
}
