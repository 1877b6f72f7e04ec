//! `backup`: databases first, then fixtures, then media, into one staged archive that is published
//! when everything in it is durable and checked.
//!
//! Rows are read before files: a row of the snapshot may name a file uploaded earlier, never one
//! uploaded later, so the two fit together without stopping the site.

mod capture;
mod database;
mod fixtures;
mod media;
mod output;
mod references;
mod request;

use std::path::PathBuf;

use dalsegno_format::{Form, Manifest, Outcome};

use crate::lock::Lock;
use crate::{EngineError, Run, Site};

pub(crate) use database::{BUSY_TIMEOUT, RunWatch};
pub(crate) use fixtures::folders as fixture_folders;
pub use request::BackupRequest;

/// What a finished backup is.
#[derive(Debug)]
pub struct BackupReport {
    /// Where it lies.
    pub path: PathBuf,
    /// Its form.
    pub form: Form,
    /// Its manifest.
    pub manifest: Manifest,
    /// Bytes it takes.
    pub stored_bytes: u64,
}

impl BackupReport {
    /// Whether it holds all it was meant to.
    pub fn is_complete(&self) -> bool {
        self.manifest.completion.outcome == Outcome::Complete
    }
}

/// Backs up the site. Nothing is left behind when it fails. Refused while a restore is under way:
/// it would capture the rows of one state and the files of another.
pub fn backup(
    site: &Site,
    request: &BackupRequest,
    run: Run<'_>,
) -> Result<BackupReport, EngineError> {
    let _lock = Lock::share(&site.settings().root)?;
    backup_under_lock(site, request, run)
}

/// The same for a caller who holds the lock.
pub(crate) fn backup_under_lock(
    site: &Site,
    request: &BackupRequest,
    run: Run<'_>,
) -> Result<BackupReport, EngineError> {
    let scope = request::scope(site, request)?;
    let output = output::Output::reserve(site, request, &scope, run)?;
    let captured = capture::capture(site, &scope, &output, run)?;
    output.publish(captured, run)
}
