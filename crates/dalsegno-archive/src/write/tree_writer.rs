//! The writer of a tree: order, digests, lists.

mod closing;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno_format::{
    ChecksumLine, Entry, EntryKind, Extent, Form, Metadata, Sha256 as Digest, Timestamp, TreePath,
    tree,
};

use super::hashing::{CHUNK, Hashing};
use super::sink::{Sink, SinkMark};
use super::{Content, Totals, WriteOptions, control};
use crate::ArchiveError;
use crate::hash::ContentHash;
use crate::order::{Order, Place};
use crate::spool::{Spool, SpoolMark};
use crate::tar::data_len;

/// How often whoever gives the bytes is asked on while the digest is waited for.
const LOOK: Duration = Duration::from_millis(50);

/// A place in a tree being written, to which [`TreeWriter::rewind`] can return. Only the last one
/// of a writer counts.
pub struct Mark {
    serial: u64,
    sink: SinkMark,
    place: Place,
    entries: SpoolMark,
    checksums: SpoolMark,
    totals: Totals,
}

/// Writes one tree. Dropped before [`TreeWriter::finish`], it removes what it has written.
pub struct TreeWriter {
    staged: PathBuf,
    options: WriteOptions,
    mtime: Timestamp,
    /// `None` once finished.
    sink: Option<Sink>,
    order: Order,
    entries: Spool,
    checksums: Spool,
    totals: Totals,
    metadata: Option<Metadata>,
    marks: u64,
    /// Set while a member is incomplete: only a rewind helps.
    broken: bool,
    /// Lets tests forge trees that break the rules.
    #[cfg(test)]
    pub(crate) forging: bool,
}

impl std::fmt::Debug for TreeWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TreeWriter").field("staged", &self.staged).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Mark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mark").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl TreeWriter {
    /// Begins a tree at `staged`, where nothing may lie: a file for tar forms, else a folder. Both
    /// are created exclusively and never through a symbolic link at the last component.
    pub fn create(staged: &Path, options: WriteOptions) -> Result<Self, ArchiveError> {
        let mtime = options.finished_mtime.unwrap_or_default();
        let sink = Sink::create(staged, &options, mtime)?;
        Ok(Self {
            staged: staged.to_owned(),
            mtime,
            sink: Some(sink),
            order: Order::default(),
            entries: Spool::new(&options.spool_dir),
            checksums: Spool::new(&options.spool_dir),
            totals: Totals::default(),
            metadata: None,
            marks: 0,
            broken: false,
            #[cfg(test)]
            forging: false,
            options,
        })
    }

    /// Adds `backup_metadata.json`, which must come first.
    pub fn add_metadata(&mut self, metadata: &Metadata) -> Result<(), ArchiveError> {
        if metadata.folder != self.options.name || metadata.form != self.options.form {
            return Err(ArchiveError::Sequence { reason: "the metadata are another backup's" });
        }
        let bytes = metadata.to_json();
        let entry = self.control_file(tree::METADATA, bytes.len(), 0o600);
        self.add_file(&entry, Content::Bytes { data: &bytes, sha256: None })?;
        self.metadata = Some(metadata.clone());
        // A frame of its own: what kind of archive this is shows after a few kilobytes.
        self.sink()?.cut()
    }

    /// Adds a folder or a link.
    pub fn add(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        if entry.size().is_some() {
            return Err(ArchiveError::Sequence { reason: "a file came without content" });
        }
        self.begin(entry)?;
        let sink = self.sink()?;
        sink.start(entry)?;
        sink.end(entry)?;
        self.list(entry, None)
    }

    /// Adds a regular file and returns the SHA-256 of its content, holes read as zeros.
    ///
    /// When the content ends early or goes on, this is [`ArchiveError::ContentLength`], and when it
    /// cannot be read [`ArchiveError::Content`]; with a stream the tree can then only go on after a
    /// [`TreeWriter::rewind`].
    pub fn add_file(
        &mut self,
        entry: &Entry,
        content: Content<'_>,
    ) -> Result<Digest, ArchiveError> {
        let EntryKind::File { size, extents } = &entry.kind else {
            return Err(ArchiveError::Sequence { reason: "content came without a file" });
        };
        let announced = data_len(&entry.kind);
        if let Content::Bytes { data, .. } = &content
            && data.len() as u64 != announced
        {
            let (path, found) = (entry.path.clone(), data.len() as u64);
            return Err(ArchiveError::ContentLength { path, announced, found });
        }
        self.begin(entry)?;
        self.broken = true;
        self.sink()?.start(entry)?;
        let digest = match content {
            Content::Bytes { data, sha256 } => {
                self.sink()?.data(data)?;
                sha256.unwrap_or_else(|| {
                    let mut hash = ContentHash::new(*size, extents.as_deref());
                    hash.update(data);
                    hash.finish()
                })
            }
            Content::Stream(stream) => self.copy(entry, *size, extents.as_deref(), stream)?,
        };
        self.sink()?.end(entry)?;
        self.broken = false;
        self.list(entry, Some(digest))?;
        Ok(digest)
    }

