//! A restored tree that is complete and durable, and not yet live.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dalsegno_format::{Entry, Timestamp};
use rustix::fs::{Mode, fchmod, fstat, syncfs};

use super::Strategy;
use super::attributes::Attributes;
use super::carry::Carry;
use super::early_sync::EarlySync;
use super::root::RootLook;
use super::target::{Place, Target, sync_folder};
use crate::capture::open_root;
use crate::changes::{Changes, Node, changes};
use crate::error::io_error;
use crate::meta::Meta;
use crate::walk::Walk;
use crate::{Cancel, MediaError, Selection};

/// A sealed tree: [`SealedTree::switch`] makes it live, [`SealedTree::abandon`] removes it.
#[derive(Debug)]
pub struct SealedTree {
    pub(super) target: Target,
    pub(super) place: Place,
    pub(super) path: PathBuf,
    pub(super) look: RootLook,
    pub(super) strategy: Strategy,
    pub(super) selection: Selection,
    pub(super) skip: Vec<(u64, u64)>,
    pub(super) begun: Timestamp,
    pub(super) carried_from: Timestamp,
    pub(super) sealed_at: Timestamp,
    changes: Changes,
}

impl SealedTree {
    /// What the switch will change, as the live tree was when the tree was sealed.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Where the tree lies until it is switched in.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the tree; nothing live has changed.
    pub fn abandon(self, cancel: Cancel<'_>) -> Result<(), MediaError> {
        super::discard(&self.path, cancel)
    }
}

/// A staged tree after its last entry.
pub(super) struct Staged {
    pub(super) target: Target,
    pub(super) place: Place,
    pub(super) path: PathBuf,
    pub(super) root: OwnedFd,
    pub(super) root_entry: Option<Entry>,
    pub(super) early: EarlySync,
    pub(super) attributes: Arc<Attributes>,
    pub(super) begun: Timestamp,
}

impl Staged {
    pub(super) fn seal(
        self,
        strategy: Strategy,
        selection: &Selection,
        skip: &[(u64, u64)],
        cancel: Cancel<'_>,
    ) -> Result<SealedTree, MediaError> {
        let live_path = self.target.live().to_path_buf();
        let live = match open_root(&live_path) {
            Err(MediaError::RootMissing { .. }) => None,
            live => Some(live?),
        };
        let changes = self.changes(live.is_some(), strategy, selection, skip, cancel)?;
        let live_look = match &live {
            Some(live) => {
                let stat = fstat(live).map_err(io_error("look at", &live_path))?;
                Some(RootLook::from(Meta::from(stat)))
            }
            None => None,
        };
        // The clock that stamps files lags up to 10 ms behind.
        let carried_from = time_of(SystemTime::now() - Duration::from_millis(20));
        if let Some(live) = live {
            let from = &live_path;
            let carry = Carry { strategy, selection, skip, since: None, from, cancel };
            carry.run(live, open_root(&self.path)?)?;
        }
        let look = self.look(strategy, live_look)?;
        let sealed_at = now();
        self.early.finish().map_err(io_error("write to disk", &self.path))?;
        syncfs(&self.root).map_err(io_error("write to disk", &self.path))?;
        sync_folder(self.target.folder(self.place))?;
        let Self { target, place, path, begun, .. } = self;
        let (selection, skip) = (selection.clone(), skip.to_vec());
        Ok(SealedTree {
            target,
            place,
            path,
            look,
            strategy,
            selection,
            skip,
            begun,
            carried_from,
            sealed_at,
            changes,
        })
    }

    fn changes(
        &self,
        live: bool,
        strategy: Strategy,
        selection: &Selection,
        skip: &[(u64, u64)],
        cancel: Cancel<'_>,
    ) -> Result<Changes, MediaError> {
        let everything = Selection::default();
        let walk = |path: &Path, selection, skip| {
            Walk::new(open_root(path)?, selection, skip).map_err(io_error("list the folder", path))
        };
        let staged = walk(&self.path, &everything, &[])?;
        let live = if live { Some(walk(self.target.live(), selection, skip)?) } else { None };
        changes(staged.filter_map(Node::of_step), live.into_iter().flatten(), strategy, cancel)
    }

    /// Sets mode, owner and time of the tree's root, and gives what the live root is to have.
    fn look(&self, strategy: Strategy, live: Option<RootLook>) -> Result<RootLook, MediaError> {
        let wrong = || io_error("set mode and owner of", &self.path);
        match (&self.root_entry, live) {
            (Some(entry), None) => self.attributes.set(&self.root, entry).map_err(wrong())?,
            (Some(entry), Some(_)) if strategy != Strategy::KeepExisting => {
                self.attributes.set(&self.root, entry).map_err(wrong())?;
            }
            (_, Some(live)) => live.set_open(&self.root).map_err(wrong())?,
            (None, None) => {
                fchmod(&self.root, Mode::from_raw_mode(0o755)).map_err(wrong())?;
            }
        }
        let look = fstat(&self.root).map_err(io_error("look at", &self.path))?;
        if self.place == Place::Inside {
            fchmod(&self.root, Mode::RWXU).map_err(wrong())?;
        }
        Ok(Meta::from(look).into())
    }
}

/// The time of now.
pub(super) fn now() -> Timestamp {
    time_of(SystemTime::now())
}

pub(super) fn time_of(time: SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    Timestamp { secs, nanos: since.subsec_nanos() }
}
