use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};

use super::connection::Patience;
use super::content::Fingerprint;
use super::error::failed;
use super::header::{self, HEADER};
use super::pages::Pages;
use super::staging::{Image, read_full};
use super::target::{create_new, dress, sync_folder};
use crate::{DatabaseError, Result, Watch};

/// Pages read under one lock while nothing holds the writers up: short enough for a site in
/// rollback-journal mode, where even a reader does.
const SLICE: u32 = 1024;

/// What the live database holds, against what it is going to hold.
pub(super) struct Survey {
    pub(super) old_pages: u32,
    /// One bit for each old page: whether the new one differs.
    changed: Vec<u64>,
    /// [`Fingerprint`] of the old database.
    pub(super) before: String,
}

impl Survey {
    /// Whether page `number` is to be written.
    pub(super) fn differs(&self, number: u32) -> bool {
        number > self.old_pages || self.changed[number as usize / 64] & (1 << (number % 64)) != 0
    }
}

/// Compares the live database with an image page by page, and keeps a copy of it.
///
/// The long part, [`Surveyor::ahead`], runs while the site goes on writing. Under the write lock
/// [`Surveyor::settle`] takes over what is still true, or else corrects it.
pub(super) struct Surveyor<'s> {
    pub(super) live: &'s Path,
    pub(super) image: &'s Image,
    /// Name of the kept copy while it is written, and afterwards.
    pub(super) keep: Option<&'s (PathBuf, PathBuf)>,
}

/// A survey that holds if nobody committed since.
pub(super) struct Ahead {
    survey: Survey,
    kept: Option<File>,
    version: i64,
}

impl Surveyor<'_> {
    /// Reads and copies everything in slices, so that no lock is held for long. What is committed
    /// meanwhile makes the result wrong, and `PRAGMA data_version` tells.
    pub(super) fn ahead(
        &self,
        connection: &Connection,
        patience: &Patience,
        watch: &mut dyn Watch,
    ) -> Result<Ahead> {
        let version = data_version(connection, self.live)?;
        let count: u32 = connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .map_err(failed("read", self.live))?;
        let mut copy = match self.keep {
            Some((part, _)) => Some(Copy::create(part, self.live)?),
            None => None,
        };
        let mut pass = Pass::new(self.image, count)?;
        let mut statement = connection
            .prepare("SELECT data FROM sqlite_dbpage WHERE pgno = ?1")
            .map_err(failed("read", self.live))?;
        let mut number = 1;
        'slices: while number <= count {
            if watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            patience.renew();
            connection.execute_batch("BEGIN").map_err(failed("read", self.live))?;
            for _ in 0..SLICE.min(count - number + 1) {
                let taken = statement
                    .query_row([number], |row| {
                        let page = row.get_ref(0)?.as_blob()?;
                        Ok(pass.take(number, page).and_then(|()| match &mut copy {
                            Some(copy) => copy.add(number, page, count),
                            None => Ok(()),
                        }))
                    })
                    .optional()
                    .map_err(failed("read", self.live))?;
                match taken {
                    Some(taken) => taken?,
                    // It became shorter; the second look will tell what it is now.
                    None => break 'slices,
                }
                number += 1;
            }
            connection.execute_batch("COMMIT").map_err(failed("read", self.live))?;
        }
        drop(statement);
        if !connection.is_autocommit() {
            connection.execute_batch("COMMIT").map_err(failed("read", self.live))?;
        }
        let kept = copy.map(Copy::finish).transpose()?;
        Ok(Ahead { survey: pass.done(), kept, version })
    }

    /// Called inside the writing transaction: makes the survey and the kept copy those of this
    /// instant, and the copy durable under its final name.
    pub(super) fn settle(
        &self,
        connection: &Connection,
        ahead: Ahead,
        watch: &mut dyn Watch,
    ) -> Result<Survey> {
        let Ahead { mut survey, kept, version } = ahead;
        // A file of no bytes has got its first page from this very transaction.
        let stale = data_version(connection, self.live)? != version || survey.old_pages == 0;
        if stale {
            survey = self.again(connection, kept.as_ref(), watch)?;
        }
        if let (Some(kept), Some((part, name))) = (kept, self.keep) {
            kept.sync_all().map_err(keeping(part))?;
            fs::rename(part, name).map_err(keeping(part))?;
            sync_folder(name)?;
        }
        Ok(survey)
    }

    fn again(
        &self,
        connection: &Connection,
        kept: Option<&File>,
        watch: &mut dyn Watch,
    ) -> Result<Survey> {
        let pages = Pages::open(connection, self.live)?;
        let (count, size) = (pages.count(), pages.size());
        let mut pass = Pass::new(self.image, count)?;
        let mut result = Ok(());
        pages.each(|number, page| {
            result = if number % SLICE == 1 && watch.cancelled() {
                Err(DatabaseError::Cancelled)
            } else {
                pass.take(number, page).and_then(|()| match kept {
                    Some(kept) => self.correct(kept, number, page, count),
                    None => Ok(()),
                })
            };
            result.is_ok()
        })?;
        result?;
        if let (Some(kept), Some((part, _))) = (kept, self.keep) {
            kept.set_len(size).map_err(keeping(part))?;
        }
        Ok(pass.done())
    }

    fn correct(&self, kept: &File, number: u32, page: &[u8], count: u32) -> Result<()> {
        let Some((part, _)) = self.keep else { return Ok(()) };
        let first = (number == 1).then(|| first_page(page, count));
        let page = first.as_deref().unwrap_or(page);
        let at = u64::from(number - 1) * page.len() as u64;
        let mut have = vec![0; page.len()];
        let same = kept.read_exact_at(&mut have, at).is_ok() && have == page;
        if same { Ok(()) } else { kept.write_all_at(page, at).map_err(keeping(part)) }
    }
}

