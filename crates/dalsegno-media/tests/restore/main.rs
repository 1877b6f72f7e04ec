//! Trees captured, staged, sealed and switched in.
#![allow(clippy::unwrap_used, reason = "test code")]

mod equal;
mod kept;
mod members;
mod mounts;
mod roots;
mod strategies;
#[path = "../support/mod.rs"]
mod support;
mod two_sites;
