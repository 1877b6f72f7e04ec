//! Lists that need not be right.

use std::io::{BufReader, Read};
use std::sync::Arc;

use dalsegno_format::{ChecksumLine, Entry, Sha256 as Digest, TreePath, tree};

use super::entries::{ListReader, read_line};
use crate::spool::Spool;
use crate::{ArchiveError, Damage};

/// What has been found out about the members of a backup whose own lists cannot be relied on.
pub(crate) struct Survey {
    /// A line of `entries.tsv` for each member, up to `restore.sh`.
    lines: Arc<Spool>,
    /// How many.
    pub(crate) members: u64,
    /// What lies in the place of `checksums.sha256`.
    checksums: Option<Arc<Spool>>,
    /// The first member that may lie in the frame in which the backup broke off: its bytes came out
    /// before the sum of that frame was looked at.
    pub(crate) doubtful_from: u64,
    /// What is wrong with the backup.
    pub(crate) damage: Vec<Damage>,
}

impl std::fmt::Debug for Survey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Survey")
            .field("members", &self.members)
            .field("damage", &self.damage)
            .finish_non_exhaustive()
    }
}

impl Survey {
    /// Both lists.
    pub(crate) fn lists(&self) -> LooseLists {
        let checksums: Option<ListReader> = match &self.checksums {
            Some(spool) => Some(Box::new(spool.shared_reader())),
            None => None,
        };
        LooseLists::new(Box::new(self.lines.shared_reader()), checksums)
    }
}

/// Makes a survey.
pub(crate) struct Surveyor {
    lines: Spool,
    members: u64,
    checksums: Option<Spool>,
    doubtful_from: Option<u64>,
    pub(crate) damage: Vec<Damage>,
}

impl Surveyor {
    pub(crate) fn new() -> Self {
        let lines = Spool::new(&std::env::temp_dir());
        Self { lines, members: 0, checksums: None, doubtful_from: None, damage: Vec::new() }
    }

    /// Begins anew with the members, since what was found so far does not fit.
    pub(crate) fn start_over(&mut self) {
        self.lines = Spool::new(&std::env::temp_dir());
        self.members = 0;
    }

    pub(crate) fn member(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        self.members += 1;
        self.lines.append(|out| entry.push_line(out))
    }

    /// Notes that members from this one on may be wrong without anything having said so.
    pub(crate) fn doubt(&mut self, first: u64) {
        self.doubtful_from = Some(first);
    }

    /// Takes what lies in the place of `checksums.sha256`. One that is far longer than the members
    /// allow for is not read.
    pub(crate) fn checksums(
        &mut self,
        length: u64,
        mut chunk: impl FnMut(&mut [u8]) -> std::io::Result<usize>,
    ) -> Result<std::io::Result<()>, ArchiveError> {
        let mut left = length;
        if left > self.lines.len().saturating_mul(4) + 65_536 {
            self.damage.push(Damage::new(tree::CHECKSUMS, "it is too long and is not used"));
            return Ok(Ok(()));
        }
        let mut spool = Spool::new(&std::env::temp_dir());
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match chunk(&mut buffer[..most]) {
                Ok(0) => return Ok(Err(std::io::ErrorKind::UnexpectedEof.into())),
                Ok(read) => {
                    spool.append(|out| out.extend_from_slice(&buffer[..read]))?;
                    left -= read as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error)),
            }
        }
        self.checksums = Some(spool);
        Ok(Ok(()))
    }

    pub(crate) fn finish(self) -> Survey {
        Survey {
            lines: Arc::new(self.lines),
            members: self.members,
            doubtful_from: self.doubtful_from.unwrap_or(self.members),
            checksums: self.checksums.map(Arc::new),
            damage: self.damage,
        }
    }
}

/// Members one by one, with the SHA-256 of a file where one can be made out.
pub(crate) struct LooseLists {
    entries: BufReader<ListReader>,
    checksums: Option<BufReader<ListReader>>,
    line: Vec<u8>,
    /// What is wrong with the checksums, until somebody takes it.
    pub(crate) damage: Vec<Damage>,
}

impl LooseLists {
    pub(crate) fn new(entries: ListReader, checksums: Option<ListReader>) -> Self {
        Self {
            entries: BufReader::with_capacity(64 * 1024, entries),
            checksums: checksums.map(|reader| BufReader::with_capacity(64 * 1024, reader)),
            line: Vec::new(),
            damage: Vec::new(),
        }
    }

    /// The next member; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(Entry, Option<Digest>)>, Damage> {
        let wrong = |what: String| Damage::new(tree::ENTRIES, what);
        let found = read_line(&mut self.entries, &mut self.line);
        if !found.map_err(|error| wrong(error.to_string()))? {
            return Ok(None);
        }
        let entry = Entry::parse_line(&self.line).map_err(|error| wrong(error.to_string()))?;
        let digest = match entry.size() {
            Some(_) => self.checksum(&entry.path),
            None => None,
        };
        Ok(Some((entry, digest)))
    }

    /// One line that cannot be read costs one digest; one for another file costs the rest.
    fn checksum(&mut self, path: &TreePath) -> Option<Digest> {
        let reader = self.checksums.as_mut()?;
        let what = match read_line(reader, &mut self.line) {
            Ok(true) => match ChecksumLine::parse_line(&self.line) {
                Ok(line) if line.path == *path => return Some(line.sha256),
                Ok(_) => format!("it has no line for {path} in its place"),
                Err(_) => {
                    let what = format!("its line for {path} cannot be read");
                    self.damage.push(Damage::new(tree::CHECKSUMS, what));
                    return None;
                }
            },
            Ok(false) => format!("it ends before {path}"),
            Err(error) => error.to_string(),
        };
        self.damage.push(Damage::new(tree::CHECKSUMS, what));
        self.checksums = None;
        None
    }
}

/// Reads a list of unknown worth.
pub(crate) fn loose(entries: impl Read + Send + 'static) -> LooseLists {
    LooseLists::new(Box::new(entries), None)
}
