//! One storage alias.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One entry of `STORAGES`, or the default storage of an older Django.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageDescriptor {
    /// Its alias: `default` is the media storage.
    pub alias: String,
    /// The dotted class.
    pub backend: String,
    /// The bare class.
    #[serde(default)]
    pub class_name: Option<String>,
    /// It holds static files, which are made from the code.
    #[serde(default, rename = "static")]
    pub is_static: bool,
    /// Its files lie in a folder of this machine.
    #[serde(default)]
    pub local: bool,
    /// That folder, absolute. `None` for a local storage means that it has none: Django would use
    /// the working folder, which is the site itself.
    #[serde(default)]
    pub location: Option<PathBuf>,
    /// Why a local storage has no location.
    #[serde(default)]
    pub reason: Option<String>,
    /// The URL its files are served under.
    #[serde(default)]
    pub base_url: Option<String>,
    /// `FILE_UPLOAD_PERMISSIONS` of this storage.
    #[serde(default)]
    pub file_permissions_mode: Option<u32>,
    /// `FILE_UPLOAD_DIRECTORY_PERMISSIONS` of this storage.
    #[serde(default)]
    pub directory_permissions_mode: Option<u32>,
    /// An earlier alias with the same folder.
    #[serde(default)]
    pub same_location_as: Option<String>,
    /// Why it could not be built.
    #[serde(default)]
    pub error: Option<String>,
}

impl StorageDescriptor {
    /// A local folder.
    pub fn folder(alias: impl Into<String>, location: PathBuf) -> Self {
        Self {
            alias: alias.into(),
            backend: "django.core.files.storage.filesystem.FileSystemStorage".to_owned(),
            class_name: Some("FileSystemStorage".to_owned()),
            is_static: false,
            local: true,
            location: Some(location),
            reason: None,
            base_url: None,
            file_permissions_mode: None,
            directory_permissions_mode: None,
            same_location_as: None,
            error: None,
        }
    }
}
