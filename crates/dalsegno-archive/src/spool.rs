//! Lists that grow with the number of members: in memory while small, then in an unlinked file.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Deref;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dalsegno_format::Sha256 as Digest;
use sha2::{Digest as _, Sha256};

use crate::ArchiveError;

/// Bytes kept in memory before they go to the file.
const IN_MEMORY: usize = 1 << 20;

/// Bytes that are appended, hashed, and read back once.
pub(crate) struct Spool {
    folder: PathBuf,
    file: Option<File>,
    /// Bytes in `file`.
    filed: u64,
    recent: Vec<u8>,
    hash: Sha256,
}

/// The state of a spool, to return to.
#[derive(Clone)]
pub(crate) struct SpoolMark {
    len: u64,
    hash: Sha256,
}

impl Spool {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            file: None,
            filed: 0,
            recent: Vec::new(),
            hash: Sha256::new(),
        }
    }

    /// Lets `write` append to the end.
    pub(crate) fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ArchiveError> {
        let start = self.recent.len();
        write(&mut self.recent);
        self.hash.update(&self.recent[start..]);
        if self.recent.len() >= IN_MEMORY { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        let failed = |error| ArchiveError::io("spool a list in", &self.folder)(error);
        if self.file.is_none() {
            self.file = Some(tempfile::tempfile_in(&self.folder).map_err(failed)?);
        }
        if let Some(file) = &self.file {
            file.write_all_at(&self.recent, self.filed).map_err(failed)?;
        }
        self.filed += self.recent.len() as u64;
        self.recent.clear();
        Ok(())
    }

    pub(crate) fn len(&self) -> u64 {
        self.filed + self.recent.len() as u64
    }

    pub(crate) fn sha256(&self) -> Digest {
        self.hash.clone().finalize().into()
    }

    pub(crate) fn mark(&self) -> SpoolMark {
        SpoolMark { len: self.len(), hash: self.hash.clone() }
    }

    pub(crate) fn rewind(&mut self, mark: SpoolMark) {
        if mark.len >= self.filed {
            self.recent.truncate(usize::try_from(mark.len - self.filed).unwrap_or(usize::MAX));
        } else {
            self.recent.clear();
            self.filed = mark.len;
        }
        self.hash = mark.hash;
    }

    /// Everything, first to last.
    pub(crate) fn reader(&self) -> impl Read + '_ {
        SpoolReader { spool: self, at: 0 }
    }

    /// The same for a spool that is finished and shared.
    pub(crate) fn shared_reader(self: &Arc<Self>) -> impl Read + Send + 'static {
        SpoolReader { spool: Arc::clone(self), at: 0 }
    }
}

struct SpoolReader<S> {
    spool: S,
    at: u64,
}

impl<S: Deref<Target = Spool>> Read for SpoolReader<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let spool = &*self.spool;
        let read = if self.at < spool.filed {
            let left = usize::try_from(spool.filed - self.at).unwrap_or(usize::MAX);
            let most = out.len().min(left);
            match &spool.file {
                Some(file) => file.read_at(&mut out[..most], self.at)?,
                None => 0,
            }
        } else {
            let start = usize::try_from(self.at - spool.filed).unwrap_or(usize::MAX);
            let rest = spool.recent.get(start..).unwrap_or_default();
            let most = rest.len().min(out.len());
            out[..most].copy_from_slice(&rest[..most]);
            most
        };
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_across_the_border_and_after_a_rewind() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path());
        let line = vec![7_u8; 100_000];
        for _ in 0..8 {
            spool.append(|out| out.extend_from_slice(&line)).unwrap();
        }
        let mark = spool.mark();
        let before = spool.sha256();
        for _ in 0..20 {
            spool.append(|out| out.extend_from_slice(&line)).unwrap();
        }
        assert!(spool.file.is_some());
        spool.rewind(mark);
        assert_eq!((spool.len(), spool.sha256()), (800_000, before));
        spool.append(|out| out.push(1)).unwrap();
        let mut all = Vec::new();
        spool.reader().read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), 800_001);
        assert!(all[..800_000].iter().all(|&b| b == 7) && all[800_000] == 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
