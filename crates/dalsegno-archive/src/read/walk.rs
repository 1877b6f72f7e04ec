//! What walks over tars and folders share.

use std::io::{self, Read};
use std::path::Path;

use dalsegno_format::{Entry, EntryKind, Extent, Sha256 as Digest, Timestamp};

use super::{Member, MemberContent, ReadError, Visit};
use crate::hash::ContentHash;
use crate::tar::data_len;
use crate::write::control;
use crate::{ArchiveError, Damage};

/// Findings kept; more are only counted.
const MAX_FINDINGS: usize = 100;

/// Files up to this size are handed out in one piece, checked beforehand: most photographs are, so
/// that several threads can hash and write them.
pub(crate) const SMALL: u64 = 4 << 20;

/// What a walk does about what it finds wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mode {
    /// Lists it and goes on.
    #[default]
    Collect,
    /// Ends.
    Strict,
    /// Lists it and hands out what can be had all the same; what the rules refuse ends it.
    Tolerate,
}

/// What has been found wrong.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) mode: Mode,
    pub(crate) list: Vec<Damage>,
    pub(crate) more: u64,
}

impl Findings {
    pub(crate) fn new(mode: Mode) -> Self {
        Self { mode, ..Self::default() }
    }

    pub(crate) fn tolerates(&self) -> bool {
        self.mode == Mode::Tolerate
    }

    pub(crate) fn add(&mut self, path: &Path, damage: Damage) -> Result<(), ArchiveError> {
        if self.mode == Mode::Strict {
            return Err(ArchiveError::Damaged { path: path.to_owned(), damage });
        }
        if self.list.len() < MAX_FINDINGS {
            self.list.push(damage);
        } else {
            self.more += 1;
        }
        Ok(())
    }

    /// The same for a member the rules refuse.
    pub(crate) fn refuse(
        &mut self,
        path: &Path,
        entry: &Entry,
        reason: &'static str,
    ) -> Result<(), ArchiveError> {
        if self.mode != Mode::Collect {
            return Err(ArchiveError::member(&entry.path, reason));
        }
        self.add(path, Damage::new(format!("member {}", entry.path), reason))
    }
}

/// How a member differs from its line in `entries.tsv`.
pub(crate) fn difference(found: &Entry, listed: &Entry) -> Option<String> {
    let says = |what: &str, found: &dyn std::fmt::Display, listed: &dyn std::fmt::Display| {
        Some(format!("its {what} is {found}, entries.tsv says {listed}"))
    };
    if found.path != listed.path {
        return says("path", &found.path, &listed.path);
    }
    let same_kind = match (&found.kind, &listed.kind) {
        (
            EntryKind::File { size: a, extents: holes_a },
            EntryKind::File { size: b, extents: holes_b },
        ) => {
            if a != b {
                return says("size", a, b);
            }
            holes_a.is_some() == holes_b.is_some()
        }
        (EntryKind::Symlink { target: a }, EntryKind::Symlink { target: b }) => {
            if a != b {
                return Some("its target is not the one in entries.tsv".to_owned());
            }
            true
        }
        (a, b) => a == b,
    };
    if !same_kind {
        return Some("it is of another type, or links elsewhere, than entries.tsv says".to_owned());
    }
    if found.mode != listed.mode {
        return says("mode", &format!("{:04o}", found.mode), &format!("{:04o}", listed.mode));
    }
    if (found.uid, found.gid) != (listed.uid, listed.gid) {
        let pair = |entry: &Entry| format!("{}:{}", entry.uid, entry.gid);
        return says("owner", &pair(found), &pair(listed));
    }
    if (&found.user, &found.group) != (&listed.user, &listed.group) {
        return Some("the name of its owner or group is not the one in entries.tsv".to_owned());
    }
    (found.mtime != listed.mtime)
        .then(|| format!("its time is {}, entries.tsv says {}", found.mtime, listed.mtime))
}

/// What the entry of one of the writer's own members must be, given its size, and its time when
/// nothing else tells that.
pub(crate) fn expected_control(name: &str, found: &Entry, mtime: Option<Timestamp>) -> Entry {
    let size = found.size().unwrap_or(0);
    let mtime = mtime.unwrap_or(found.mtime);
    control(name, EntryKind::File { size, extents: None }, 0o600, mtime)
}

/// Where content comes from while a walk reads it.
pub(crate) trait Input {
    /// Some of the next bytes, at most `out.len()`, at least one.
    fn some(&mut self, out: &mut [u8]) -> io::Result<usize>;
    /// Whether a hole being hashed is to be given up.
    fn cancelled(&self) -> bool;
}

