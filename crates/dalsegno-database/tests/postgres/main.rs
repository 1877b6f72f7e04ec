//! `PostgreSQL` on its way in: real servers, and what the capture makes of them.

#![allow(missing_docs, clippy::unwrap_used)]

mod capture;
mod connection;
mod files;
mod hazards;
mod locks;
mod pool;
mod schema;
mod values;
