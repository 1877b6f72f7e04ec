//! Captures of real `MariaDB` servers: a hazard is built, captured, looked at, and loaded by the plain
//! client alone.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod limits;
mod objects;
mod session;
mod snapshot;
mod support;
mod values;
