//! Writing a backup tree.

mod flusher;
mod folder_sink;
mod hashing;
mod pipeline;
mod sink;
mod tar_sink;
mod tree_writer;

use std::io::Read;
use std::path::PathBuf;

use dalsegno_format::{Entry, EntryKind, Form, ListDigests, Manifest, Sha256, Timestamp, tree};

pub use tree_writer::{Mark, TreeWriter};

/// How a tree is to be written.
#[derive(Debug, Clone)]
pub struct WriteOptions {
    /// The top folder of tar forms, the `folder` of the metadata.
    pub name: String,
    /// The form.
    pub form: Form,
    /// Compression level: 1 to 12 for tar.gz (6 when `None`), 1 to 19 for tar.zst (2 when `None`).
    pub level: Option<u32>,
    /// Threads that compress; at least one.
    pub workers: usize,
    /// Permission bits of the archive file, or of the root folder in the folder form.
    pub file_mode: u32,
    /// The most bytes the backup may take where it lies.
    pub max_size: Option<u64>,
    /// Folder for unlinked spool files, made with mode 0600.
    pub spool_dir: PathBuf,
    /// Modification time of the members the writer makes itself, and of the root in the folder
    /// form. 1970 when `None`.
    pub finished_mtime: Option<Timestamp>,
}

/// Where the bytes of a file come from. For a file with holes: the bytes of its extents, one after
/// the other.
pub enum Content<'a> {
    /// All of it, with its SHA-256 (holes read as zeros) when the caller knows it already.
    Bytes {
        /// The bytes.
        data: &'a [u8],
        /// Their digest.
        sha256: Option<Sha256>,
    },
    /// A stream that must end exactly where the entry says.
    Stream(&'a mut (dyn Read + 'a)),
}

/// What has been written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Members of any kind.
    pub members: u64,
    /// Regular files.
    pub files: u64,
    /// Bytes of the regular files, holes included.
    pub bytes: u64,
}

/// What the completion record must say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// Members of the whole tree, the completion record included.
    pub members: u64,
    /// Bytes of all files but the completion record.
    pub bytes: u64,
    /// Digests of the two lists.
    pub digests: ListDigests,
}

/// A finished backup, not yet published.
#[derive(Debug, Clone)]
pub struct Written {
    /// The staged path.
    pub path: PathBuf,
    /// Its form.
    pub form: Form,
    /// Bytes it takes: of the archive file, or of all files of the folder.
    pub stored_bytes: u64,
    /// Both halves of the manifest.
    pub manifest: Manifest,
    /// Its bytes: the content of the sidecar.
    pub manifest_bytes: Vec<u8>,
    /// Members of the tree.
    pub members: u64,
}

/// The entry of a member the writer makes itself: owned by root, at the backup's time.
pub(crate) fn control(name: &str, kind: EntryKind, mode: u32, mtime: Timestamp) -> Entry {
    Entry {
        path: tree::path(name),
        kind,
        mode,
        uid: 0,
        gid: 0,
        user: String::new(),
        group: String::new(),
        mtime,
    }
}
