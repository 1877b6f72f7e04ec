use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, MAIN_DB, params};

use super::connection::{Patience, be_patient, journal_mode, open_live, set_cache};
use super::cookie::next_cookie;
use super::error::{failed, locked};
use super::header::{self, Header};
use super::pages::live_header;
use super::plan::difference;
use super::staging::Image;
use super::survey::{Survey, Surveyor};
use super::target::remove;
use crate::{DatabaseError, Place, Result, Watch};

const ACTION: &str = "restore into";

/// Page cache of the writing connection, in KiB. In rollback-journal mode each time it overflows
/// the journal is synced once, so it is large; more would be felt.
const WRITER_CACHE: i64 = 32 << 10;

/// Writes an image into a live database in one transaction.
pub(super) struct InPlace<'s> {
    pub(super) live: &'s Path,
    pub(super) image: &'s Image,
    /// Where the old database is kept: name while it is copied, final name.
    pub(super) keep: Option<(PathBuf, PathBuf)>,
    /// What the live database must still hold.
    pub(super) expect: Option<&'s str>,
    /// Goes into the schema cookie, see [`next_cookie`].
    pub(super) restore_id: &'s str,
    pub(super) busy_timeout: Duration,
}

/// What was done.
pub(super) struct Written {
    pub(super) pages_changed: u64,
    /// Digest of the old database, as in [`Image::content`].
    pub(super) before: String,
}

