//! The forms of a backup.

use serde::{Deserialize, Serialize};

/// How a backup lies in its store: a folder, or one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Form {
    /// A folder, one file for each member.
    #[serde(rename = "folder")]
    Folder,
    /// One uncompressed tar.
    #[serde(rename = "tar")]
    Tar,
    /// A tar in gzip members.
    #[serde(rename = "tar.gz")]
    TarGz,
    /// A tar in zstd frames.
    #[serde(rename = "tar.zst")]
    TarZst,
}

impl Form {
    /// All forms, in the order in which they are documented.
    pub const ALL: [Self; 4] = [Self::Folder, Self::Tar, Self::TarGz, Self::TarZst];

    /// The name on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Tar => "tar",
            Self::TarGz => "tar.gz",
            Self::TarZst => "tar.zst",
        }
    }

    /// What follows the backup's name in its file name: empty for a folder, else `.tar…`.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Folder => "",
            Self::Tar => ".tar",
            Self::TarGz => ".tar.gz",
            Self::TarZst => ".tar.zst",
        }
    }

    /// The form with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }
}
