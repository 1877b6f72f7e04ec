use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rustix::fs::{CWD, RenameFlags};

use super::Target;
use super::connection::{journal_mode, open_live};
use super::content::Fingerprint;
use super::error::{failed, locked};
use super::header::HEADER;
use super::pages::Pages;
use super::target::{SIDECARS, dress, exists, remove, suffixed, sync_folder};
use crate::holder::holders_of;
use crate::{DatabaseError, Place, Result, holders};

const ACTION: &str = "replace";

/// A file that takes the name of a live database while nobody has that open.
pub(super) struct Replacement<'r> {
    pub(super) live: &'r Path,
    pub(super) new: &'r Path,
    /// The name that the old file gets.
    pub(super) kept: &'r Path,
    /// Whether the live file can be read as a database.
    pub(super) readable: bool,
    /// What the live database must still hold; asked of a readable one.
    pub(super) expect: Option<&'r str>,
    pub(super) timeout: Duration,
}

/// Gives the new file the live one's name.
///
/// A sidecar left behind would be played into the new file, so none may be beside the live name
/// when it changes hands: a readable database has its log written back first, what remains goes
/// aside with the old file.
pub(super) fn replace(job: &Replacement<'_>) -> Result<()> {
    wait_until_alone(job.live, job.timeout)?;
    if job.readable {
        write_back(job.live, job.timeout, job.expect)?;
        wait_until_alone(job.live, Duration::ZERO)?;
    }
    let old = fs::metadata(job.live).map_err(DatabaseError::io("look at", job.live))?;
    let file = File::open(job.new).map_err(DatabaseError::io("open", job.new))?;
    dress(&file, job.new, job.live)?;
    file.sync_all().map_err(DatabaseError::io("sync", job.new))?;
    set_aside(job.live, job.kept)?;
    let renamed = fs::rename(job.new, job.live).map_err(DatabaseError::io("replace", job.live));
    if let Err(error) = renamed {
        put_back(job.live, job.kept)?;
        return Err(error);
    }
    sync_folder(job.live)?;
    // Whoever opened the old file meanwhile would go on writing to the kept one.
    let late = holders_of(old.dev(), old.ino()).map_err(DatabaseError::io("look at", job.live))?;
    if late.is_empty() || !holders(job.live).is_ok_and(|new| new.is_empty()) {
        return Ok(());
    }
    fs::rename(job.kept, job.live).map_err(DatabaseError::io("put back", job.live))?;
    put_back(job.live, job.kept)?;
    Err(DatabaseError::Locked { action: ACTION, place: Place::file_at(job.live), holders: late })
}

/// Gives the new file a name that nobody has. Sidecars without a database are leftovers of one
/// that is gone and would be played into the new file: they go aside.
pub(super) fn create(target: &Target, new: &Path) -> Result<()> {
    let live = target.live();
    let file = File::open(new).map_err(DatabaseError::io("open", new))?;
    dress(&file, new, live)?;
    file.sync_all().map_err(DatabaseError::io("sync", new))?;
    let kept = target.kept();
    move_sidecars(live, &kept)?;
    sync_folder(live)?;
    if let Err(error) = rename_to_free(new, live) {
        move_sidecars(&kept, live)?;
        return Err(match error.kind() {
            io::ErrorKind::AlreadyExists => DatabaseError::Moved {
                path: live.to_owned(),
                change: "it was created meanwhile".to_owned(),
            },
            _ => DatabaseError::io("create", live)(error),
        });
    }
    sync_folder(live)
}

/// Takes the live file away to `aside`, sidecars written back first.
pub(super) fn withdraw(
    live: &Path,
    aside: &Path,
    expect: Option<&str>,
    timeout: Duration,
) -> Result<()> {
    wait_until_alone(live, timeout)?;
    write_back(live, timeout, expect)?;
    wait_until_alone(live, Duration::ZERO)?;
    fs::rename(live, aside).map_err(DatabaseError::io("move aside", live))?;
    move_sidecars(live, aside)?;
    sync_folder(live)
}

/// Undoes what [`set_aside`] did while the live file still is, or again is, the old one.
pub(super) fn put_back(live: &Path, kept: &Path) -> Result<()> {
    if !exists(live)? && exists(kept)? {
        fs::rename(kept, live).map_err(DatabaseError::io("put back", live))?;
    }
    move_sidecars(kept, live)?;
    remove(kept)?;
    sync_folder(live)
}

/// Moves every sidecar of `from` to the same sidecar of `to`.
pub(super) fn move_sidecars(from: &Path, to: &Path) -> Result<()> {
    for suffix in SIDECARS {
        let (from, to) = (suffixed(from, suffix), suffixed(to, suffix));
        match fs::rename(&from, &to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DatabaseError::io("move aside", &from)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The old file has both names until the new one takes its own, so there is a database under the
/// live name at every instant; without hard links there is a moment with none, and what recovery
/// finds then is the kept name.
fn set_aside(live: &Path, kept: &Path) -> Result<()> {
    if fs::hard_link(live, kept).is_err() {
        rename_to_free(live, kept).map_err(DatabaseError::io("move aside", live))?;
    }
    sync_folder(live)?;
    move_sidecars(live, kept)?;
    sync_folder(live)
}

fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        done => done.map_err(Into::into),
    }
}

fn wait_until_alone(live: &Path, timeout: Duration) -> Result<()> {
    let deadline = Instant::now() + timeout;
    loop {
        let others = holders(live).map_err(DatabaseError::io("look at", live))?;
        if others.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let path = live.to_owned();
            return Err(DatabaseError::Locked {
                action: ACTION,
                place: Place::File(path),
                holders: others,
            });
        }
        sleep(Duration::from_millis(50));
    }
}

/// Recovers a hot journal, writes the log back and, as the last connection, removes the sidecars.
/// A process that the scan cannot see still holds its locks: they are tried here.
fn write_back(live: &Path, timeout: Duration, expect: Option<&str>) -> Result<()> {
    let connection = open_live(live, timeout)?;
    connection.execute_batch("BEGIN EXCLUSIVE").map_err(failed(ACTION, live))?;
    if let Some(expected) = expect
        && fingerprint(&connection, live)? != expected
    {
        return Err(DatabaseError::ChangedSince { place: Place::file_at(live) });
    }
    connection.execute_batch("COMMIT").map_err(failed(ACTION, live))?;
    if journal_mode(&connection, live)? == "wal" {
        let busy: bool = connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .map_err(failed(ACTION, live))?;
        if busy {
            return Err(locked(ACTION, live));
        }
    }
    connection.close().map_err(|(_, error)| failed(ACTION, live)(error))
}

/// [`Fingerprint`] of what the transaction of `connection` sees.
pub(super) fn fingerprint(connection: &Connection, path: &Path) -> Result<String> {
    let pages = Pages::open(connection, path)?;
    let count = pages.count();
    let mut content = Fingerprint::new();
    pages.each(|number, page| {
        if number == 1 {
            content.start(&page[..HEADER], count);
            content.update(&page[HEADER..]);
        } else {
            content.update(page);
        }
        true
    })?;
    Ok(content.finish())
}
