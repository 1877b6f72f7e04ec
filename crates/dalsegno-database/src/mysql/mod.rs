//! `MySQL` and `MariaDB`: everything over the wire, no client program; a staging schema and one
//! `RENAME TABLE`.
//!
//! Not here: archives, media, Django's models, where the settings of a connection come from.

mod access;
mod attended;
pub mod catalog;
mod connection;
mod error;
mod quote;
mod switched;

pub use access::Access;
pub use error::{Said, ServerError};
pub use switched::{Switched, Way};
