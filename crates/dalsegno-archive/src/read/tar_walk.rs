//! One pass over a tar form, with every check.

use std::io;
use std::sync::Arc;

use dalsegno_format::{
    Completion, Entry, EntryKind, Manifest, Sha256 as Digest, Timestamp, sha256_from_hex, tree,
};

use super::ahead::Stream;
use super::archive::tar_lists;
use super::entries::Lists;
use super::gap::Gap;
use super::tar_file::{Offsets, TarFile};
use super::walk::{
    ContentCheck, Findings, Input, Mode, difference, expected_control, visit_file,
};
use super::{Member, MemberContent, ReadError, ReadReport, Visit, Watch};
use crate::order::Order;
use crate::tar::{BLOCK, HeadError, Parsed, data_len, padding, read_head};
use crate::{ArchiveError, Damage};

/// Members that `entries.tsv` does not list: both lists and the completion record.
const UNLISTED: u64 = 3;

pub(crate) struct TarWalk<'a, 'w> {
    pub(crate) tar: &'a Arc<TarFile>,
    pub(crate) manifest: &'a Manifest,
    pub(crate) findings: &'a mut Findings,
    pub(crate) visit: Option<&'a mut Visit<'w>>,
}

/// The parts of a walk that move.
struct Moving<'a, 'w> {
    stream: Stream<'a, 'w>,
    lists: Option<Lists>,
    offsets: Offsets,
    order: Order,
    mtime: Timestamp,
    report: ReadReport,
    bytes: u64,
    gap: Gap,
}

/// What to do after a member.
enum Next {
    GoOn,
    /// The tar cannot be followed any further.
    Stop,
}

impl Input for Stream<'_, '_> {
    fn some(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let some = self.content(out.len() as u64)?;
        out[..some.len()].copy_from_slice(some);
        Ok(some.len())
    }
    fn cancelled(&self) -> bool {
        self.cancelled || (self.canceller())()
    }
}

impl TarWalk<'_, '_> {
    pub(crate) fn run(
        mut self,
        workers: usize,
        watch: &mut Watch<'_>,
    ) -> Result<ReadReport, ReadError> {
        let members = self.manifest.completion.members;
        if members < UNLISTED + 2 || members.checked_add(1) != Some(self.tar.trailer.members) {
            self.find(Damage::new("index", "it has not as many members as the manifest"))?;
            return Ok(ReadReport::default());
        }
        let lists = match tar_lists(self.tar, self.manifest) {
            Ok(lists) => Some(lists),
            Err(ArchiveError::Damaged { damage, .. }) => {
                self.find(damage)?;
                None
            }
            Err(other) => return Err(other.into()),
        };
        let damaged = |damage| ArchiveError::Damaged { path: self.tar.path.clone(), damage };
        let offsets = self.tar.members_from(0).map_err(damaged)?;
        let mut moving = Moving {
            stream: Stream::new(self.tar, workers, watch, self.findings.mode)?,
            lists,
            offsets,
            order: Order::default(),
            mtime: Timestamp::default(),
            report: ReadReport::default(),
            bytes: 0,
            gap: Gap::default(),
        };
        let walked = self.members(&mut moving, members);
        if moving.stream.cancelled {
            return Err(ArchiveError::Cancelled.into());
        }
        for damage in std::mem::take(&mut moving.stream.damage) {
            self.find(damage)?;
        }
        walked?;
        Ok(moving.report)
    }

    fn find(&mut self, damage: Damage) -> Result<(), ArchiveError> {
        self.findings.add(&self.tar.path, damage)
    }

