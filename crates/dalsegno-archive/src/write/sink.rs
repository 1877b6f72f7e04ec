//! Where members go: the one seam between the forms.

use std::fs::File;
use std::path::{Path, PathBuf};

use dalsegno_format::{Entry, Form, Timestamp, TreePath};

use super::WriteOptions;
use super::folder_sink::{FolderMark, FolderSink};
use super::tar_sink::{TarMark, TarSink};
use crate::ArchiveError;
use crate::tar::data_len;

pub(crate) enum Sink {
    Tar(Box<TarSink>),
    Folder(Box<FolderSink>),
}

pub(crate) enum SinkMark {
    Tar(Box<TarMark>),
    Folder(FolderMark),
}

impl Sink {
    pub(crate) fn create(
        path: &Path,
        options: &WriteOptions,
        mtime: Timestamp,
    ) -> Result<Self, ArchiveError> {
        Ok(match options.form {
            Form::Folder => Self::Folder(Box::new(FolderSink::create(path, options)?)),
            _ => Self::Tar(Box::new(TarSink::create(path, options, mtime)?)),
        })
    }

    pub(crate) fn start(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        match self {
            Self::Tar(tar) => tar.start(entry),
            Self::Folder(folder) => folder.start(entry),
        }
    }

    pub(crate) fn data(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        match self {
            Self::Tar(tar) => tar.data(bytes),
            Self::Folder(folder) => folder.data(bytes),
        }
    }

    pub(crate) fn end(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        match self {
            Self::Tar(tar) => tar.end(data_len(&entry.kind)),
            Self::Folder(folder) => folder.end(),
        }
    }

    /// Where a finished file lies as it is; `None` in forms of one file.
    pub(crate) fn stored(&mut self, path: &TreePath) -> Result<Option<PathBuf>, ArchiveError> {
        match self {
            Self::Tar(_) => Ok(None),
            Self::Folder(folder) => folder.stored(path).map(Some),
        }
    }

    /// The file that takes data now, where all of them so far can be read back from it.
    pub(crate) fn written(&self) -> Option<&File> {
        match self {
            Self::Tar(_) => None,
            Self::Folder(folder) => folder.written(),
        }
    }

    /// Lets a frame of its own end here, in forms that have frames.
    pub(crate) fn cut(&mut self) -> Result<(), ArchiveError> {
        match self {
            Self::Tar(tar) => tar.cut(),
            Self::Folder(_) => Ok(()),
        }
    }

    pub(crate) fn mark(&mut self) -> SinkMark {
        match self {
            Self::Tar(tar) => SinkMark::Tar(Box::new(tar.mark())),
            Self::Folder(folder) => SinkMark::Folder(folder.mark()),
        }
    }

    pub(crate) fn rewind(&mut self, mark: SinkMark) -> Result<(), ArchiveError> {
        match (self, mark) {
            (Self::Tar(tar), SinkMark::Tar(mark)) => tar.rewind(*mark),
            (Self::Folder(folder), SinkMark::Folder(mark)) => folder.rewind(&mark),
            _ => Err(ArchiveError::Sequence { reason: "the mark is another writer's" }),
        }
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        match self {
            Self::Tar(tar) => tar.bytes_written(),
            Self::Folder(folder) => folder.bytes_written(),
        }
    }

    /// Makes the tree durable; returns the bytes it takes.
    pub(crate) fn finish(
        self,
        manifest: &[u8],
        mtime: Timestamp,
        max_size: Option<u64>,
    ) -> Result<u64, ArchiveError> {
        match self {
            Self::Tar(tar) => tar.finish(manifest, mtime, max_size),
            Self::Folder(folder) => folder.finish(mtime),
        }
    }
}
