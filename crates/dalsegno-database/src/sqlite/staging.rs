use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use super::content::Fingerprint;
use super::error::failed;
use super::header::{HEADER, Header};
use super::pages::first_page;
use super::target::{create_new, dress, remove, remove_all};
use super::{Source, Target};
use crate::{DatabaseError, Result, Watch};

const CHUNK: usize = 1 << 20;

/// A copy beside the live database, written and hashed but not yet in its place.
///
/// Dropped without a switch, it is removed.
#[derive(Debug)]
pub struct Staged {
    pub(super) target: Target,
    pub(super) image: Image,
    sha256: [u8; 32],
    size: u64,
}

/// A private file that is a whole database.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) pages: u32,
    /// See [`Fingerprint`].
    pub(super) content: String,
}

impl Target {
    /// Writes `size` bytes of `data`, a database file, beside the live one.
    ///
    /// The copy has the live file's owner and mode. It is synced only when it is going to stand in
    /// the live one's place; a switch that writes pages needs it for as long as the process lives.
    /// No bytes at all are an empty database.
    pub fn stage(&self, data: &mut dyn Read, size: u64, watch: &mut dyn Watch) -> Result<Staged> {
        let path = self.staged();
        let mut file = create_new(&path)?;
        let staged = dress(&file, &path, self.live())
            .and_then(|()| fill(&mut file, &path, data, size, watch))
            .and_then(|sha256| {
                if size == 0 {
                    file.write_all(&empty_database(&path)?)
                        .map_err(DatabaseError::io("write", &path))?;
                }
                Ok((Image::read(&path)?, sha256))
            });
        match staged {
            Ok((image, sha256)) => Ok(Staged { target: self.clone(), image, sha256, size }),
            Err(error) => {
                // The first failure is the one to report.
                let _ = remove(&path);
                Err(error)
            }
        }
    }
}

impl Staged {
    /// SHA-256 of the bytes that were staged.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    /// Bytes that were staged.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Digest of its content: what [`super::Switched::content`] will be.
    pub fn content(&self) -> &str {
        &self.image.content
    }

    /// The copy. Whoever changes it calls [`Staged::changed`] afterwards.
    pub fn path(&self) -> &Path {
        &self.image.path
    }

    /// Gives it the mode that the captured file had: it will replace none.
    pub(super) fn set_mode(&self, mode: u32) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(mode & 0o666);
        std::fs::set_permissions(self.path(), mode)
            .map_err(DatabaseError::io("set the mode of", self.path()))
    }

    /// The restore it belongs to.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Takes notice that the copy was changed on purpose, by a migration for one.
    pub fn changed(&mut self) -> Result<()> {
        self.image = Image::read(&self.image.path)?;
        Ok(())
    }

    /// Removes the copy.
    pub fn discard(self) -> Result<()> {
        remove_all(&self.image.path)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Best effort: what stays is found by `leftovers`.
        let _ = remove_all(&self.image.path);
    }
}

impl Image {
    /// Reads a private file; refuses one that is no database or not whole.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let damaged = |problem: String| DatabaseError::Damaged { path: path.to_owned(), problem };
        let mut file = File::open(path).map_err(DatabaseError::io("open", path))?;
        let size = file.metadata().map_err(DatabaseError::io("look at", path))?.len();
        let mut chunk = vec![0; CHUNK];
        let mut filled =
            read_full(&mut file, &mut chunk).map_err(DatabaseError::io("read", path))?;
        let header = Header::of(&chunk[..filled])
            .ok_or_else(|| damaged("it is not an SQLite database".to_owned()))?;
        let page_size = u64::from(header.page_size());
        let pages = u32::try_from(size / page_size)
            .ok()
            .filter(|_| size.is_multiple_of(page_size))
            .ok_or_else(|| damaged(format!("{size} bytes are no whole pages of {page_size}")))?;
        if header.pages() != pages {
            return Err(damaged(format!("its header counts {} pages of {pages}", header.pages())));
        }
        let mut content = Fingerprint::new();
        content.start(&chunk[..filled.min(HEADER)], pages);
        content.update(&chunk[HEADER..filled]);
        while filled == CHUNK {
            filled = read_full(&mut file, &mut chunk).map_err(DatabaseError::io("read", path))?;
            content.update(&chunk[..filled]);
        }
        Ok(Self { path: path.to_owned(), header, pages, content: content.finish() })
    }
}

fn fill(
    file: &mut File,
    path: &Path,
    data: &mut dyn Read,
    size: u64,
    watch: &mut dyn Watch,
) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut left = size;
    while left > 0 {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        let want = usize::try_from(left.min(CHUNK as u64)).unwrap_or(CHUNK);
        let got = read_full(data, &mut chunk[..want])
            .map_err(DatabaseError::io("read the backup for", path))?;
        if got < want {
            let problem = format!("it ends {} bytes early", left - got as u64);
            return Err(DatabaseError::Damaged { path: path.to_owned(), problem });
        }
        hash.update(&chunk[..got]);
        file.write_all(&chunk[..got]).map_err(DatabaseError::io("write", path))?;
        left -= got as u64;
        watch.bytes(got as u64);
    }
    if read_full(data, &mut chunk[..1]).map_err(DatabaseError::io("read the backup for", path))? > 0
    {
        let problem = format!("it goes on after the {size} bytes announced");
        return Err(DatabaseError::Damaged { path: path.to_owned(), problem });
    }
    Ok(hash.finalize().into())
}

pub(super) fn read_full(data: &mut dyn Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match data.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// One page without any table: what SQLite itself writes first into an empty file.
fn empty_database(path: &Path) -> Result<Vec<u8>> {
    let connection = Connection::open_in_memory().map_err(failed("stage", path))?;
    connection.execute_batch("BEGIN IMMEDIATE").map_err(failed("stage", path))?;
    let mut page = first_page(&connection, path)?.unwrap_or_default();
    super::header::set_pages(&mut page, 1);
    Ok(page)
}

impl Staged {
    /// Reads the copy as a database that nobody else touches.
    pub(super) fn source(&self) -> Source<'_> {
        Source::Private(&self.image.path)
    }
}
