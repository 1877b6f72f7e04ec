//! Restoring a tree beside the live one and putting it in its place: stage, seal, switch, roll back,
//! discard.
//!
//! Until [`SealedTree::switch`] nothing in the live tree changes. A switch is journaled: whatever
//! kills it, [`Target::recover`] finishes or undoes it.

mod attributes;
mod carry;
mod content;
mod discard;
mod early_sync;
mod in_place;
mod journal;
mod mounts;
mod recover;
mod rollback;
mod root;
mod sealed;
mod staged;
mod switch;
mod target;
#[cfg(test)]
mod tests;
mod writers;
mod written;

pub use attributes::OwnerPolicy;
pub use discard::discard;
pub use mounts::mount_of;
pub use recover::{Recovered, Resolution};
pub use rollback::{RolledBack, rollback};
pub use sealed::SealedTree;
pub use staged::{StageOptions, StagedTree};
pub use switch::{Method, Switched};
pub use target::Target;
pub(crate) use target::resolve;
pub use written::written_since;

/// What becomes of live files when a backup is restored over them.
///
/// In all three, names that a backup leaves out by rule stay where the backup has nothing. Where one
/// side has a folder and the other a file, the winning side's takes the place of all the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Live files go; only the backup's remain.
    Replace,
    /// The backup's files win; live files that it does not have stay.
    Merge,
    /// Live files, and modes and times of live folders, win; only missing files are restored.
    KeepExisting,
}