    fn members(&mut self, moving: &mut Moving<'_, '_>, members: u64) -> Result<(), ReadError> {
        let top = self.manifest.metadata.folder.clone();
        match read_head(&mut moving.stream, &top) {
            Ok(Parsed::Top(mtime)) => moving.mtime = mtime,
            Ok(Parsed::Member(_)) => {
                self.find(Damage::new("header of the top folder", "it is missing"))?;
            }
            Err(error) => {
                self.find(Damage::new("header of the top folder", error.to_string()))?;
            }
        }
        let mut at = self.offset(moving)?;
        for number in 0..members {
            let next = self.offset(moving)?;
            let result = if number < members - UNLISTED {
                self.listed(moving, &top, (at, next))?
            } else {
                let name = [tree::ENTRIES, tree::CHECKSUMS, tree::COMPLETE]
                    [usize::try_from(number + UNLISTED - members).unwrap_or(0)];
                self.unlisted(moving, &top, name, (at, next))?
            };
            if matches!(result, Next::Stop) {
                let rest = members - number - 1;
                if rest > 0 {
                    moving.gap.note(&format!("member {}", number + 1), rest + 1);
                }
                return self.close_gap(moving);
            }
            self.settle(moving)?;
            at = next;
        }
        self.close_gap(moving)?;
        self.index(moving, &top, at)?;
        let completion = &self.manifest.completion;
        // Without a header nobody knows how many bytes a member that no list names has.
        if moving.bytes != completion.bytes && !moving.gap.any() {
            let what =
                format!("it announces {} bytes, its files have {}", completion.bytes, moving.bytes);
            self.find(Damage::new(tree::COMPLETE, what))?;
        }
        Ok(())
    }

    /// Offset of the next head, which for a sound table exists.
    fn offset(&mut self, moving: &mut Moving<'_, '_>) -> Result<u64, ReadError> {
        match moving.offsets.next() {
            Ok(Some(offset)) => Ok(offset),
            Ok(None) => Ok(u64::MAX),
            Err(damage) => {
                Err(ArchiveError::Damaged { path: self.tar.path.clone(), damage }.into())
            }
        }
    }

    /// Reports damaged frames met since the last member.
    fn settle(&mut self, moving: &mut Moving<'_, '_>) -> Result<(), ReadError> {
        for damage in std::mem::take(&mut moving.stream.damage) {
            self.find(damage)?;
        }
        moving.stream.progress.members = moving.report.members;
        moving.stream.progress.bytes = moving.report.bytes;
        moving.stream.tell().map_err(|_| ArchiveError::Cancelled)?;
        Ok(())
    }

    /// Tells how many members a break that is over has cost.
    fn close_gap(&mut self, moving: &mut Moving<'_, '_>) -> Result<(), ReadError> {
        match moving.gap.close() {
            Some(damage) => Ok(self.find(damage)?),
            None => Ok(()),
        }
    }

    /// Reports a header that cannot be read, unless it follows another for the same reason. Where
    /// members are handed out each one that is lost is named.
    fn unreadable(
        &mut self,
        moving: &mut Moving<'_, '_>,
        shown: &str,
        what: String,
    ) -> Result<(), ReadError> {
        let first = moving.gap.note(shown, 1);
        if first || self.findings.tolerates() {
            self.find(Damage::new(format!("header of {shown}"), what))?;
        }
        if self.findings.tolerates() {
            moving.gap.close();
        }
        Ok(())
    }

    /// The head at `at`, or what is wrong with it already reported and the stream moved on.
    fn head(
        &mut self,
        moving: &mut Moving<'_, '_>,
        top: &str,
        shown: &str,
        (at, next): (u64, u64),
    ) -> Result<Result<Entry, Next>, ReadError> {
        let subject = format!("header of {shown}");
        if moving.stream.offset != at {
            let what = format!("it is at byte {}, not {at}, of the tar", moving.stream.offset);
            self.find(Damage::new(&subject, what))?;
            if moving.stream.offset > at || moving.stream.skip_to(at).is_err() {
                return Ok(Err(Next::Stop));
            }
        }
        let what = match read_head(&mut moving.stream, top) {
            Ok(Parsed::Member(entry)) => {
                if at >= moving.stream.bad_until {
                    self.close_gap(moving)?;
                }
                return Ok(Ok(entry));
            }
            Ok(Parsed::Top(_)) => "the top folder comes again".to_owned(),
            Err(HeadError::Stream(error)) => {
                if moving.stream.cancelled {
                    return Err(ArchiveError::Cancelled.into());
                }
                self.settle(moving)?;
                self.unreadable(moving, shown, error.to_string())?;
                return Ok(Err(Next::Stop));
            }
            Err(error) => error.to_string(),
        };
        let lost = at < moving.stream.lost_until;
        self.settle(moving)?;
        let what = if lost { "it lies in a damaged frame".to_owned() } else { what };
        self.unreadable(moving, shown, what)?;
        Ok(Err(Self::skip(moving, next)))
    }

