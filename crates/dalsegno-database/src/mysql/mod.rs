//! `MySQL` and `MariaDB`: everything over the wire, no client program; a staging schema and one
//! `RENAME TABLE`.
//!
//! Not here: archives, media, Django's models, where the settings of a connection come from.

mod access;
mod attended;
mod capture;
pub mod catalog;
mod connection;
mod content;
mod copy;
mod create_table;
mod ddl;
mod definitions;
mod error;
mod fitness;
mod flow;
mod grants;
mod hashes;
mod inserts;
mod journal;
mod live;
mod live_objects;
mod loading;
mod look;
mod maker;
mod names;
mod on_server;
mod opening;
mod part;
mod quote;
mod recovery;
mod renaming;
mod rights;
mod rollback;
mod rows;
mod script;
mod staged;
mod staging;
mod step;
mod survey;
mod switch;
mod switched;
mod target;
mod tsv;

pub use access::Access;
pub use capture::{Facts, capture};
pub use error::{Said, ServerError};
pub use look::{exists, size, table_counts, table_hashes};
pub use switched::{Switched, Way};
pub use target::{Target, leftovers, plan, remove_leftover};
