//! A tar form whose end cannot be used, read from its beginning as far as it goes.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use dalsegno_format::{Completion, Entry, EntryKind, Form, ManifestError, Metadata, tree};

use super::loose::{Survey, Surveyor};
use super::sequential::Sequential;
use super::tar_file::open_file;
use super::telling::Telling;
use super::walk::{ContentCheck, Findings, Input, visit_file};
use super::{Member, MemberContent, Progress, ReadError, ReadReport, Visit, Watch};
use crate::codec::MAX_FRAME;
use crate::order::Order;
use crate::tar::{HeadError, Parsed, Source as _, data_len, padding, read_head, read_top};
use crate::{ArchiveError, Damage};

/// The longest JSON member taken into memory.
const MAX_JSON: u64 = 16 << 20;

/// What follows the members that the lists name, in order.
const CLOSING: [&str; 5] =
    [tree::RESTORE_SH, tree::ENTRIES, tree::CHECKSUMS, tree::COMPLETE, tree::INDEX];

/// What comes next in a tar.
pub(crate) enum Step {
    /// A member up to `restore.sh`.
    Listed(Entry),
    /// A list, the completion record or the index.
    Closing(&'static str, Entry),
    /// The tar ends.
    End,
    /// The tar cannot be followed any further.
    Broken(Damage, Break),
}

/// How a tar stops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Break {
    /// What is there may be right; the rest is missing.
    CutShort,
    /// Something in it has changed, perhaps before the place where it showed.
    Changed,
}

impl Break {
    fn of(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::CutShort } else { Self::Changed }
    }
}

/// Where the members end that the frame being read may hold.
#[derive(Default)]
struct Recent {
    /// Numbers from 0, with the offset in the tar where they end; ascending.
    ends: VecDeque<(u64, u64)>,
}

impl Recent {
    fn push(&mut self, number: u64, end: u64) {
        self.ends.push_back((number, end));
        while self.ends.front().is_some_and(|&(_, first)| first + MAX_FRAME as u64 <= end) {
            self.ends.pop_front();
        }
    }

    fn first(&self) -> Option<u64> {
        self.ends.front().map(|&(number, _)| number)
    }
}

/// The members of a tar, header by header. Whoever takes one takes its data and padding from the
/// stream before asking for the next.
pub(crate) struct Members {
    pub(crate) stream: Sequential,
    top: String,
    order: Order,
    /// Place in `CLOSING` that may come next.
    closing: usize,
    number: u64,
}

impl Members {
    /// Opens the file and reads the header of its top folder.
    pub(crate) fn open(path: &Path, form: Form) -> Result<Self, ArchiveError> {
        let (file, _) = open_file(path)?;
        let mut stream = Sequential::new(file, form).map_err(ArchiveError::io("read", path))?;
        let (top, _) = read_top(&mut stream).map_err(|error| {
            ArchiveError::damaged(path, "header of the top folder", error.to_string())
        })?;
        let order = Order::default();
        Ok(Self { stream, top, order, closing: 0, number: 0 })
    }

    /// The next member. The rules of a tree hold here as anywhere; breaking one is an error.
    pub(crate) fn next(&mut self) -> Result<Step, ArchiveError> {
        self.number += 1;
        let entry = match read_head(&mut self.stream, &self.top) {
            Ok(Parsed::Member(entry)) => entry,
            Err(HeadError::End) => return Ok(Step::End),
            found => {
                let how = match &found {
                    Err(HeadError::Stream(error)) => Break::of(error),
                    _ => Break::Changed,
                };
                let what = match found {
                    Err(error) => error.to_string(),
                    Ok(_) => "the top folder comes again".to_owned(),
                };
                let subject = format!("header of member {}", self.number);
                return Ok(Step::Broken(Damage::new(subject, what), how));
            }
        };
        let name = entry.path.as_bytes();
        if let Some(place) = CLOSING.iter().position(|closing| closing.as_bytes() == name) {
            if place < self.closing {
                return Err(ArchiveError::member(&entry.path, "it comes twice or out of order"));
            }
            if !matches!(entry.kind, EntryKind::File { extents: None, .. }) {
                return Err(ArchiveError::member(&entry.path, "it is not a plain file"));
            }
            self.closing = place + 1;
            let listed = place == 0;
            return Ok(if listed {
                Step::Listed(entry)
            } else {
                Step::Closing(CLOSING[place], entry)
            });
        }
        let allowed = match self.closing {
            0 => self.order.check(&entry),
            _ => Err("it comes after the last member"),
        };
        match allowed {
            Ok(()) => Ok(Step::Listed(entry)),
            Err(reason) => Err(ArchiveError::member(&entry.path, reason)),
        }
    }

