//! Restores, rollbacks and discards that no process works on any more and that are not over.

use dalsegno_format::BackupId;

use super::record::{RestoreRecord, State, restores};
use crate::lock::Lock;
use crate::{EngineError, Site};

/// One that was cut off, as those who only look tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interruption {
    /// Id of the restore.
    pub id: BackupId,
    /// How far it came.
    pub state: State,
    /// What happened, in words.
    pub text: String,
    /// What ends it.
    pub hint: String,
}

/// The records of this site that are not over. While somebody holds the lock, one may be theirs.
pub(super) fn unfinished(site: &Site) -> Result<Vec<RestoreRecord>, EngineError> {
    Ok(restores(site)?.into_iter().filter(|r| r.is_of(site) && !r.is_over()).collect())
}

/// What a killed restore, rollback or discard left undecided; none while one runs. Nothing is
/// changed. Records that this user may not read are none.
pub fn interrupted(site: &Site) -> Vec<Interruption> {
    let records = unfinished(site).unwrap_or_default();
    if records.is_empty() || Lock::is_taken(&site.settings().root) {
        return Vec::new();
    }
    records.iter().map(told).collect()
}

/// The words for a record that is not over.
pub(crate) fn told(record: &RestoreRecord) -> Interruption {
    let (id, state) = (record.id, record.state);
    let (text, hint) = match state {
        State::Staging => (
            format!("restore {id} was interrupted before it changed anything"),
            format!("Run `dalsegno rollback {id}`: it removes what was staged."),
        ),
        State::Discarding => (
            format!("restore {id} was interrupted while its old data were being dropped"),
            format!("Run `dalsegno discard {id}` again."),
        ),
        _ => (
            format!("restore {id} was interrupted while {}", state.words()),
            format!("Run `dalsegno rollback {id}`: the site gets its old data back."),
        ),
    };
    Interruption { id, state, text, hint }
}
