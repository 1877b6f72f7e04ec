//! Backups made to do harm. Every sum, hash and index in them is right unless that is what the test
//! is about: what refuses them is what they hold.
#![allow(clippy::type_complexity, clippy::items_after_statements, reason = "tables of cases")]
#![allow(clippy::format_push_string, clippy::unnecessary_debug_formatting, reason = "brevity")]

mod bombs;
mod cut;
mod databases;
mod folders;
mod forge;
mod fuzz;
mod header;
mod index;
mod lists;
mod members;
mod names;
mod script;
mod sidecars;
mod trap;

/// The three forms that are one file.
const FORMS: [&str; 3] = ["tar", "tar.gz", "tar.zst"];
