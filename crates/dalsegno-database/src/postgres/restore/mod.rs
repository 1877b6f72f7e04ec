//! The way back: a new database beside the live one, loaded, checked, and renamed into its place. A role
//! that cannot make databases replaces the rows inside the live one.
//!
//! Not here: how a database is captured, and what the files of a capture hold.

mod beside;
mod builders;
mod check;
mod content;
mod create;
mod entries;
mod exchange;
mod files;
mod loader;
mod names;
mod plan;
mod preflight;
mod rights;
mod rows_alone;
mod rows_staged;
mod schedule;
mod session;
mod staged;
mod staging;
mod steps;
mod target;

pub use beside::{leftovers, remove_leftover};
pub use plan::plan;
pub use target::target;
