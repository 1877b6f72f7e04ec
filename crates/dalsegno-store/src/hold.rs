//! Proof that somebody works on something that is not finished.
//!
//! A process id in a name proves nothing: another container counts its own, and numbers come back.
//! A lock does: the kernel gives it up when its process dies, and no sooner.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::local::is_open_local;
use crate::{Owner, StoreError};

/// What the name of a hold adds to the name it is for.
const SUFFIX: &str = ".held";
/// The word in a hold whose file system knows no locks.
const UNLOCKED: &str = "unlocked";
/// Why a free lock may prove nothing.
const SHARED: &str = "it may be a process on another machine or mount that shares this folder";

/// A locked file beside something in progress, `NAME.held`; gone when dropped. A killed process
/// leaves it unlocked.
#[derive(Debug)]
pub struct Hold {
    path: PathBuf,
    file: File,
    stays: bool,
}

/// What a hold tells about the process that took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Life {
    /// It works.
    Alive,
    /// It is no more.
    Dead,
    /// It may live; why that cannot be told.
    Unknown(String),
}

impl Hold {
    /// Where the hold of `name` lies.
    pub fn path_of(name: &Path) -> PathBuf {
        let mut path = name.as_os_str().to_owned();
        path.push(SUFFIX);
        PathBuf::from(path)
    }

    /// The name a hold is for; `None` for what is no hold.
    pub(crate) fn name_of(hold: &Path) -> Option<PathBuf> {
        let name = hold.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
        Some(hold.with_file_name(name))
    }

    /// Holds `name`, or `None` when somebody does or did.
    pub fn take(name: &Path, owner: Owner) -> Result<Option<Self>, StoreError> {
        let path = Self::path_of(name);
        let failed = |error| StoreError::io("create", &path, error);
        loop {
            let mut options = OpenOptions::new();
            let file = match options.read(true).write(true).create_new(true).mode(0o600).open(&path)
            {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
                file => file.map_err(failed)?,
            };
            // Who looks at it meanwhile has it for an instant only.
            let locked = loop {
                match flock(&file, FlockOperation::LockExclusive) {
                    Err(Errno::INTR) => {}
                    done => break done.is_ok(),
                }
            };
            if !is_at(&file, &path) {
                // Swept before it was locked.
                continue;
            }
            let hold = Self { path: path.clone(), file, stays: false };
            owner.apply(&path)?;
            let note = format!(
                "pid {} {}\n",
                std::process::id(),
                if locked { "locked" } else { UNLOCKED }
            );
            (&hold.file).write_all(note.as_bytes()).map_err(failed)?;
            return Ok(Some(hold));
        }
    }

    /// What the hold at `path` tells.
    pub fn look(path: &Path) -> Life {
        match Self::seize(path) {
            Ok(hold) => {
                hold.leave();
                Life::Dead
            }
            Err(life) => life,
        }
    }

    /// Takes over the hold of a dead process, or tells why not.
    pub(crate) fn seize(path: &Path) -> Result<Self, Life> {
        let unknown = |why: String| Err(Life::Unknown(why));
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let open = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
        let file = match open {
            // Gone since it was listed: whoever had it is done.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(Life::Alive),
            Err(e) => return unknown(format!("`{}` cannot be opened: {e}", path.display())),
            Ok(file) => file,
        };
        if let Some(why) = untrusted(&file, path) {
            return unknown(why);
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Life::Alive),
            Err(e) => return unknown(format!("locks do not work there: {e}")),
        }
        if !is_at(&file, path) {
            return Err(Life::Alive);
        }
        let mut note = String::new();
        if (&file).take(300).read_to_string(&mut note).is_err() {
            return unknown(format!("`{}` cannot be read", path.display()));
        }
        if note.trim_end().ends_with(UNLOCKED) {
            return unknown("locks did not work there when it began".to_owned());
        }
        // Not even a process of this very kernel need meet us there: each mount of one remote folder
        // may keep locks of its own.
        match is_open_local(&file) {
            Ok(true) => {}
            Ok(false) => return unknown(SHARED.to_owned()),
            Err(e) => return unknown(format!("`{}` cannot be looked at: {e}", path.display())),
        }
        Ok(Self { path: path.to_owned(), file, stays: false })
    }

    /// Lets go of it and leaves it there, as its dead process did.
    pub(crate) fn leave(mut self) {
        self.stays = true;
    }
}

impl Drop for Hold {
    /// The name goes before the lock: nobody ever finds one that is free and in use.
    fn drop(&mut self) {
        if !self.stays {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Only the folder's owner and this user are believed to be dead.
fn untrusted(file: &File, path: &Path) -> Option<String> {
    let meta = match file.metadata() {
        Err(e) => return Some(format!("`{}` cannot be looked at: {e}", path.display())),
        Ok(meta) => meta,
    };
    let folder = path.parent().and_then(|folder| folder.metadata().ok()).map(|m| m.uid());
    let own = rustix::process::geteuid().as_raw();
    let known = meta.is_file() && (meta.uid() == own || Some(meta.uid()) == folder);
    (!known).then(|| format!("`{}` is not this user's", path.display()))
}

fn is_at(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(there)) = (file.metadata(), path.symlink_metadata()) else { return false };
    (open.dev(), open.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leave(path: &Path, note: &str) {
        fs::write(Hold::path_of(path), note).unwrap();
    }

    #[test]
    fn a_hold_tells_who_lives() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join(".x.partial");
        let hold = Hold::take(&name, Owner::Creator).unwrap().unwrap();
        let path = Hold::path_of(&name);
        assert_eq!(Hold::name_of(&path), Some(name.clone()));
        assert_eq!(Hold::look(&path), Life::Alive);
        assert!(Hold::take(&name, Owner::Creator).unwrap().is_none(), "it is taken");
        drop(hold);
        assert!(!path.exists());

        leave(&name, "pid 1 locked\n");
        assert_eq!(Hold::look(&path), Life::Dead, "this file system is this machine's alone");
        leave(&name, "");
        assert_eq!(Hold::look(&path), Life::Dead, "killed before it could write");
        leave(&name, "pid 1 unlocked\n");
        assert!(matches!(Hold::look(&path), Life::Unknown(_)));
    }

    #[test]
    fn what_is_no_file_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "").unwrap();
        let link = folder.path().join(".a.partial.held");
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        assert!(matches!(Hold::look(&link), Life::Unknown(_)));
        let dir = folder.path().join(".b.partial.held");
        fs::create_dir(&dir).unwrap();
        assert!(matches!(Hold::look(&dir), Life::Unknown(_)));
        assert_eq!(Hold::look(&folder.path().join(".none.held")), Life::Alive);
    }
}
