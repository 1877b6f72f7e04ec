//! Both lists of a tree, read side by side.

use std::io::{self, BufRead, BufReader, Read};

use dalsegno_format::{ChecksumLine, Entry, ListDigests, Sha256 as Digest, hex, tree};
use sha2::{Digest as _, Sha256};

use super::Archive;
use super::loose::LooseLists;
use crate::{ArchiveError, Damage};

/// The longest line: two paths, each byte escaped.
const MAX_LINE: u64 = 320 * 1024;

pub(crate) type ListReader = Box<dyn Read + Send>;

/// `entries.tsv` and `checksums.sha256` in lockstep.
pub(crate) struct Lists {
    entries: BufReader<ListReader>,
    checksums: BufReader<ListReader>,
    line: Vec<u8>,
    count: u64,
}

impl Lists {
    pub(crate) fn new(entries: ListReader, checksums: ListReader) -> Self {
        Self {
            entries: BufReader::with_capacity(64 * 1024, entries),
            checksums: BufReader::with_capacity(64 * 1024, checksums),
            line: Vec::new(),
            count: 0,
        }
    }

    /// The next member, with the digest of a regular file; `None` after `restore.sh`.
    pub(crate) fn next(&mut self) -> Result<Option<(Entry, Option<Digest>)>, Damage> {
        if !read_line(&mut self.entries, &mut self.line).map_err(at(tree::ENTRIES))? {
            return Ok(None);
        }
        self.count += 1;
        let entry = Entry::parse_line(&self.line).map_err(|error| {
            Damage::new(format!("line {} of {}", self.count, tree::ENTRIES), error.to_string())
        })?;
        let digest = match entry.size() {
            Some(_) => Some(self.checksum(&entry.path)?),
            None => None,
        };
        Ok(Some((entry, digest)))
    }

    fn checksum(&mut self, path: &dalsegno_format::TreePath) -> Result<Digest, Damage> {
        let found = read_line(&mut self.checksums, &mut self.line).map_err(at(tree::CHECKSUMS))?;
        let line = if found { ChecksumLine::parse_line(&self.line).ok() } else { None };
        match line {
            Some(line) if line.path == *path => Ok(line.sha256),
            _ => {
                Err(Damage::new(tree::CHECKSUMS, format!("it has no line for {path} in its place")))
            }
        }
    }

    /// After the last member: the digest of `entries.tsv`, and nothing else.
    pub(crate) fn end(&mut self) -> Result<Digest, Damage> {
        let digest = self.checksum(&tree::path(tree::ENTRIES))?;
        if read_line(&mut self.entries, &mut self.line).map_err(at(tree::ENTRIES))? {
            return Err(Damage::new(tree::ENTRIES, "it has more lines than there are members"));
        }
        if read_line(&mut self.checksums, &mut self.line).map_err(at(tree::CHECKSUMS))? {
            return Err(Damage::new(tree::CHECKSUMS, "it has more lines than there are files"));
        }
        Ok(digest)
    }
}

fn at(name: &'static str) -> impl FnOnce(io::Error) -> Damage {
    move |error| Damage::new(name, error.to_string())
}

/// One line without its newline; `false` at the end.
pub(crate) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = reader.take(MAX_LINE).read_until(b'\n', line)?;
    if read == 0 {
        return Ok(false);
    }
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line has no end"));
    }
    Ok(true)
}

/// Reads a whole list against its digest.
pub(crate) fn check_list(
    name: &str,
    reader: &mut dyn Read,
    digests: &ListDigests,
) -> Result<(), Damage> {
    let expected = if name == tree::ENTRIES { &digests.entries } else { &digests.checksums };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hash.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Damage::new(name, error.to_string())),
        }
    }
    if hex(&hash.finalize()) == *expected {
        Ok(())
    } else {
        Err(Damage::new(name, "it has not the digest the completion record names"))
    }
}

/// Where a walk takes the names of members from.
pub(crate) enum Source {
    /// Lists checked against their digests.
    Checked(Lists),
    /// Whatever could be found out.
    Loose(LooseLists),
}

impl Source {
    /// The next member, with the digest of a regular file; `None` after the last.
    pub(crate) fn next(&mut self) -> Result<Option<(Entry, Option<Digest>)>, Damage> {
        match self {
            Self::Checked(lists) => lists.next(),
            Self::Loose(lists) => lists.next(),
        }
    }

    /// After the last member: whether that is all.
    pub(crate) fn end(&mut self) -> Result<(), Damage> {
        match self {
            Self::Checked(lists) => lists.end().map(|_| ()),
            Self::Loose(_) => Ok(()),
        }
    }

    /// What was found wrong on the way and did not end it.
    pub(crate) fn take_damage(&mut self) -> Vec<Damage> {
        match self {
            Self::Checked(_) => Vec::new(),
            Self::Loose(lists) => std::mem::take(&mut lists.damage),
        }
    }
}

/// The members of an archive as its lists name them, each with the SHA-256 of a regular file. Both
/// lists have been checked against their digests; of an archive opened without its checks they are
/// what could be found out, and a digest may be missing.
pub struct Entries<'a> {
    archive: &'a Archive,
    lists: Source,
    done: bool,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(archive: &'a Archive, lists: Source) -> Self {
        Self { archive, lists, done: false }
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<(Entry, Option<Digest>), ArchiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = match self.lists.next() {
            Ok(None) => self.lists.end().map(|()| None),
            other => other,
        };
        self.done = !matches!(next, Ok(Some(_)));
        let path = || self.archive.path().to_owned();
        next.map_err(|damage| ArchiveError::Damaged { path: path(), damage }).transpose()
    }
}
