//! Database engines: capture, stage, check, switch, rollback.
//!
//! The root holds what every engine shares: a [`Snapshot`] is one consistent view of one live
//! database, which writes itself into a [`FileSink`] and leaves a [`Captured`] for the manifest.
//! Each engine is a module; [`sqlite`] is the first.
//!
//! Nothing here knows a store, an archive, a command line or Django.

mod error;
mod holder;
mod snapshot;
pub mod sqlite;

pub use error::{DatabaseError, Result};
pub use holder::{Holder, holders};
pub use snapshot::{
    Captured, FileColumn, FileSink, Quiet, Snapshot, TableCount, Unreadable, Watch,
};
