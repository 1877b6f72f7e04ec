//! Restores into live databases of every sort, with and without others using them.
#![allow(missing_docs, clippy::unwrap_used)]

mod checks;
mod connections;
mod equal;
mod files;
#[path = "../support/mod.rs"]
mod support;
