//! Real Django sites, described by a real interpreter.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod describe;
mod mariadb;
mod postgresql;
mod site;
mod start;
