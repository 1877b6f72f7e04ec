//! What can be had from a backup that is not whole.
#![allow(clippy::unwrap_used, reason = "tests end where something is not as expected")]

mod cut;
mod flipped;
mod folders;
mod reading;
#[path = "../support/mod.rs"]
mod support;
