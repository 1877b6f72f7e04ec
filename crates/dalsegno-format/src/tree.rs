//! The fixed names of a backup tree.

use crate::TreePath;

/// The first member: what was known when the backup began.
pub const METADATA: &str = "backup_metadata.json";
/// The last member of the tree: counts, hashes, outcome.
pub const COMPLETE: &str = "backup_complete.json";
/// The list of every member's type, mode, owner, time, size and link target.
pub const ENTRIES: &str = "entries.tsv";
/// The list of every file's SHA-256.
pub const CHECKSUMS: &str = "checksums.sha256";
/// The script that restores with standard tools alone.
pub const RESTORE_SH: &str = "restore.sh";
/// The member that follows the tree in tar forms: manifest and offsets.
pub const INDEX: &str = "backup_index.bin";
/// Native captures, a folder for each alias.
pub const DATABASE: &str = "database";
/// Project fixtures, a folder for each app.
pub const FIXTURES: &str = "fixtures";
/// The default storage.
pub const FILES: &str = "files";
/// The other storages, a folder for each alias.
pub const STORAGES: &str = "storages";
/// What follows the archive's file name in that of its sidecar.
pub const SIDECAR: &str = ".manifest.json";

/// A storage or database alias, or an app label, as one safe path component: letters, digits, `_`
/// and `-` stand for themselves, any other byte is written `%XX`.
pub fn component(alias: &str) -> String {
    use std::fmt::Write as _;
    let mut safe = String::new();
    for byte in alias.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            safe.push(byte as char);
        } else {
            let _ = write!(safe, "%{byte:02X}");
        }
    }
    if safe.is_empty() { "%".to_owned() } else { safe }
}

/// A fixed name as a path.
pub fn path(name: &str) -> TreePath {
    TreePath::new(name).expect("fixed names are valid paths")
}

/// The folder of a database's native capture.
pub fn database(alias: &str) -> TreePath {
    path(&format!("{DATABASE}/{}", component(alias)))
}

/// The folder of a storage's files.
pub fn storage(alias: &str) -> TreePath {
    if alias == "default" { path(FILES) } else { path(&format!("{STORAGES}/{}", component(alias))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_cannot_leave_their_folder() {
        assert_eq!(component("../x"), "%2E%2E%2Fx");
        assert_eq!(component(""), "%");
        assert_eq!(storage("default").as_bytes(), b"files");
        assert_eq!(storage("eu.west").as_bytes(), b"storages/eu%2Ewest");
        assert_eq!(database("default").as_bytes(), b"database/default");
    }
}
