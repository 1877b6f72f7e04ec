//! After a crash: what a restore or rollback left, finished or undone.

use std::path::PathBuf;

use super::journal::Journal;
use super::switch::{Method, Switching, remove_file};
use super::target::{Place, Target};
use crate::MediaError;
use crate::leftover::Role;

/// Which way out of a switch that was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The tree that was to come in becomes live.
    Finish,
    /// The tree that was live before becomes live again.
    Undo,
}

/// What was found, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recovered {
    /// This restore left nothing.
    Nothing,
    /// The switch had not begun: the live tree is the old one. The staged tree is to be discarded.
    NotSwitched {
        /// The staged tree.
        staged: PathBuf,
    },
    /// The switch had ended: the live tree is the new one.
    Switched {
        /// The old tree.
        kept: PathBuf,
        /// How it was done.
        method: Method,
    },
    /// The rollback had ended: the live tree is the old one. The undone tree is to be discarded.
    RolledBack {
        /// The tree that was rolled back.
        undone: PathBuf,
    },
    /// A cut-off switch was finished; the tree that was live before, if there was one. What was
    /// written to it after sealing is not brought over.
    Finished {
        /// The old tree.
        kept: Option<PathBuf>,
        /// How it was done.
        method: Method,
    },
    /// A cut-off rollback was finished.
    FinishedRollback {
        /// The tree that was rolled back; to be discarded.
        undone: Option<PathBuf>,
    },
    /// A cut-off switch was undone.
    Undone {
        /// The staged tree; to be discarded.
        staged: PathBuf,
    },
    /// A cut-off rollback was undone: the restored tree is live.
    UndoneRollback {
        /// The old tree, kept as before.
        kept: PathBuf,
    },
}

impl Target {
    /// Finds what a killed process left of this restore and brings it to an end. Safe to call at any
    /// time, and again after being killed itself.
    pub fn recover(&self, resolution: Resolution) -> Result<Recovered, MediaError> {
        // A journal that was not whole yet: nothing was moved under it.
        for place in [Place::Beside, Place::Inside] {
            remove_file(&self.path(place, Role::Part))?;
        }
        for place in [Place::Beside, Place::Inside] {
            if let Some(mut journal) = Journal::load(&self.path(place, Role::Journal))? {
                let (other, done) = (journal.other, journal.done);
                let switching = Switching { target: self, place, other, done };
                return resolve(&switching, &mut journal, resolution);
            }
        }
        for place in [Place::Beside, Place::Inside] {
            let there = |role| Some(self.path(place, role)).filter(|path| path.exists());
            if let Some(undone) = there(Role::Undone) {
                return Ok(Recovered::RolledBack { undone });
            }
            if let Some(kept) = there(Role::Kept) {
                // Only of a root that stayed in place it was noted what it looked like.
                let stayed = there(Role::Root).is_some();
                let method = if stayed { Method::InPlace } else { Method::Exchange };
                return Ok(Recovered::Switched { kept, method });
            }
            if let Some(staged) = there(Role::Staged) {
                return Ok(Recovered::NotSwitched { staged });
            }
        }
        Ok(Recovered::Nothing)
    }
}

fn resolve(
    switching: &Switching<'_>,
    journal: &mut Journal,
    resolution: Resolution,
) -> Result<Recovered, MediaError> {
    let (other, done) = (switching.other_path(), switching.done_path());
    let restore = journal.done == Role::Kept;
    Ok(match resolution {
        Resolution::Finish => {
            switching.finish(journal)?;
            let done = Some(done).filter(|path| path.exists());
            if restore {
                Recovered::Finished { kept: done, method: journal.method }
            } else {
                Recovered::FinishedRollback { undone: done }
            }
        }
        Resolution::Undo => {
            switching.undo(journal)?;
            if restore {
                Recovered::Undone { staged: other }
            } else {
                Recovered::UndoneRollback { kept: other }
            }
        }
    })
}
