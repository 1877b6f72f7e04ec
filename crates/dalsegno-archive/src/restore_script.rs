//! `restore.sh`.

use dalsegno_format::Metadata;

/// The bytes of `restore.sh`.
pub fn restore_script(metadata: &Metadata) -> Vec<u8> {
    let _ = metadata;
    Vec::new()
}
