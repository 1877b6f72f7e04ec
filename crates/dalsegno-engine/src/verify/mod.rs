//! Checking stored bytes against the manifest, and on request the databases in them.

mod deep;

use std::path::Path;

use dalsegno_archive::{Archive, ArchiveError, VerifyReport};

use crate::open::not_opened;
use crate::watched::watched;
use crate::{EngineError, Run, workers};

pub use deep::{DatabaseCheck, DeepCheck};
pub(crate) use deep::{SCRATCH, extract};

/// What verification found.
#[derive(Debug)]
pub struct Verified {
    /// The check of every stored byte.
    pub bytes: VerifyReport,
    /// The check of the captured databases, when it was asked for and the bytes were right.
    pub deep: Option<DeepCheck>,
}

impl Verified {
    /// All findings, one line each.
    pub fn findings(&self) -> Vec<String> {
        let mut findings: Vec<String> = self.bytes.damage.iter().map(ToString::to_string).collect();
        if self.bytes.more_damage > 0 {
            findings.push(format!("and {} more", self.bytes.more_damage));
        }
        findings.extend(self.deep.iter().flat_map(DeepCheck::findings));
        findings
    }

    /// An error when there is any finding.
    pub fn into_result(self, path: &Path) -> Result<Self, EngineError> {
        let findings = self.findings();
        match findings.first() {
            None => Ok(self),
            Some(first) => Err(EngineError::Damaged {
                path: path.to_owned(),
                first: first.clone(),
                count: findings.len(),
            }),
        }
    }
}

/// Checks every stored byte of a backup; with `deep`, the rows, structure and foreign keys of its
/// databases too. Findings are in the answer; an error means that the check itself failed.
pub fn verify(
    path: &Path,
    deep: bool,
    scratch: &Path,
    run: Run<'_>,
) -> Result<Verified, EngineError> {
    let total = Archive::peek(path).ok().map(|peek| peek.stored_bytes);
    run.progress.stage("verifying", total);
    let bytes = watched(run, |watch| dalsegno_archive::verify(path, workers(), watch)).map_err(
        |e| match e {
            ArchiveError::Cancelled => EngineError::Cancelled,
            error => not_opened(error, path),
        },
    )?;
    let deep = match (&bytes.manifest, deep && bytes.damage.is_empty()) {
        (Some(manifest), true) => Some(deep::check(path, manifest, scratch, run)?),
        _ => None,
    };
    Ok(Verified { bytes, deep })
}
