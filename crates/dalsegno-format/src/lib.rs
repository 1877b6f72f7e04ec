//! The words of a backup tree: ids, names, paths, entries, lists, manifest, sizes and times.
//!
//! Everything here is a value or the text form of one. This crate does no I/O, reads no clock and
//! draws no random numbers; what depends on those takes them as arguments. The normative
//! description of every form is `docs/format.md`.

mod checksums;
mod entry;
mod escape;
mod form;
mod id;
mod kind;
mod manifest;
mod path;
mod secret;
mod size;
mod time;
pub mod tree;

pub use checksums::{ChecksumLine, ChecksumLineError};
pub use entry::{Entry, EntryKind, EntryLineError, Extent};
pub use form::Form;
pub use id::{BackupId, IdError, backup_name, is_backup_name};
pub use kind::ErrorKind;
pub use manifest::{
    BackupOptions, BackupType, CaptureKind, Completion, DatabaseCompletion, DatabaseMetadata,
    FORMAT_VERSION, FixtureCompletion, Host, LeftOut, ListDigests, Manifest, ManifestError,
    Metadata, Migration, Options, Outcome, Problem, ProjectIdentity, References, StorageCompletion,
    StorageMetadata, TableRows, Versions,
};
pub use path::{PathError, TreePath};
pub use secret::{MASK, Secret};
pub use size::{ByteSize, SizeError};
pub use time::Timestamp;

/// A SHA-256 digest.
pub type Sha256 = [u8; 32];

/// Lower-case hexadecimal of any bytes.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

/// The digest that 64 hexadecimal digits of either case stand for.
pub fn sha256_from_hex(text: &[u8]) -> Option<Sha256> {
    let mut digest = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(digest)
}
