//! The way back: a new database beside the live one, loaded, checked, and renamed into its place.
//!
//! Not here: how a database is captured, and what the files of a capture hold.

mod beside;
mod builders;
mod check;
mod content;
mod create;
mod entries;
mod exchange;
mod loader;
mod names;
mod plan;
mod preflight;
mod rights;
mod row_sum;
mod schedule;
mod session;
mod staged;
mod staging;
mod steps;
mod target;

pub use beside::{leftovers, remove_leftover};
pub use plan::plan;
pub use target::target;
