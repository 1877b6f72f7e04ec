//! Whatever happens to a backup on its way is found and named.
#![allow(clippy::unnecessary_debug_formatting, reason = "odd names are shown escaped")]
#![allow(clippy::unwrap_used, reason = "tests end where something is not as expected")]

mod bits;
mod folders;
mod frames;
mod headers;
#[path = "../support/mod.rs"]
mod support;
