//! The verbs: what each face of Dalsegno asks for, done.
//!
//! A verb takes a [`Site`] (a project and where its things lie), a request, and a [`Run`] (who
//! watches, who may stop it, what time it is). It returns a report or an [`EngineError`], whose
//! kind the one [`outcome()`] table maps to exit code, HTTP status and exception. Verbs that destroy
//! make a plan first, which a dry run prints.
//!
//! The engine knows no command line and no web server, prints nothing and exits nowhere.

mod backup;
mod captured;
mod compatibility;
mod delete;
mod diff;
mod django;
mod doctor;
mod error;
mod find;
mod hint;
mod lock;
mod look;
mod open;
mod outcome;
mod restore;
mod run;
mod server;
mod site;
mod space;
mod spool;
mod step;
mod tables;
mod verify;
mod watched;

pub use backup::{BackupReport, BackupRequest, backup};
pub use compatibility::MigrationGap;
pub use delete::delete;
pub use diff::{BackupDiff, Side, StorageDiff, TableDiff, diff};
pub use doctor::{Finding, Level, doctor};
pub use error::EngineError;
pub use find::{Listed, PRE_RESTORE_TAG, file_stem, find, scan};
pub use look::{contents, get, get_to_file, peek, tree_path};
pub use outcome::{OUTCOMES, Outcome, outcome};
pub use restore::{
    DatabasePlan, DatabaseStep, DiscardReport, FixturePlan, Interruption, MediaStrategy,
    NewDatabase, RestorePlan, RestoreRecord, RestoreReport, RestoreRequest, RollbackReport, State,
    StoragePlan, StorageStep, TablePlan, discard, find_restore, interrupted, plan_restore, restore,
    rollback,
};
pub use run::{Cancel, Clock, Progress, Run, Silent, SystemClock, rfc3339};
pub use site::{LiveDatabase, MediaRoot, OtherStorage, Site};
pub use space::free_space;
pub use tables::{TableInBackup, tables_in};
pub use verify::{DatabaseCheck, DeepCheck, Verified, verify};

/// Threads for work that fills a processor.
pub(crate) fn workers() -> usize {
    std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(1, 8)
}
