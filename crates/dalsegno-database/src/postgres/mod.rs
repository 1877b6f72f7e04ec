//! `PostgreSQL`: rows by `COPY` over the wire, schema text from `pg_dump`, a new database renamed
//! into the place of the live one.
//!
//! Not here: archives, media, Django's models, where the settings of a connection come from.

mod access;
mod capture;
pub mod catalog;
mod connection;
mod dump;
mod failure;
mod flow;
mod large_objects;
mod pool;
mod preflight;
mod program;
mod references;
mod restore;
mod rows;
mod schema;
mod sequences;
mod survey;
mod switched;
mod tables;
mod tls;
mod toc;
mod view;
mod writing;

pub use access::Access;
pub use capture::{Facts, capture};
pub use failure::{Cause, Failure};
pub use restore::{leftovers, plan, remove_leftover, target};
pub use switched::{Switched, Way};
pub use tables::{table_counts, table_hashes};
