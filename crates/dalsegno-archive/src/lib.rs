//! The four forms of a backup tree: write, read, verify.
//!
//! A tree goes in member by member ([`TreeWriter`]) and comes out member by member ([`Archive`]),
//! in the same order, whatever the form: a folder, or one `.tar`, `.tar.gz`, `.tar.zst`. This crate
//! knows no database, no project and no verb; what the members mean is not its business.
//!
//! - [`TreeWriter::create`] takes a path that does not exist. Until [`TreeWriter::finish`] returns,
//!   what lies there is no backup; dropping the writer removes it.
//! - A member's parent folder must have been added before; inside each top-level name members
//!   ascend in the order of [`dalsegno_format::TreePath`].
//! - A file with holes gives and takes the concatenated bytes of its extents.
//! - Everything read is checked: an [`Archive`] that hands out a member has compared it with both
//!   lists. [`verify`] does not stop at the first damage.
//!
//! The forms are described in `docs/format.md`.

// The support of the integration tests names the crate from outside.
#[cfg(test)]
extern crate self as dalsegno_archive;

mod codec;
mod error;
mod folder;
mod hash;
mod index;
mod order;
mod read;
mod restore_script;
pub mod sidecar;
mod spool;
mod tar;
mod thread;
mod write;

pub use error::{ArchiveError, Damage};
pub use order::MAX_EXTENTS;
pub use read::{
    Archive, Check, Entries, Member, MemberContent, Peek, Progress, ReadError, ReadReport,
    VerifyReport, Visit, Watch, verify,
};
pub use restore_script::restore_script;
pub use write::{Closing, Content, Mark, Totals, TreeWriter, WriteOptions, Written};
