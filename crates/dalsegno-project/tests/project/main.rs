//! Real Django sites, described by a real interpreter.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conversation;
mod describe;
mod environment;
mod interpreters;
mod mariadb;
mod postgresql;
mod settings;
mod site;
