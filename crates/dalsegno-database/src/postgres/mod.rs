//! `PostgreSQL`: rows by `COPY` over the wire, schema text from `pg_dump`, a new database renamed
//! into the place of the live one.
//!
//! Not here: archives, media, Django's models, where the settings of a connection come from.

mod access;
pub mod catalog;
mod connection;
mod dump;
mod failure;
mod pool;
mod program;
mod restore;
mod schema;
mod survey;
mod switched;
mod tls;
mod toc;
mod view;

pub use access::Access;
pub use failure::{Cause, Failure};
pub use restore::{leftovers, plan, remove_leftover, target};
pub use switched::{Switched, Way};
