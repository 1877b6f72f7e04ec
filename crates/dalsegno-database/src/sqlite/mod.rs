//! `SQLite`: pages read and written through the library's own connection.
//!
//! [`capture()`] holds one read transaction and streams the pages. A restore walks through types:
//! [`Target`] names the files beside the live one, [`Target::stage`] writes a [`Staged`] copy,
//! [`Staged::check`] reads it, [`Staged::switch`] puts it in place and leaves a [`Switched`] record
//! that [`rollback()`] takes. [`Target::recover`] finishes or undoes what a killed process left.
//!
//! A live database file is never opened by a descriptor of our own: closing it would drop the
//! POSIX locks that the library holds for the whole process. `stat` is all that touches it
//! outside the library. Staged, kept and spooled copies are private and have no such rule.
//!
//! Not here: archives, media, Django's models.

mod capture;
mod check;
mod connection;
mod content;
mod cookie;
mod deep;
mod error;
mod exclusion;
mod flow;
mod header;
mod in_place;
mod kept;
mod lenient;
mod live;
mod location;
mod migrations;
mod offline;
mod pages;
mod passage;
mod plan;
mod recovery;
mod references;
mod rollback;
mod rows;
mod spool;
mod staging;
mod survey;
mod switch;
mod tables;
mod target;
mod written;

pub use capture::{FILE_NAME, Facts, capture, takes_private_copy};
pub use connection::Source;
pub use content::content_hash;
pub use deep::{deep_check, table_hashes};
pub use kept::discard;
pub use location::Location;
pub use migrations::applied_migrations;
pub use plan::{ReplaceReason, SwitchMethod, plan};
pub use recovery::Recovered;
pub use rollback::{RolledBack, rollback};
pub use rows::rows;
pub use staging::Staged;
pub use switch::Switched;
pub use tables::table_counts;
pub use target::{Target, leftovers};
pub use written::written_since;
