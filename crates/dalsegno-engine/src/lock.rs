//! One restore at a time.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use dalsegno_store::{Owner, create_folders};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::run::rfc3339;
use crate::{EngineError, Run};

/// An exclusive lock on a folder's `.lock`, given back when dropped or when the process dies.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock for `verb`, or says who holds it since when.
    pub(crate) fn take(root: &Path, verb: &str, run: Run<'_>) -> Result<Self, EngineError> {
        create_folders(root, 0o750)?;
        let path = root.join(".lock");
        let failed = |action, source| EngineError::io(action, &path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
            .open(&path)
            .map_err(|e| failed("open the lock", e))?;
        let found = file.metadata().map_err(|e| failed("look at the lock", e))?;
        // One that another user left here stays theirs.
        if found.uid() == rustix::process::geteuid().as_raw() {
            Owner::of(root)?.give(&file, &path)?;
        }
        lock(&mut file, FlockOperation::NonBlockingLockExclusive, root)?;
        let line =
            format!("{verb}, pid {}, since {}\n", std::process::id(), rfc3339(run.clock.now()));
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(line.as_bytes()))
            .map_err(|e| failed("write the lock", e))?;
        Ok(Self { _file: file })
    }

    /// Shares the lock with other backups, so that no restore begins meanwhile; `None` where this user
    /// may neither read nor make it.
    pub(crate) fn share(root: &Path) -> Result<Option<Self>, EngineError> {
        let path = root.join(".lock");
        if path.symlink_metadata().is_err() && create_folders(root, 0o750).is_ok() {
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            if let Ok(made) = made {
                Owner::of(root)?.give(&made, &path)?;
            }
        }
        let Ok(mut file) = File::open(&path) else { return Ok(None) };
        lock(&mut file, FlockOperation::NonBlockingLockShared, root)?;
        Ok(Some(Self { _file: file }))
    }

    /// Whether [`Lock::take`] would get it now; the error is the one it would give.
    pub(crate) fn probe(root: &Path) -> Result<(), EngineError> {
        let Ok(mut file) = File::open(root.join(".lock")) else { return Ok(()) };
        lock(&mut file, FlockOperation::NonBlockingLockExclusive, root)
    }

    /// Whether a restore, rollback or discard has it now.
    pub(crate) fn is_taken(root: &Path) -> bool {
        let Ok(mut file) = File::open(root.join(".lock")) else { return false };
        lock(&mut file, FlockOperation::NonBlockingLockShared, root).is_err()
    }
}

/// Those who only look have the lock for an instant: that long is waited.
const INSTANT: Duration = Duration::from_millis(200);

fn lock(file: &mut File, operation: FlockOperation, root: &Path) -> Result<(), EngineError> {
    let until = Instant::now() + INSTANT;
    loop {
        match flock(&*file, operation) {
            Err(Errno::WOULDBLOCK) if Instant::now() < until => {
                std::thread::sleep(INSTANT / 10);
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(EngineError::Busy { root: root.to_owned(), holder: holder(file) });
            }
            done => {
                return done.map_err(|e| EngineError::io("lock", &root.join(".lock"), e.into()));
            }
        }
    }
}

/// Who has the lock, in words.
fn holder(file: &mut File) -> String {
    // Backups share it and write nothing: what stands there is of an earlier restore.
    if flock(&*file, FlockOperation::NonBlockingLockShared).is_ok() {
        return "a backup that runs".to_owned();
    }
    let mut holder = String::new();
    let _ = file.take(300).read_to_string(&mut holder);
    match holder.trim() {
        "" => "another process".to_owned(),
        holder => holder.to_owned(),
    }
}