    fn copy(
        &mut self,
        entry: &Entry,
        size: u64,
        extents: Option<&[Extent]>,
        stream: &mut (dyn Read + '_),
    ) -> Result<Digest, ArchiveError> {
        let announced = data_len(&entry.kind);
        let mut hashing = Hashing::start(size, extents, announced, &self.staged)?;
        let mut found: u64 = 0;
        loop {
            if let Some(file) = self.sink()?.written() {
                hashing.read_back(file).map_err(ArchiveError::io("read back", &self.staged))?;
            }
            let mut buffer = hashing.buffer();
            // One byte more than announced is asked for, to see the end.
            let most = usize::try_from((announced - found).saturating_add(1)).unwrap_or(CHUNK);
            let most = most.min(buffer.len());
            let read = read_some(stream, &mut buffer[..most])
                .map_err(|source| ArchiveError::Content { path: entry.path.clone(), source })?;
            found += read as u64;
            if found > announced || (read == 0 && found < announced) {
                return Err(ArchiveError::ContentLength {
                    path: entry.path.clone(),
                    announced,
                    found,
                });
            }
            if read == 0 {
                return self.digest(entry, hashing, stream);
            }
            self.sink()?.data(&buffer[..read])?;
            hashing.take(buffer, read);
        }
    }

    /// Waits for a digest.
    fn digest(
        &self,
        entry: &Entry,
        mut hashing: Hashing,
        stream: &mut (dyn Read + '_),
    ) -> Result<Digest, ArchiveError> {
        while !hashing.is_done_within(LOOK) {
            // Whoever gives the bytes is who knows that they are not wanted any more.
            read_some(stream, &mut [])
                .map_err(|source| ArchiveError::Content { path: entry.path.clone(), source })?;
        }
        hashing.finish().map_err(ArchiveError::io("read back", &self.staged))
    }

    fn begin(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        if self.broken {
            return Err(ArchiveError::Sequence { reason: "the last member is incomplete" });
        }
        #[cfg(test)]
        if self.forging {
            return Ok(());
        }
        self.order.check(entry).map_err(|reason| ArchiveError::member(&entry.path, reason))
    }

    fn list(&mut self, entry: &Entry, digest: Option<Digest>) -> Result<(), ArchiveError> {
        self.entries.append(|out| entry.push_line(out))?;
        self.count(entry, digest)
    }

    fn count(&mut self, entry: &Entry, digest: Option<Digest>) -> Result<(), ArchiveError> {
        self.totals.members += 1;
        if let Some(sha256) = digest {
            let line = ChecksumLine { sha256, path: entry.path.clone() };
            self.checksums.append(|out| line.push_line(out))?;
            self.totals.files += 1;
            self.totals.bytes += entry.size().unwrap_or(0);
        }
        Ok(())
    }

    fn sink(&mut self) -> Result<&mut Sink, ArchiveError> {
        self.sink.as_mut().ok_or(ArchiveError::Sequence { reason: "it is finished" })
    }

    /// Remembers this place, between two members. Costs at most a copy of one block.
    pub fn mark(&mut self) -> Result<Mark, ArchiveError> {
        if self.broken {
            return Err(ArchiveError::Sequence { reason: "the last member is incomplete" });
        }
        self.marks += 1;
        Ok(Mark {
            serial: self.marks,
            sink: self.sink()?.mark(),
            place: self.order.mark(),
            entries: self.entries.mark(),
            checksums: self.checksums.mark(),
            totals: self.totals,
        })
    }

    /// Undoes everything since the last mark.
    pub fn rewind(&mut self, mark: Mark) -> Result<(), ArchiveError> {
        if mark.serial != self.marks {
            return Err(ArchiveError::Sequence { reason: "the mark is not the last one" });
        }
        self.sink()?.rewind(mark.sink)?;
        self.order.rewind(mark.place);
        self.entries.rewind(mark.entries);
        self.checksums.rewind(mark.checksums);
        self.totals = mark.totals;
        self.broken = false;
        Ok(())
    }

    /// Bytes written so far where the backup will lie.
    pub fn bytes_written(&self) -> u64 {
        self.sink.as_ref().map_or(0, Sink::bytes_written)
    }

    /// Where a file added before lies as it is, all its bytes written; `None` in tar forms.
    pub fn stored(&mut self, path: &TreePath) -> Result<Option<PathBuf>, ArchiveError> {
        self.sink()?.stored(path)
    }

    /// What has been added so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    fn put(&mut self, entry: &Entry, bytes: &[u8]) -> Result<(), ArchiveError> {
        let sink = self.sink()?;
        sink.start(entry)?;
        sink.data(bytes)?;
        sink.end(entry)
    }

    fn control_file(&self, name: &str, size: usize, mode: u32) -> Entry {
        control(name, EntryKind::File { size: size as u64, extents: None }, mode, self.mtime)
    }

    /// Gives up and removes what was written.
    pub fn abort(self) {}

    fn remove(&self) {
        // Nothing can be done about a failure: whoever staged it finds it as a leftover.
        let _ = match self.options.form {
            Form::Folder => std::fs::remove_dir_all(&self.staged),
            _ => std::fs::remove_file(&self.staged),
        };
    }
}

impl Drop for TreeWriter {
    fn drop(&mut self) {
        if let Some(sink) = self.sink.take() {
            drop(sink);
            self.remove();
        }
    }
}

fn read_some(stream: &mut (dyn Read + '_), buffer: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}
