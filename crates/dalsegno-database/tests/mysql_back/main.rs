//! Restores into real `MariaDB` servers: put in place, put back, cut off, refused.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used)]

mod killed;
mod refused;
mod round_trip;
mod support;
