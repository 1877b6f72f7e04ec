//! Reading a backup tree.

mod ahead;
mod archive;
mod digests;
mod entries;
mod extents;
mod folder_survey;
mod folder_walk;
mod frames;
mod gap;
#[cfg(test)]
mod hostile;
mod loose;
mod member;
mod range;
mod salvage;
mod sequential;
mod stored_lists;
mod tar_file;
mod tar_walk;
mod telling;
mod unverified;
mod verify;
mod walk;

use std::error::Error;
use std::io::Read;

use dalsegno_format::{Entry, Form, Manifest, TreePath};

use crate::{ArchiveError, Damage};

pub use archive::Archive;
pub use entries::Entries;
pub(crate) use tar_file::TarFile;
pub use verify::verify;

/// How closely members are looked at while they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Every content against its SHA-256.
    Full,
    /// What makes a tree safe to take apart, and nothing else: paths, types, links, order, bounds.
    /// Wrong checksums, sizes, lists and frames, and members or an end that are missing, are told
    /// in [`ReadReport::tolerated`] and do not end the pass. A content of which bytes are lost is
    /// never handed out as whole.
    Unverified,
}

/// How far a pass over an archive has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Members seen.
    pub members: u64,
    /// Bytes of their contents.
    pub bytes: u64,
    /// Stored bytes read.
    pub stored: u64,
    /// Stored bytes there are.
    pub stored_total: u64,
}

/// Follows a long pass, and can end it.
pub struct Watch<'a> {
    /// Called at least for every mebibyte, and for every member.
    pub progress: &'a mut (dyn FnMut(Progress) + 'a),
    /// Asked as often; `true` ends the pass with [`ArchiveError::Cancelled`].
    pub cancelled: &'a (dyn Fn() -> bool + 'a),
}

/// One member as it comes out.
pub struct Member<'a> {
    /// What it is. A file with holes has its real extents.
    pub entry: Entry,
    /// What is in it.
    pub content: MemberContent<'a>,
}

/// The content of a member.
pub enum MemberContent<'a> {
    /// It has none: a folder or a link.
    None,
    /// All bytes of a small file (of its extents, when it has holes), already checked.
    Bytes(Vec<u8>),
    /// The bytes of a larger one. Damage shows as an error of the stream, at its end at the
    /// latest; what the visitor leaves unread is read and checked after it returns.
    Stream(&'a mut (dyn Read + 'a)),
}

/// What a pass has read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadReport {
    /// Members.
    pub members: u64,
    /// Regular files.
    pub files: u64,
    /// Bytes of the regular files.
    pub bytes: u64,
    /// What was wrong and has been tolerated, up to about a hundred findings; empty unless the pass
    /// was made with [`Check::Unverified`].
    pub tolerated: Vec<Damage>,
    /// Findings that are not in `tolerated`, since the list is bounded.
    pub more_tolerated: u64,
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The visitor.
    #[error("cannot use member `{path}`")]
    Visit {
        /// The member it was given.
        path: TreePath,
        /// What it said.
        source: Box<dyn Error + Send + Sync>,
    },
}

/// What one look at the end of an archive tells.
#[derive(Debug, Clone)]
pub struct Peek {
    /// The manifest.
    pub manifest: Manifest,
    /// The form.
    pub form: Form,
    /// Bytes it takes.
    pub stored_bytes: u64,
    /// Bytes read to know this.
    pub bytes_read: u64,
    /// Whether the manifest came from the sidecar.
    pub from_sidecar: bool,
}

/// What [`verify()`] found.
#[derive(Debug, Clone)]
pub struct VerifyReport {
    /// The form.
    pub form: Form,
    /// The manifest, when it could be read.
    pub manifest: Option<Manifest>,
    /// Bytes it takes.
    pub stored_bytes: u64,
    /// Members read.
    pub members: u64,
    /// Files read.
    pub files: u64,
    /// Bytes of the files read.
    pub bytes: u64,
    /// What is wrong; empty for a good backup.
    pub damage: Vec<Damage>,
    /// Findings that are not in `damage`, since the list is bounded.
    pub more_damage: u64,
}

/// Takes members as they come out.
pub type Visit<'a> = dyn FnMut(Member<'_>) -> Result<(), Box<dyn Error + Send + Sync>> + 'a;
