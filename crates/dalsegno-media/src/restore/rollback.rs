//! Putting the kept tree back.

use std::path::{Path, PathBuf};

use super::root::RootLook;
use super::switch::{Method, Switching, inode, rename};
use super::target::{Place, Target, sync_folder};
use super::{Switched, discard, written_since};

use crate::leftover::Role;
use crate::{Cancel, MediaError};

/// A restore that was rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolledBack {
    /// The tree that was live until now, where it is kept: to be discarded once nobody needs it.
    pub present: Option<PathBuf>,
    /// How it was done; [`Method::Created`] when only one of both trees existed.
    pub method: Method,
}

/// Makes the tree that a restore kept live again. A live tree that was written to since is not
/// touched unless `force` is given, and is then kept ([`RolledBack::present`]); one that was not
/// holds nothing but the restored backup and is removed, unless `cancel` stops that.
pub fn rollback(
    switched: &Switched,
    force: bool,
    cancel: Cancel<'_>,
) -> Result<RolledBack, MediaError> {
    if !force && let Some(first) = written_since(switched, cancel)? {
        let first = String::from_utf8_lossy(&first).into_owned();
        return Err(MediaError::ChangedSince { root: switched.live.clone(), first });
    }
    let target = Target::new(&switched.live, &switched.restore_id)?;
    let mut back = target.rollback(switched.kept.as_deref())?;
    if let (false, Some(undone)) = (force, &back.present)
        && discard(undone, cancel).is_ok()
    {
        back.present = None;
    }
    Ok(back)
}

impl Target {
    /// Makes the tree that a restore kept live again, by the same journaled switch, and keeps what
    /// was live as a folder of the role *undone*. `kept` is what [`super::Switched::kept`] said:
    /// `None` for a restore that found no live folder, after which there is none again.
    pub fn rollback(&self, kept: Option<&Path>) -> Result<RolledBack, MediaError> {
        let Some(kept) = kept else { return self.take_out() };
        let place = [Place::Beside, Place::Inside]
            .into_iter()
            .find(|place| self.path(*place, Role::Kept) == kept)
            .ok_or_else(|| MediaError::NotKept { path: kept.to_path_buf() })?;
        if inode(kept)?.is_none() {
            return Err(MediaError::KeptMissing { path: kept.to_path_buf() });
        }
        let stayed = RootLook::load(&self.path(place, Role::Root))?;
        let look = match (stayed, place) {
            (Some(look), Place::Beside) => {
                look.set(kept)?;
                look
            }
            (Some(look), Place::Inside) => look,
            (None, _) => RootLook::of(kept)?,
        };
        let (other, done) = (Role::Kept, Role::Undone);
        let switching = Switching { target: self, place, other, done };
        let method = switching.run(Some(look))?;
        let undone = (method != Method::Created).then(|| switching.done_path());
        Ok(RolledBack { present: undone, method })
    }

    fn take_out(&self) -> Result<RolledBack, MediaError> {
        let undone = self.path(Place::Beside, Role::Undone);
        let method = Method::Created;
        if inode(self.live())?.is_none() {
            return Ok(RolledBack { present: None, method });
        }
        rename(self.live(), &undone)?;
        sync_folder(self.parent())?;
        Ok(RolledBack { present: Some(undone), method })
    }
}
