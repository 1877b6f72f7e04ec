//! Local storages: capture of a tree, and staging, switch and rollback of a restored tree beside the
//! live one.
//!
//! [`capture()`] reads a storage's folder in the order of its paths. [`Target`] restores one: a
//! [`StagedTree`] is filled beside the live folder, sealed ([`SealedTree`]) and put in its place at
//! once ([`SealedTree::switch`]); the old tree is kept until it is rolled back or discarded.
//!
//! This crate knows no archive, no database, no Django, and no settings: paths, patterns and entries
//! come in as values. Where names meet the kernel it works on open folders and never follows a
//! symbolic link below a root.

mod budget;
mod capture;
mod changes;
mod compare;
mod error;
#[cfg(test)]
extern crate self as dalsegno_media;
#[cfg(test)]
mod fault;
mod leftover;
mod listing;
mod meta;
mod owners;
mod restore;
mod selection;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
mod survey;
mod walk;

pub use capture::{Capture, CaptureOptions, Found, LargeFile, Rule, capture};
pub use changes::{Changes, Tally, plan};
pub use compare::{Aspects, Difference, compare};
pub use error::MediaError;
pub use leftover::{is_unfinished, leftovers};
pub use restore::{
    Method, OwnerPolicy, Recovered, Resolution, RolledBack, SealedTree, StageOptions, StagedTree,
    Strategy, Switched, Target, discard, mount_of, rollback, written_since,
};
pub use selection::Selection;
pub use survey::{Survey, survey};

/// Asked now and then during long work; `true` stops it with [`MediaError::Cancelled`].
pub type Cancel<'a> = &'a dyn Fn() -> bool;
