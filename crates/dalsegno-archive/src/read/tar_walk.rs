//! One pass over a tar form, with every check.

mod closing;
mod contents;

use std::io;
use std::sync::Arc;

use dalsegno_format::{Entry, EntryKind, Manifest, Timestamp, tree};

use super::ahead::Stream;
use super::digests::{Digests, Passing};
use super::entries::Lists;
use super::gap::Gap;
use super::stored_lists::tar_lists;
use super::tar_file::{Offsets, TarFile};
use super::walk::{Findings, Input, Mode, difference, expected_control};
use super::{Member, MemberContent, ReadError, ReadReport, Visit, Watch};
use crate::order::Order;
use crate::tar::{HeadError, Parsed, read_head};
use crate::{ArchiveError, Damage};

/// Members that `entries.tsv` does not list: both lists and the completion record.
const UNLISTED: u64 = 3;

pub(crate) struct TarWalk<'a, 'w> {
    pub(crate) tar: &'a Arc<TarFile>,
    pub(crate) manifest: &'a Manifest,
    pub(crate) findings: &'a mut Findings,
    pub(crate) visit: Option<&'a mut Visit<'w>>,
    pub(crate) digests: Digests,
}

/// The parts of a walk that move.
struct Moving<'a, 'w> {
    stream: Stream<'a, 'w>,
    lists: Option<Lists>,
    offsets: Offsets,
    order: Order,
    /// The top folder's, which the writer's own members share; `None` when it cannot be read.
    mtime: Option<Timestamp>,
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
            mtime: None,
            report: ReadReport::default(),
            bytes: 0,
            gap: Gap::default(),
        };
        let walked = self.members(&mut moving, members);
        if moving.stream.cancelled {
            return Err(ArchiveError::Cancelled.into());
        }
        let walked = walked.and_then(|()| self.pass_on(true));
        if matches!(walked, Err(ReadError::Visit { .. })) {
            // Nothing more is handed to a visitor that has failed.
            return walked.map(|()| moving.report);
        }
        for damage in std::mem::take(&mut moving.stream.damage) {
            self.find(damage)?;
        }
        walked?;
        Ok(moving.report)
    }

    /// Reports what is wrong here, after what came before it.
    fn find(&mut self, damage: Damage) -> Result<(), ReadError> {
        self.pass_on(true)?;
        Ok(self.findings.add(&self.tar.path, damage)?)
    }

    /// Hands out the members whose turn it is; those still being hashed too, if `all` are wanted.
    fn pass_on(&mut self, all: bool) -> Result<(), ReadError> {
        while let Some(Passing { entry, content, handed }) = self.digests.next(all) {
            let content = match content {
                Some((_, false)) => {
                    let what = "it has not the SHA-256 in checksums.sha256";
                    let damage = Damage::new(format!("contents of {}", entry.path), what);
                    self.findings.add(&self.tar.path, damage)?;
                    continue;
                }
                Some((bytes, true)) => MemberContent::Bytes(bytes),
                None => MemberContent::None,
            };
            match (self.visit.as_deref_mut().filter(|_| handed), content) {
                (Some(visit), content) => {
                    let path = entry.path.clone();
                    visit(Member { entry, content })
                        .map_err(|source| ReadError::Visit { path, source })?;
                }
                (None, MemberContent::Bytes(bytes)) => self.digests.give_back(bytes),
                (None, _) => {}
            }
        }
        Ok(())
    }

    fn members(&mut self, moving: &mut Moving<'_, '_>, members: u64) -> Result<(), ReadError> {
        let top = self.manifest.metadata.folder.clone();
        match read_head(&mut moving.stream, &top) {
            Ok(Parsed::Top(mtime)) => moving.mtime = Some(mtime),
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
            let last = number + 1 == members - UNLISTED;
            if last && !moving.order.has_ended() && !moving.gap.any() {
                self.find(Damage::new(format!("member {}", tree::RESTORE_SH), "it is missing"))?;
            }
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
            Some(damage) => self.find(damage),
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
        let (mut entry, mut judged) = (entry, None);
        if let Some((listed, _)) = &listed
            && let Some(what) = difference(&entry, listed)
        {
            self.find(Damage::new(format!("header of {shown}"), what))?;
            match (self.findings.mode, reconciled(&entry, listed)) {
                (Mode::Tolerate, Some(right)) => entry = right,
                (Mode::Tolerate, None) => {
                    moving.report.members += 1;
                    self.without_header(moving, listed.clone())?;
                    return Ok(Self::skip(moving, place.1));
                }
                _ => judged = Some(listed),
            }
        }
        let ours = entry.path.as_bytes() == tree::RESTORE_SH.as_bytes();
        let allowed = if ours {
            let expected = expected_control(tree::RESTORE_SH, &entry, moving.mtime);
            let expected = Entry { mode: 0o700, ..expected };
            let right = entry == expected;
            let right = right.then_some(()).ok_or("its header is not the one a writer gives it");
            right.and_then(|()| moving.order.end(&entry))
        } else {
            moving.order.check(judged.unwrap_or(&entry))
        };
        if let Err(reason) = allowed {
            if moving.gap.any() && self.findings.tolerates() {
                // What it needs may be what was lost.
                moving.report.members += 1;
                self.find(Damage::new(format!("member {}", entry.path), reason))?;
                return Ok(Self::skip(moving, place.1));
            }
            if moving.lists.is_some() || !moving.gap.any() {
                self.pass_on(true)?;
                let path = self.tar.path.clone();
                self.findings.refuse(&path, &entry, reason)?;
            }
        }
        if moving.report.members == 0 && moving.mtime.is_some_and(|mtime| entry.mtime != mtime) {
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
        } else if self.visit.is_some() {
            self.pass_on(true)?;
            let Some(visit) = self.visit.as_deref_mut() else { return Ok(()) };
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
}

/// What a member is when its header can be read and does not say what the list says, whose digest
/// is right; `None` when they do not agree on how its data lie in the tar.
fn reconciled(found: &Entry, listed: &Entry) -> Option<Entry> {
    let holes = |entry: &Entry| matches!(entry.kind, EntryKind::File { extents: Some(_), .. });
    if found.size() != listed.size() || holes(found) != holes(listed) {
        return None;
    }
    let file = found.size().is_some();
    let kind = if file { found.kind.clone() } else { listed.kind.clone() };
    Some(Entry { kind, ..listed.clone() })
}
