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
mod private_copy;
mod references;
mod request;
mod unfinished;

use std::path::PathBuf;

use dalsegno_format::{Form, Manifest, Outcome};

use crate::restore::settle;
use crate::step::step;
use crate::{EngineError, Run, Site};

pub(crate) use database::{BUSY_TIMEOUT, RunWatch};
pub(crate) use fixtures::folders as fixture_folders;
pub use request::BackupRequest;
pub(crate) use unfinished::clear;

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
    /// Killed restores that were brought to an end before it began, a sentence for each.
    pub recovered: Vec<String>,
}

impl BackupReport {
    /// Whether it holds all it was meant to.
    pub fn is_complete(&self) -> bool {
        self.manifest.completion.outcome == Outcome::Complete
    }
}

/// Backs up the site. Nothing is left behind when it fails. Refused while a restore is under way:
/// it would capture the rows of one state and the files of another. One that was killed half-way is
/// first brought to an end for the same reason.
pub fn backup(
    site: &Site,
    request: &BackupRequest,
    run: Run<'_>,
) -> Result<BackupReport, EngineError> {
    // What can be refused without a look at the data leaves nothing behind, the lock's file neither.
    request::scope(site, request)?;
    let (_lock, recovered) = settle(site, run)?;
    let report = backup_under_lock(site, request, run)?;
    Ok(BackupReport { recovered, ..report })
}

/// The same for a caller who holds the lock.
pub(crate) fn backup_under_lock(
    site: &Site,
    request: &BackupRequest,
    run: Run<'_>,
) -> Result<BackupReport, EngineError> {
    let scope = request::scope(site, request)?;
    let output = output::Output::reserve(site, request, &scope, run)?;
    step("reserved");
    let captured = capture::capture(site, &scope, &output, run)?;
    output.publish(captured, run)
}
