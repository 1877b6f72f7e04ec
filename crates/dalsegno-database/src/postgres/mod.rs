//! `PostgreSQL`: rows by `COPY` over the wire, schema text from `pg_dump`, a new database renamed
//! into the place of the live one.
//!
//! Not here: archives, media, Django's models, where the settings of a connection come from.

mod access;
pub mod catalog;
mod switched;

pub use access::Access;
pub use switched::{Switched, Way};
