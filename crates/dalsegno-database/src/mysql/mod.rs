//! `MySQL` and `MariaDB`: everything over the wire, no client program; a staging schema and one
//! `RENAME TABLE`.
//!
//! Not here: archives, media, Django's models, where the settings of a connection come from.

mod access;
mod attended;
mod capture;
pub mod catalog;
mod connection;
mod ddl;
mod definitions;
mod error;
mod flow;
mod look;
mod opening;
mod quote;
mod rights;
mod rows;
mod script;
mod survey;
mod switched;
mod tsv;

pub use access::Access;
pub use capture::{Facts, capture};
pub use error::{Said, ServerError};
pub use look::{exists, size, table_counts, table_hashes};
pub use switched::{Switched, Way};
