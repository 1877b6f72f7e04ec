//! Database engines: capture, stage, check, switch, rollback.
//!
//! The root holds what every engine shares. A [`Database`] is a live one, there or not: its
//! [`Snapshot`] is one consistent view, which writes itself into a [`FileSink`] and leaves a
//! [`Captured`] for the manifest. A [`Target`] is one restore into it: files go into a [`Staging`],
//! which becomes a [`Staged`] copy to be checked and switched in; the [`Switched`] record takes the
//! way back. Each engine is a module: [`sqlite`], [`postgres`], [`mysql`], and [`fixtures`] for any
//! other, through whoever speaks to Django.
//!
//! Nothing here knows a store, an archive, a command line, or how Django is run.

mod database;
mod error;
pub mod fixtures;
mod holder;
pub mod mysql;
mod place;
pub mod postgres;
mod row_sum;
mod snapshot;
pub mod sqlite;
mod step;
pub mod stored;
mod tls;

pub use database::{
    CATALOG_FILE, CaptureOptions, CapturedFile, CheckOptions, CheckReport, Database, DeepReport,
    Leftover, Recovered, RollbackOptions, RolledBack, Staged, Staging, SwitchOptions, SwitchPlan,
    Switched, TableHash, Target, Violation,
};
pub use error::{DatabaseError, Result};
pub use holder::{Holder, holders};
pub use place::Place;
pub use row_sum::{LineSum, RowSum};
pub use snapshot::{
    Captured, FileColumn, FileSink, Quiet, Snapshot, TableCount, Unreadable, Watch,
};
pub use tls::{Tls, TlsMode};