/// What is wrong with a content.
#[derive(Debug, Clone)]
pub(crate) struct Wrong {
    pub(crate) what: String,
    /// Whether some of it could not be had: then nobody was given it as a whole.
    pub(crate) lost: bool,
}

/// How a file's content is checked.
pub(crate) struct ContentCheck<'a> {
    /// Its SHA-256, when that is known and counts.
    pub(crate) expected: Option<&'a Digest>,
    /// Asked while holes are hashed.
    pub(crate) canceller: &'a dyn Fn() -> bool,
    /// Whether another SHA-256 is only noted.
    pub(crate) tolerant: bool,
}

/// Hands the content of one file to the visitor and checks it. The result is what is wrong with it.
pub(crate) fn visit_file(
    entry: &Entry,
    input: &mut dyn Input,
    check: &ContentCheck<'_>,
    visit: Option<&mut Visit<'_>>,
) -> Result<Result<(), Wrong>, ReadError> {
    let length = data_len(&entry.kind);
    let (size, extents) = parts(&entry.kind);
    let expected = check.expected;
    let hash = expected.map(|_| ContentHash::new(size, extents).cancellable(check.canceller));
    let tolerant = check.tolerant;
    let mut content = Checked { input, left: length, hash, expected, tolerant, wrong: None };
    let Some(visit) = visit else {
        return Ok(content.drain());
    };
    let small = length <= SMALL;
    let mut bytes = Vec::new();
    if small {
        bytes.reserve_exact(usize::try_from(length).unwrap_or(0));
        let read = content.read_to_end(&mut bytes);
        let wrong = content.drain();
        if read.is_err() {
            let lost = |what| Wrong { what, lost: true };
            return Ok(wrong.and(Err(lost("it cannot be read".to_owned()))));
        }
    }
    let handed =
        if small { MemberContent::Bytes(bytes) } else { MemberContent::Stream(&mut content) };
    let visited = visit(Member { entry: entry.clone(), content: handed });
    // A visitor that met damage says so in its own words; any other failure is its own, and what
    // it left unread proves nothing about it.
    if content.wrong.is_none() || tolerant {
        visited.map_err(|source| ReadError::Visit { path: entry.path.clone(), source })?;
    }
    Ok(content.drain())
}

fn parts(kind: &EntryKind) -> (u64, Option<&[Extent]>) {
    match kind {
        EntryKind::File { size, extents } => (*size, extents.as_deref()),
        _ => (0, None),
    }
}

/// Content that is checked as it is read.
struct Checked<'a> {
    input: &'a mut dyn Input,
    left: u64,
    /// `None` once the end has been checked, or when nothing is to be.
    hash: Option<ContentHash<'a>>,
    expected: Option<&'a Digest>,
    /// Whether a wrong digest is no error of the stream.
    tolerant: bool,
    wrong: Option<Wrong>,
}

impl Checked<'_> {
    /// Reads what is left and tells what is wrong with all of it.
    fn drain(&mut self) -> Result<(), Wrong> {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(1..) = self.read(&mut buffer) {}
        self.wrong.clone().map_or(Ok(()), Err)
    }

    fn fail(&mut self, what: String, lost: bool) -> io::Error {
        self.wrong = Some(Wrong { what: what.clone(), lost });
        io::Error::new(io::ErrorKind::InvalidData, what)
    }
}

impl Read for Checked<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if let Some(wrong) = &self.wrong
            && (wrong.lost || !self.tolerant)
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, wrong.what.clone()));
        }
        if out.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            let (Some(hash), Some(expected)) = (self.hash.take(), self.expected) else {
                return Ok(0);
            };
            if hash.finish() != *expected && !self.input.cancelled() {
                let what = "it has not the SHA-256 in checksums.sha256".to_owned();
                let error = self.fail(what, false);
                return if self.tolerant { Ok(0) } else { Err(error) };
            }
            return Ok(0);
        }
        let most = out.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = loop {
            match self.input.some(&mut out[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        match read {
            Ok(0) => Err(self.fail("it ends early".to_owned(), true)),
            Ok(read) => {
                self.left -= read as u64;
                if let Some(hash) = &mut self.hash {
                    hash.update(&out[..read]);
                }
                Ok(read)
            }
            Err(error) => Err(self.fail(error.to_string(), true)),
        }
    }
}