    fn listed(
        &mut self,
        moving: &mut Moving<'_, '_>,
        top: &str,
        place: (u64, u64),
    ) -> Result<Next, ReadError> {
        let listed = match moving.lists.as_mut().map(Lists::next) {
            Some(Ok(listed)) => listed,
            Some(Err(damage)) => {
                moving.lists = None;
                self.find(damage)?;
                None
            }
            None => None,
        };
        if listed.is_none() && moving.lists.take().is_some() {
            self.find(Damage::new(tree::ENTRIES, "it has fewer lines than there are members"))?;
        }
        let shown = match &listed {
            Some((entry, _)) => entry.path.to_string(),
            None => format!("member {}", moving.report.members + 1),
        };
        let entry = match self.head(moving, top, &shown, place)? {
            Ok(entry) => entry,
            Err(next) => {
                moving.report.members += 1;
                if let Some((listed, _)) = listed {
                    self.without_header(moving, listed)?;
                }
                return Ok(next);
            }
        };
        let mut judged = &entry;
        if let Some((listed, _)) = &listed
            && let Some(what) = difference(&entry, listed)
        {
            self.find(Damage::new(format!("header of {shown}"), what))?;
            if self.findings.mode == Mode::Collect {
                judged = listed;
            }
        }
        let ours = entry.path.as_bytes() == tree::RESTORE_SH.as_bytes();
        let allowed = if ours {
            let expected =
                Entry { mode: 0o700, ..expected_control(tree::RESTORE_SH, &entry, moving.mtime) };
            let right = entry == expected;
            right.then_some(()).ok_or("its header is not the one a writer gives it")
        } else {
            moving.order.check(judged)
        };
        if let Err(reason) = allowed {
            if moving.gap.any() && self.findings.tolerates() {
                // What it needs may be what was lost.
                moving.report.members += 1;
                self.find(Damage::new(format!("member {}", entry.path), reason))?;
                return Ok(Self::skip(moving, place.1));
            }
            if moving.lists.is_some() || !moving.gap.any() {
                let path = self.tar.path.clone();
                self.findings.refuse(&path, &entry, reason)?;
            }
        }
        if moving.report.members == 0 && entry.mtime != moving.mtime {
            self.find(Damage::new("header of the top folder", "its time has changed"))?;
        }
        let digest = listed.and_then(|(_, digest)| digest);
        self.content(moving, &entry, digest.as_ref(), place.1)
    }

    /// A member whose header is lost, as the lists name it. What lies in it must still find its
    /// folder; only a content is lost with its header.
    fn without_header(
        &mut self,
        moving: &mut Moving<'_, '_>,
        listed: Entry,
    ) -> Result<(), ReadError> {
        moving.bytes = moving.bytes.saturating_add(listed.size().unwrap_or(0));
        if moving.order.check(&listed).is_err() || !self.findings.tolerates() {
            return Ok(());
        }
        if listed.size().is_some() {
            moving.order.forget(&listed.path);
        } else if let Some(visit) = self.visit.as_deref_mut() {
            let path = listed.path.clone();
            visit(Member { entry: listed, content: MemberContent::None })
                .map_err(|source| ReadError::Visit { path, source })?;
        }
        Ok(())
    }