impl InPlace<'_> {
    /// Nothing has changed, and no kept copy stays, unless this returns `Ok`.
    ///
    /// The old pages are copied out beforehand, and inside the writing transaction the copy is made
    /// true and durable, so no commit falls between it and the switch. Readers of a rollback-journal
    /// database go on until the first pages are written.
    pub(super) fn run(&self, watch: &mut dyn Watch) -> Result<Written> {
        let mut unsure = false;
        let done = self.try_run(watch, &mut unsure);
        if done.is_err()
            && !unsure
            && let Some((part, kept)) = &self.keep
        {
            // The first failure is the one to report; `leftovers` finds what stays.
            let _ = remove(part);
            let _ = remove(kept);
        }
        done
    }

    /// `unsure` is set if COMMIT failed and nobody can tell whether it did.
    fn try_run(&self, watch: &mut dyn Watch, unsure: &mut bool) -> Result<Written> {
        let (connection, patience) = self.open()?;
        let surveyor = Surveyor { live: self.live, image: self.image, keep: self.keep.as_ref() };
        let ahead = match live_header(&connection, self.live)? {
            Some(old) => {
                self.same_shape(&old)?;
                surveyor.ahead(&connection, &patience, watch)?
            }
            None => surveyor.ahead(&connection, &patience, watch)?,
        };
        patience.renew();
        let sql = |sql: &str| connection.execute_batch(sql).map_err(failed(ACTION, self.live));
        sql("BEGIN IMMEDIATE")?;
        let old = live_header(&connection, self.live)?
            .ok_or_else(|| DatabaseError::NotADatabase { path: self.live.to_owned() })?;
        self.same_shape(&old)?;
        let survey = surveyor.settle(&connection, ahead, watch)?;
        if self.expect.is_some_and(|expected| expected != survey.before) {
            return Err(DatabaseError::ChangedSince { place: Place::file_at(self.live) });
        }
        if old.auto_vacuum() == "full" {
            // COMMIT would vacuum by the old file's pointer map; page 1 is overwritten below.
            sql("PRAGMA auto_vacuum = incremental")?;
        }
        let pages_changed = self.write(&connection, &survey, &patience, watch)?;
        self.write_first(&connection, &survey, &old)?;
        if let Err(error) = sql("COMMIT") {
            let _ = connection.execute_batch("ROLLBACK");
            drop(connection);
            let cookie = next_cookie(&old, &self.image.header, self.restore_id);
            let stands = self.stands_at(cookie);
            *unsure = stands.is_err();
            if !stands.unwrap_or(false) {
                return Err(error);
            }
        } else {
            checkpoint(connection);
        }
        Ok(Written { pages_changed, before: survey.before })
    }

    /// Pages can only be written over pages of the same size.
    fn same_shape(&self, old: &Header) -> Result<()> {
        match difference(old, self.image.header.compared()) {
            None => Ok(()),
            Some(reason) => Err(DatabaseError::Moved {
                path: self.live.to_owned(),
                change: format!("{reason:?}"),
            }),
        }
    }

    fn open(&self) -> Result<(Connection, Arc<Patience>)> {
        let mut connection = open_live(self.live, self.busy_timeout)?;
        let patience =
            be_patient(&mut connection, self.busy_timeout).map_err(failed(ACTION, self.live))?;
        if connection.is_readonly(MAIN_DB).map_err(failed(ACTION, self.live))? {
            return Err(DatabaseError::ReadOnly { path: self.live.to_owned() });
        }
        set_cache(&connection, WRITER_CACHE, self.live)?;
        let set = |name: &str, value: &str| {
            connection.pragma_update(None, name, value).map_err(failed(ACTION, self.live))
        };
        set("synchronous", "EXTRA")?;
        // Matters for a live file of no bytes only; any other has its page size.
        set("page_size", &self.image.header.page_size().to_string())?;
        Ok((connection, patience))
    }

    /// Writes every changed page but the first; returns how many, with the first.
    fn write(
        &self,
        connection: &Connection,
        survey: &Survey,
        patience: &Patience,
        watch: &mut dyn Watch,
    ) -> Result<u64> {
        let mut insert = connection
            .prepare("INSERT INTO sqlite_dbpage (pgno, data) VALUES (?1, ?2)")
            .map_err(failed(ACTION, self.live))?;
        let file = self.image.open()?;
        let page_size = self.image.header.page_size();
        let lock_page = header::lock_page(page_size);
        let mut page = vec![0; page_size as usize];
        let mut written = 1;
        for number in 2..=self.image.pages {
            if !survey.differs(number) || u64::from(number) == lock_page {
                continue;
            }
            if written % 256 == 0 && watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            file.read_exact_at(&mut page, u64::from(number - 1) * u64::from(page_size))
                .map_err(DatabaseError::io("read", &self.image.path))?;
            insert.execute(params![number, page]).map_err(failed(ACTION, self.live))?;
            // A full cache asks for the exclusive lock; refused, the library goes on in memory.
            if patience.is_over() {
                return Err(locked(ACTION, self.live));
            }
            watch.bytes(u64::from(page_size));
            written += 1;
        }
        Ok(written)
    }

    /// Writes page 1, cuts the file off behind the last page, and sets the schema cookie.
    ///
    /// In this order: any page written after the cut undoes it, and with a new cookie in page 1 the
    /// library would read the schema again before the cut. Not in one statement either: that has a
    /// savepoint, whose release takes the page count from page 1, and there is nothing to cut then.
    fn write_first(&self, connection: &Connection, survey: &Survey, old: &Header) -> Result<()> {
        let mut page = vec![0; self.image.header.page_size() as usize];
        self.image
            .open()?
            .read_exact_at(&mut page, 0)
            .map_err(DatabaseError::io("read", &self.image.path))?;
        header::set_pages(&mut page, self.image.pages);
        header::set_journal_bytes(&mut page, old.journal_bytes());
        header::set_schema_cookie(&mut page, old.schema_cookie());
        let insert = |number: u32, page: Option<&[u8]>| {
            connection
                .execute(
                    "INSERT INTO sqlite_dbpage (pgno, data) VALUES (?1, ?2)",
                    params![number, page],
                )
                .map_err(failed(ACTION, self.live))
        };
        insert(1, Some(&page))?;
        if self.image.pages < survey.old_pages {
            insert(self.image.pages + 1, None)?;
        }
        let cookie = next_cookie(old, &self.image.header, self.restore_id);
        connection
            .pragma_update(None, "schema_version", cookie.cast_signed())
            .map_err(failed(ACTION, self.live))
    }

    /// Whether the live database has this schema cookie.
    fn stands_at(&self, cookie: u32) -> Result<bool> {
        let connection = open_live(self.live, self.busy_timeout)?;
        let header = live_header(&connection, self.live)?;
        Ok(header.is_some_and(|header| header.schema_cookie() == cookie))
    }
}

/// Best effort: a reader may still need the log, and the next checkpoint comes anyway.
fn checkpoint(connection: Connection) {
    let path = Path::new("");
    if journal_mode(&connection, path).is_ok_and(|mode| mode == "wal") {
        let _ = connection.busy_timeout(Duration::from_millis(100));
        let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    }
    drop(connection);
}

impl Image {
    pub(super) fn open(&self) -> Result<File> {
        File::open(&self.path).map_err(DatabaseError::io("open", &self.path))
    }
}
