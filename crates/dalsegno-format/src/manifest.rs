//! The manifest: `backup_metadata.json`, known when a backup begins, and `backup_complete.json`,
//! written last. Unknown keys are ignored, so that a newer writer's manifest can be read.

mod completion;
mod metadata;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use self::completion::{
    Completion, DatabaseCompletion, FixtureCompletion, ListDigests, Outcome, Problem, References,
    StorageCompletion, TableRows,
};
pub use self::metadata::{
    BackupOptions, BackupType, CaptureKind, DatabaseMetadata, Host, LeftOut, Metadata, Migration,
    Options, ProjectIdentity, StorageMetadata, Versions,
};

/// The version of the tree this crate writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Both halves of the manifest. Its bytes lie in the index and in the sidecar of an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// `backup_metadata.json`.
    pub metadata: Metadata,
    /// `backup_complete.json`.
    pub completion: Completion,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// It is not the JSON of a manifest.
    #[error("the manifest cannot be read: {0}")]
    Json(String),
    /// It was made by a newer Dalsegno.
    #[error("the backup has format version {found}; this program reads up to {FORMAT_VERSION}")]
    Newer {
        /// The version in the manifest.
        found: u32,
    },
    /// The two halves are of different backups.
    #[error("metadata and completion record belong to different backups")]
    Ids,
}

impl Manifest {
    /// The bytes of the manifest in index and sidecar: one line, since lists read many of them.
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("manifests have string keys only");
        bytes.push(b'\n');
        bytes
    }

    /// Reads a manifest and checks that its halves belong together.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest = parse(bytes, "/metadata/format", |m: &Self| m.metadata.format)?;
        if manifest.metadata.id == manifest.completion.id {
            Ok(manifest)
        } else {
            Err(ManifestError::Ids)
        }
    }
}

fn pretty(value: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(value).expect("manifests have string keys only");
    bytes.push(b'\n');
    bytes
}

/// Reads one document. A newer version is told as such, even where its shape is no longer ours: only
/// a document that cannot be read is parsed a second time to find out, since a list of a thousand
/// backups spends most of its time here.
fn parse<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    version: &str,
    format: impl Fn(&T) -> u32,
) -> Result<T, ManifestError> {
    match serde_json::from_slice::<T>(bytes) {
        Ok(value) if format(&value) > FORMAT_VERSION => {
            Err(ManifestError::Newer { found: format(&value) })
        }
        Ok(value) => Ok(value),
        Err(error) => {
            let document: Value = serde_json::from_slice(bytes).unwrap_or_default();
            match document.pointer(version).and_then(Value::as_u64) {
                Some(found) if found > u64::from(FORMAT_VERSION) => {
                    Err(ManifestError::Newer { found: u32::try_from(found).unwrap_or(u32::MAX) })
                }
                _ => Err(ManifestError::Json(error.to_string())),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_document_is_told_as_such_whatever_its_shape() {
        for (json, newer) in [
            (r#"{"format": 2, "id": 7}"#, true),
            (r#"{"format": 1, "id": 7}"#, false),
            (r#"{"id": 7}"#, false),
            ("{", false),
        ] {
            let error = Completion::from_json(json.as_bytes()).unwrap_err();
            assert_eq!(matches!(error, ManifestError::Newer { found: 2 }), newer, "{json}");
        }
    }
}