    /// Moves on to the next header.
    fn skip(moving: &mut Moving<'_, '_>, next: u64) -> Next {
        let gone_on = moving.stream.offset <= next && moving.stream.skip_to(next).is_ok();
        if gone_on { Next::GoOn } else { Next::Stop }
    }

    fn unlisted(
        &mut self,
        moving: &mut Moving<'_, '_>,
        top: &str,
        name: &str,
        place: (u64, u64),
    ) -> Result<Next, ReadError> {
        let entry = match self.head(moving, top, name, place)? {
            Ok(entry) => entry,
            Err(next) => return Ok(next),
        };
        if let Some(what) = difference(&entry, &expected_control(name, &entry, moving.mtime)) {
            let what = what.replace("entries.tsv says", "it should be");
            self.find(Damage::new(format!("header of {name}"), what))?;
        }
        let digests = &self.manifest.completion.digests;
        let digest = match name {
            tree::ENTRIES => {
                let listed = moving.lists.as_mut().map(Lists::end);
                if let Some(Err(damage)) = listed {
                    self.find(damage)?;
                } else if let Some(Ok(listed)) = listed
                    && sha256_from_hex(digests.entries.as_bytes()) != Some(listed)
                {
                    let what = "its line for entries.tsv is not what the completion record says";
                    self.find(Damage::new(tree::CHECKSUMS, what))?;
                }
                sha256_from_hex(digests.entries.as_bytes())
            }
            tree::CHECKSUMS => sha256_from_hex(digests.checksums.as_bytes()),
            _ => return self.completion(moving, &entry, place.1),
        };
        let visit = self.visit.take();
        let next = self.content(moving, &entry, digest.as_ref(), place.1);
        self.visit = visit;
        next
    }

    /// Whatever the member says must be what the index says.
    fn completion(
        &mut self,
        moving: &mut Moving<'_, '_>,
        entry: &Entry,
        next: u64,
    ) -> Result<Next, ReadError> {
        let expected = self.manifest.completion.to_json();
        let mut found = Vec::new();
        let length = data_len(&entry.kind);
        if length <= 16 << 20 {
            found.resize(usize::try_from(length).unwrap_or(0), 0);
            let filled = crate::tar::Source::fill(&mut moving.stream, &mut found);
            if let Err(error) = filled {
                let damage = self.broken(&moving.stream, entry, &error)?;
                self.find(damage)?;
                return Ok(Next::Stop);
            }
        }
        let same = found == expected
            || Completion::from_json(&found).is_ok_and(|it| it == self.manifest.completion);
        if !same {
            let what = "it is not the completion record in the index";
            self.find(Damage::new(format!("contents of {}", entry.path), what))?;
        }
        moving.report.members += 1;
        self.padding(moving, entry, next)
    }

    fn broken(
        &self,
        stream: &Stream<'_, '_>,
        entry: &Entry,
        error: &io::Error,
    ) -> Result<Damage, ArchiveError> {
        if stream.cancelled {
            return Err(ArchiveError::Cancelled);
        }
        Ok(Damage::new(format!("contents of {}", entry.path), error.to_string()))
    }

