//! What killed processes left in a folder of objects.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::hold::untrusted;
use crate::{Hold, Life, ObjectName, StoreError, sync_folder};

/// The ending of what is being built.
pub(crate) const PARTIAL: &str = ".partial";
/// The ending of a name that is taken for something to come; only its hold is there.
pub(crate) const CLAIM: &str = ".claim";
/// The ending of what was an object and is being deleted.
pub(crate) const REMOVED: &str = ".removed";

/// Something in progress, or left by a killed process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// What lies there: the work itself, else its hold.
    pub path: PathBuf,
    /// The object it was to become.
    pub object: Option<ObjectName>,
    /// Whether somebody works on it.
    pub life: Life,
}

/// What a sweep did.
#[derive(Debug, Default)]
pub struct Swept {
    /// What was a dead process' and is gone.
    pub removed: Vec<Leftover>,
    /// What was a dead process' and could not be removed.
    pub failed: Vec<StoreError>,
}

/// Everything in progress in a folder, by name; nothing is changed. A missing folder has nothing.
pub fn leftovers(folder: &Path) -> Result<Vec<Leftover>, StoreError> {
    let names = found(folder)?;
    Ok(names.into_iter().map(|found| found.judged(Hold::look)).collect())
}

/// Removes what dead processes left in a folder, and nothing that may be a living one's. Safe while
/// others work in it.
pub fn sweep(folder: &Path) -> Result<Swept, StoreError> {
    sweep_found(folder, |_| true)
}

/// The same, of what was to become `object` and nothing else: for folders that all share.
pub fn sweep_of(folder: &Path, object: &ObjectName) -> Result<Swept, StoreError> {
    sweep_found(folder, |found| self::object(&found.path).as_ref() == Some(object))
}

fn sweep_found(folder: &Path, wanted: impl Fn(&Found) -> bool) -> Result<Swept, StoreError> {
    let mut swept = Swept::default();
    for found in found(folder)?.into_iter().filter(wanted) {
        let mut hold = None;
        let leftover = found.judged(|path| match Hold::seize(path) {
            Ok(seized) => {
                hold = Some(seized);
                Life::Dead
            }
            Err(life) => life,
        });
        if leftover.life != Life::Dead {
            continue;
        }
        match found.remove(hold) {
            Ok(()) => swept.removed.push(leftover),
            Err(error) => swept.failed.push(StoreError::io("remove", &found.path, error)),
        }
    }
    if !swept.removed.is_empty() {
        sync_folder(folder)?;
    }
    Ok(swept)
}

struct Found {
    path: PathBuf,
    hold: Option<PathBuf>,
}

impl Found {
    fn judged(&self, judge: impl FnOnce(&Path) -> Life) -> Leftover {
        let life = match &self.hold {
            Some(hold) => judge(hold),
            None if ends(&self.path, REMOVED) => deleted(&self.path),
            None => Life::Unknown("nothing tells who made it".to_owned()),
        };
        let there = self.path.symlink_metadata().is_ok();
        let path = self.hold.as_ref().filter(|_| !there).unwrap_or(&self.path).clone();
        Leftover { path, object: object(&self.path), life }
    }

    /// Removes the work and then its hold, which was seized.
    fn remove(&self, hold: Option<Hold>) -> io::Result<()> {
        let Some(hold) = hold else { return remove_any(&self.path) };
        // Of a claim there is nothing but the hold: its name is taken away once, for the next moment
        // it may be somebody else's.
        let done =
            if self.hold.as_ref() == Some(&self.path) { Ok(()) } else { remove_any(&self.path) };
        match done {
            Ok(()) => hold.remove(),
            Err(error) => {
                // The next one is to know as much.
                hold.leave();
                Err(error)
            }
        }
    }
}

/// Somebody asked for its deletion: whoever goes on with it is right, where that was one to be
/// believed. Anybody can make such a name in a folder that all share.
fn deleted(path: &Path) -> Life {
    match path.symlink_metadata() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Life::Alive,
        Err(e) => Life::Unknown(format!("`{}` cannot be looked at: {e}", path.display())),
        Ok(meta) => untrusted(&meta, path).map_or(Life::Dead, Life::Unknown),
    }
}

fn ends(path: &Path, ending: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending))
}

/// The names in progress in a folder, each once, sorted.
fn found(folder: &Path) -> Result<Vec<Found>, StoreError> {
    let failed = |e| StoreError::io("list", folder, e);
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        if !name.starts_with('.') {
            continue;
        }
        if let Some(held) = Hold::name_of(&path) {
            if object(&held).is_some() {
                found.push(Found { path: held, hold: Some(path) });
            } else if ends(&held, CLAIM) {
                found.push(Found { path: path.clone(), hold: Some(path) });
            }
        } else if name.ends_with(PARTIAL) || (name.ends_with(REMOVED) && object(&path).is_some()) {
            found.push(Found { path, hold: None });
        }
    }
    found.sort_by(|a, b| (&a.path, &b.hold).cmp(&(&b.path, &a.hold)));
    // Where there is a hold, it speaks; it sorts first.
    found.dedup_by(|second, first| second.path == first.path);
    Ok(found)
}

/// The object of `.NAME.PID-N.partial` or `.NAME.PID-N.removed`.
fn object(path: &Path) -> Option<ObjectName> {
    let name = path.file_name()?.to_str()?.strip_prefix('.')?;
    let name = name.strip_suffix(PARTIAL).or_else(|| name.strip_suffix(REMOVED))?;
    let (name, mark) = name.rsplit_once('.')?;
    let (pid, number) = mark.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(pid) && digits(number)).then(|| ObjectName::new(name).ok())?
}

/// Removes whatever lies at a path; links are not followed. Another may be doing the same.
pub(crate) fn remove_any(path: &Path) -> io::Result<()> {
    loop {
        let done = match path.symlink_metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
        };
        match done {
            // A name below it went to somebody else.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
    }
}
