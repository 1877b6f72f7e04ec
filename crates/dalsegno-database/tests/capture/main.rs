//! Captures of live databases: what is in them, and what they leave behind.
#![allow(missing_docs, clippy::unwrap_used)]

mod contents;
mod lock;
mod paths;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
mod writers;
