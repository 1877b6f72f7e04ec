//! `MySQL` and `MariaDB`: everything over the wire, no client program; a staging schema and one
//! `RENAME TABLE`.
//!
//! Not here: archives, media, Django's models, where the settings of a connection come from.

mod access;
pub mod catalog;
mod quote;
mod switched;

pub use access::Access;
pub use switched::{Switched, Way};