    /// All data of a short member.
    fn bytes(&mut self, entry: &Entry) -> io::Result<Option<Vec<u8>>> {
        let length = data_len(&entry.kind);
        if length > MAX_JSON {
            self.stream.skip(length)?;
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        self.stream.fill(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Padding after a member's data.
    fn padding(&mut self, entry: &Entry) -> io::Result<()> {
        self.stream.skip(padding(data_len(&entry.kind)) as u64)
    }
}

/// What one pass over the headers has found.
pub(crate) struct Salvaged {
    pub(crate) survey: Survey,
    pub(crate) metadata: Option<Result<Metadata, ManifestError>>,
    pub(crate) completion: Option<Result<Completion, ManifestError>>,
    pub(crate) stored_bytes: u64,
}

/// Goes through the whole stream once. Members whose data are cut short are not in the survey.
pub(crate) fn survey(path: &Path, form: Form) -> Result<Salvaged, ArchiveError> {
    let mut members = Members::open(path, form)?;
    let mut surveyor = Surveyor::new();
    let (mut metadata, mut completion) = (None, None);
    let mut recent = Recent::default();
    let mut number = 0;
    let mut broken = Break::CutShort;
    loop {
        let (name, entry) = match members.next()? {
            Step::Listed(entry) => (None, entry),
            Step::Closing(tree::INDEX, _) | Step::End => break,
            Step::Closing(name, entry) => (Some(name), entry),
            Step::Broken(damage, how) => {
                surveyor.damage.push(damage);
                broken = how;
                break;
            }
        };
        let length = data_len(&entry.kind);
        let passed = match name {
            None if entry.path.as_bytes() == tree::METADATA.as_bytes() => {
                members.bytes(&entry).map(|bytes| {
                    metadata = bytes.map(|bytes| Metadata::from_json(&bytes));
                })
            }
            Some(tree::COMPLETE) => members.bytes(&entry).map(|bytes| {
                completion = bytes.map(|bytes| Completion::from_json(&bytes));
            }),
            Some(tree::CHECKSUMS) => {
                let before = surveyor.damage.len();
                let read = surveyor.checksums(length, |out| members.stream.some(out))?;
                // Too long to be taken: passed over.
                let skipped = surveyor.damage.len() > before;
                read.and_then(|()| if skipped { members.stream.skip(length) } else { Ok(()) })
            }
            _ => members.stream.skip(length),
        };
        if let Err(error) = passed {
            let what = format!("it is cut short and left out: {error}");
            surveyor.damage.push(Damage::new(format!("contents of {}", entry.path), what));
            broken = Break::of(&error);
            break;
        }
        if name.is_none() {
            surveyor.member(&entry)?;
            recent.push(number, members.stream.offset);
            number += 1;
        }
        if let Err(error) = members.padding(&entry) {
            surveyor.damage.push(Damage::new("end of the backup", error.to_string()));
            broken = Break::of(&error);
            break;
        }
    }
    if let (Break::Changed, Some(first)) = (broken, recent.first()) {
        surveyor.doubt(first);
    }
    let stored_bytes = members.stream.stored_total();
    Ok(Salvaged { survey: surveyor.finish(), metadata, completion, stored_bytes })
}

/// The stream as a walk takes content from it.
struct Watched<'a, 'w> {
    stream: &'a mut Sequential,
    telling: Telling<'a, 'w>,
}

impl Input for Watched<'_, '_> {
    fn some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.some(out)?;
        self.telling.came(read, |_| self.stream.stored())?;
        Ok(read)
    }
    fn cancelled(&self) -> bool {
        self.telling.cancelled()
    }
}

/// Hands out the members a survey has found.
pub(crate) fn walk(
    path: &Path,
    form: Form,
    survey: &Survey,
    watch: &mut Watch<'_>,
    mut visit: Option<&mut Visit<'_>>,
    findings: &mut Findings,
) -> Result<ReadReport, ReadError> {
    let mut members = Members::open(path, form)?;
    let mut lists = survey.lists();
    let mut report = ReadReport::default();
    let mut progress =
        Progress { stored_total: members.stream.stored_total(), ..Progress::default() };
    let changed = || ArchiveError::damaged(path, "the backup", "it has changed while it was read");
    while report.members < survey.members {
        let Step::Listed(entry) = members.next()? else { return Err(changed().into()) };
        let (listed, digest) = lists.next().ok().flatten().ok_or_else(changed)?;
        if listed.path != entry.path || listed.size() != entry.size() {
            return Err(changed().into());
        }
        for damage in lists.damage.drain(..) {
            findings.add(path, damage)?;
        }
        let doubtful = digest.is_none() && report.members >= survey.doubtful_from;
        report.members += 1;
        if let Some(size) = entry.size() {
            report.files += 1;
            report.bytes = report.bytes.saturating_add(size);
            let canceller = watch.cancelled;
            let stream = &mut members.stream;
            let mut input = Watched { stream, telling: Telling::new(watch, &mut progress) };
            let check = ContentCheck { expected: digest.as_ref(), canceller, tolerant: true };
            let wrong = visit_file(&entry, &mut input, &check, visit.as_deref_mut())?;
            if input.telling.has_stopped() {
                return Err(ArchiveError::Cancelled.into());
            }
            if let Err(wrong) = wrong {
                if wrong.lost {
                    return Err(changed().into());
                }
                findings
                    .add(path, Damage::new(format!("contents of {}", entry.path), wrong.what))?;
            } else if doubtful {
                let what = "it lies near the damage, and no checksum is left to prove it";
                findings.add(path, Damage::new(format!("contents of {}", entry.path), what))?;
            }
        } else if let Some(visit) = visit.as_deref_mut() {
            let path = entry.path.clone();
            visit(Member { entry: entry.clone(), content: MemberContent::None })
                .map_err(|source| ReadError::Visit { path, source })?;
        }
        for damage in members.stream.take_damage() {
            findings.add(path, damage)?;
        }
        progress.members = report.members;
        progress.stored = members.stream.stored();
        (watch.progress)(progress);
        if (watch.cancelled)() {
            return Err(ArchiveError::Cancelled.into());
        }
        // Of the last member the padding may be what is missing.
        if members.padding(&entry).is_err() {
            break;
        }
    }
    for damage in &survey.damage {
        findings.add(path, damage.clone())?;
    }
    Ok(report)
}

/// The stream right before the data of a member, and the member.
pub(crate) fn open_member(
    path: &Path,
    form: Form,
    number: u64,
) -> Result<(Sequential, Entry), ArchiveError> {
    let mut members = Members::open(path, form)?;
    let changed = || ArchiveError::damaged(path, "the backup", "it has changed while it was read");
    for before in 0..=number {
        let Step::Listed(entry) = members.next()? else { return Err(changed()) };
        if before == number {
            return Ok((members.stream, entry));
        }
        let passed = members.stream.skip(data_len(&entry.kind));
        passed.and_then(|()| members.padding(&entry)).map_err(|_| changed())?;
    }
    Err(changed())
}