    fn content(
        &mut self,
        moving: &mut Moving<'_, '_>,
        entry: &Entry,
        digest: Option<&Digest>,
        next: u64,
    ) -> Result<Next, ReadError> {
        moving.report.members += 1;
        if let EntryKind::File { size, .. } = entry.kind {
            let canceller = moving.stream.canceller();
            let tolerant = self.findings.tolerates();
            let check = ContentCheck { expected: digest, canceller, tolerant };
            let visit = self.visit.as_deref_mut();
            let wrong = visit_file(entry, &mut moving.stream, &check, visit)?;
            if moving.stream.cancelled {
                return Err(ArchiveError::Cancelled.into());
            }
            moving.report.files += 1;
            moving.report.bytes += size;
            moving.bytes = moving.bytes.saturating_add(size);
            if let Err(wrong) = wrong {
                self.settle(moving)?;
                self.find(Damage::new(format!("contents of {}", entry.path), wrong.what))?;
                if wrong.lost && tolerant {
                    moving.order.forget(&entry.path);
                    return Ok(Self::skip(moving, next));
                }
            }
        } else if let Some(visit) = self.visit.as_deref_mut() {
            let member = Member { entry: entry.clone(), content: MemberContent::None };
            visit(member)
                .map_err(|source| ReadError::Visit { path: entry.path.clone(), source })?;
        }
        self.padding(moving, entry, next)
    }

    fn padding(
        &mut self,
        moving: &mut Moving<'_, '_>,
        entry: &Entry,
        next: u64,
    ) -> Result<Next, ReadError> {
        let mut block = [0; BLOCK];
        let pad = &mut block[..padding(data_len(&entry.kind))];
        if let Err(error) = crate::tar::Source::fill(&mut moving.stream, pad) {
            if moving.stream.cancelled {
                return Err(ArchiveError::Cancelled.into());
            }
            self.settle(moving)?;
            self.find(Damage::new(format!("padding after {}", entry.path), error.to_string()))?;
            return Ok(Next::Stop);
        }
        if pad.iter().any(|&b| b != 0) {
            self.find(Damage::new(format!("padding after {}", entry.path), "it is not zero"))?;
        }
        if moving.stream.offset > next {
            let what = "it reaches into the next member";
            self.find(Damage::new(format!("contents of {}", entry.path), what))?;
            return Ok(Next::Stop);
        }
        Ok(Next::GoOn)
    }

    /// The head of the index, which ends the frames of the frame table.
    fn index(&mut self, moving: &mut Moving<'_, '_>, top: &str, at: u64) -> Result<(), ReadError> {
        let trailer = &self.tar.trailer;
        let Ok(entry) = self.head(moving, top, tree::INDEX, (at, at))? else { return Ok(()) };
        let expected = expected_control(tree::INDEX, &entry, moving.mtime);
        if let Some(what) = difference(&entry, &expected) {
            let what = what.replace("entries.tsv says", "it should be");
            self.find(Damage::new(format!("header of {}", tree::INDEX), what))?;
        }
        let size = entry.size().unwrap_or(0);
        let end = moving.stream.offset.checked_add(size);
        let right = end.and_then(|end| end.checked_add(2 * BLOCK as u64)) == Some(trailer.tar_len);
        let frames_end = self.tar.tables().map_or(0, |tables| tables.frames.ends().1);
        if !right || moving.stream.offset != frames_end {
            let what = "it has not the size the trailer says";
            self.find(Damage::new(format!("header of {}", tree::INDEX), what))?;
        }
        self.closing()
    }

    /// What follows the root of the index is zero.
    fn closing(&mut self) -> Result<(), ReadError> {
        use std::os::unix::fs::FileExt as _;
        let trailer = &self.tar.trailer;
        let subject = "end of the tar";
        let bytes = if trailer.form == dalsegno_format::Form::Tar {
            let end = trailer.closing.offset.div_ceil(BLOCK as u64) * BLOCK as u64;
            let mut bytes = vec![0; usize::try_from(end - trailer.closing.offset).unwrap_or(0)];
            let read = self.tar.file.read_exact_at(&mut bytes, trailer.closing.offset);
            read.map(|()| bytes).map_err(|error| Damage::new(subject, error.to_string()))
        } else {
            self.tar.region(&trailer.closing, subject)
        };
        match bytes {
            Ok(bytes) if bytes.iter().all(|&b| b == 0) => {}
            Ok(_) => self.find(Damage::new(subject, "its padding is not zero"))?,
            Err(damage) => self.find(damage)?,
        }
        Ok(())
    }
}