fn data_version(connection: &Connection, path: &Path) -> Result<i64> {
    connection
        .pragma_query_value(None, "data_version", |row| row.get(0))
        .map_err(failed("read", path))
}

fn keeping(part: &Path) -> impl FnOnce(std::io::Error) -> DatabaseError {
    DatabaseError::io("keep the old database in", part)
}

/// The header of a kept copy is valid by itself.
fn first_page(page: &[u8], count: u32) -> Vec<u8> {
    let mut first = page.to_vec();
    header::set_pages(&mut first, count);
    first
}

/// One walk over the old pages beside the new ones.
struct Pass {
    count: u32,
    changed: Vec<u64>,
    before: Fingerprint,
    lock_page: u64,
    new: BufReader<File>,
    new_page: Vec<u8>,
    new_pages: u32,
    new_path: PathBuf,
}

impl Pass {
    fn new(image: &Image, count: u32) -> Result<Self> {
        let page_size = image.header.page_size();
        Ok(Self {
            count,
            changed: vec![0; count as usize / 64 + 1],
            before: Fingerprint::new(),
            lock_page: header::lock_page(page_size),
            new: BufReader::with_capacity(1 << 20, image.open()?),
            new_page: vec![0; page_size as usize],
            new_pages: image.pages,
            new_path: image.path.clone(),
        })
    }

    /// Takes the next old page.
    fn take(&mut self, number: u32, page: &[u8]) -> Result<()> {
        if number == 1 {
            self.before.start(&page[..HEADER], self.count);
            self.before.update(&page[HEADER..]);
        } else {
            self.before.update(page);
        }
        if number > self.new_pages {
            return Ok(());
        }
        let got = read_full(&mut self.new, &mut self.new_page)
            .map_err(DatabaseError::io("read", &self.new_path))?;
        if got < self.new_page.len() {
            let problem = "it became shorter".to_owned();
            return Err(DatabaseError::Damaged { path: self.new_path.clone(), problem });
        }
        if self.new_page != page && u64::from(number) != self.lock_page {
            self.changed[number as usize / 64] |= 1 << (number % 64);
        }
        Ok(())
    }

    fn done(self) -> Survey {
        Survey { old_pages: self.count, changed: self.changed, before: self.before.finish() }
    }
}

/// The old database, being copied out in order.
struct Copy {
    out: BufWriter<File>,
    path: PathBuf,
}

impl Copy {
    fn create(part: &Path, live: &Path) -> Result<Self> {
        let file = create_new(part)?;
        dress(&file, part, live)?;
        Ok(Self { out: BufWriter::with_capacity(1 << 20, file), path: part.to_owned() })
    }

    fn add(&mut self, number: u32, page: &[u8], count: u32) -> Result<()> {
        let written = if number == 1 {
            self.out.write_all(&first_page(page, count))
        } else {
            self.out.write_all(page)
        };
        written.map_err(keeping(&self.path))
    }

    /// Synced: what is left to sync under the write lock is what changes until then.
    fn finish(self) -> Result<File> {
        let path = self.path;
        let file = self.out.into_inner().map_err(|error| keeping(&path)(error.into_error()))?;
        file.sync_all().map_err(keeping(&path))?;
        Ok(file)
    }
}
