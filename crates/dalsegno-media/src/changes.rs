//! What a restore changes in a live tree, found by walking it beside the backup's entries.

use std::cmp::Ordering;
use std::path::Path;

use dalsegno_format::{Entry, EntryKind, Timestamp};

use crate::capture::open_root;
use crate::error::io_error;
use crate::walk::{Step, Walk};
use crate::{Cancel, MediaError, Selection, Strategy};

/// Paths given as examples of each change.
const EXAMPLES: usize = 10;

/// What becomes of files and links; folders are not counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// In the backup, not in the live tree.
    pub added: Tally,
    /// In both, of another type, size, time or link target: the backup's takes its place.
    pub replaced: Tally,
    /// In both, equal as far as type, size, time and link target tell.
    pub unchanged: Tally,
    /// In the live tree only, and dropped.
    pub removed: Tally,
    /// In the live tree only, and brought over. A folder left out by rule counts as one.
    pub carried: Tally,
    /// In the backup, not restored, since the live tree holds something there that stays.
    pub kept: Tally,
}

/// How many, and which for example.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// Bytes of the files among them, of what is on the backup's side where both are.
    pub bytes: u64,
    /// The first ten paths below the root, in order; any bytes.
    pub examples: Vec<Vec<u8>>,
}

impl Tally {
    fn add(&mut self, node: &Node) {
        self.count += 1;
        // A backup whose sums were not checked says what it likes.
        self.bytes = self.bytes.saturating_add(node.size.unwrap_or(0));
        if self.examples.len() < EXAMPLES {
            self.examples.push(node.path.clone());
        }
    }
}

/// Compares the entries of a backup (paths below the root, ascending, without the root itself) with
/// a live tree, by path, type, size and time; no content is read. A missing live root counts as
/// empty. Memory does not grow with the number of entries.
///
/// `skip` is as in [`crate::CaptureOptions::skip`].
pub fn plan(
    live_root: &Path,
    entries: impl IntoIterator<Item = Entry>,
    strategy: Strategy,
    selection: &Selection,
    skip: &[(u64, u64)],
    cancel: Cancel<'_>,
) -> Result<Changes, MediaError> {
    let live = match open_root(live_root) {
        Err(MediaError::RootMissing { .. }) => None,
        root => Some(
            Walk::new(root?, selection, skip).map_err(io_error("list the folder", live_root))?,
        ),
    };
    let entries = entries.into_iter().map(Node::of_entry);
    changes(entries, live.into_iter().flatten(), strategy, cancel)
}

/// One thing on either side.
#[derive(Debug)]
pub(crate) struct Node {
    path: Vec<u8>,
    kind: Kind,
    /// Unknown for hard links of a backup.
    size: Option<u64>,
    mtime: Timestamp,
    /// A backup leaves it out by rule.
    left_out: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
    Link(Vec<u8>),
    Other,
}

impl Node {
    fn of_entry(entry: Entry) -> Self {
        let size = entry.size();
        let kind = match entry.kind {
            EntryKind::Directory => Kind::Folder,
            EntryKind::Symlink { target } => Kind::Link(target),
            EntryKind::File { .. } | EntryKind::HardLink { .. } => Kind::File,
        };
        let path = entry.path.as_bytes().to_vec();
        Self { path, kind, size, mtime: entry.mtime, left_out: false }
    }

    /// `None` for the root, for what vanished, and for this program's own leftovers.
    pub(crate) fn of_step(step: Step) -> Option<Self> {
        let none = Timestamp::default();
        let (path, kind, size, mtime, left_out) = match step {
            Step::Folder { path, meta, .. } => (path, Kind::Folder, None, meta.mtime, false),
            Step::File { place, meta } => {
                (place.path, Kind::File, Some(meta.size), meta.mtime, false)
            }
            Step::Link { place, meta, target } => {
                (place.path, Kind::Link(target), None, meta.mtime, false)
            }
            Step::LeftOut { place, .. } if crate::leftover::is_leftover(&place.name) => {
                return None;
            }
            Step::LeftOut { place, .. } => (place.path, Kind::Other, None, none, true),
            Step::Unreadable { path, .. } => (path, Kind::Other, None, none, false),
            Step::Vanished { .. } => return None,
        };
        (!path.is_empty()).then_some(Self { path, kind, size, mtime, left_out })
    }

    fn equals(&self, other: &Self) -> bool {
        let sizes = self.size.zip(other.size).is_none_or(|(a, b)| a == b);
        let times = matches!(self.kind, Kind::Link(_)) || self.mtime == other.mtime;
        self.kind == other.kind && self.kind != Kind::Other && sizes && times
    }

    fn is_below(&self, folder: Option<&[u8]>) -> bool {
        folder.is_some_and(|folder| {
            self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(b"/"))
        })
    }
}

/// The order of [`dalsegno_format::TreePath`].
pub(crate) fn path_order(a: &[u8], b: &[u8]) -> Ordering {
    a.split(|&b| b == b'/').cmp(b.split(|&b| b == b'/'))
}

/// Joins both sides, each in the order of paths.
pub(crate) fn changes(
    backup: impl Iterator<Item = Node>,
    live: impl Iterator<Item = Step>,
    strategy: Strategy,
    cancel: Cancel<'_>,
) -> Result<Changes, MediaError> {
    let mut join = Join { strategy, changes: Changes::default(), lost: None, blocked: None };
    let mut backup = backup.peekable();
    let mut live = live.filter_map(Node::of_step).peekable();
    loop {
        if cancel() {
            return Err(MediaError::Cancelled);
        }
        let order = match (backup.peek(), live.peek()) {
            (None, None) => return Ok(join.changes),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => path_order(&a.path, &b.path),
        };
        let theirs = if order.is_le() { backup.next() } else { None };
        let ours = if order.is_ge() { live.next() } else { None };
        join.take(theirs, ours);
    }
}

struct Join {
    strategy: Strategy,
    changes: Changes,
    /// A live folder in whose place the backup puts something else.
    lost: Option<Vec<u8>>,
    /// A path of the backup that is a folder there and stays something else in the live tree.
    blocked: Option<Vec<u8>>,
}

impl Join {
    fn take(&mut self, theirs: Option<Node>, ours: Option<Node>) {
        match (theirs, ours) {
            (Some(theirs), Some(ours)) => self.both(&theirs, ours),
            (Some(theirs), None) if theirs.kind == Kind::Folder => {}
            (Some(theirs), None) if theirs.is_below(self.blocked.as_deref()) => {
                self.changes.kept.add(&theirs);
            }
            (Some(theirs), None) => self.changes.added.add(&theirs),
            (None, Some(ours)) => self.live_only(&ours),
            (None, None) => {}
        }
    }

    fn both(&mut self, theirs: &Node, ours: Node) {
        let folders = (theirs.kind == Kind::Folder, ours.kind == Kind::Folder);
        let keep = self.strategy == Strategy::KeepExisting;
        match folders {
            (true, true) => {}
            (true, false) if keep => {
                self.changes.kept.add(theirs);
                self.blocked = Some(ours.path);
            }
            (true, false) => self.changes.replaced.add(&ours),
            (false, true) if keep => self.changes.kept.add(theirs),
            (false, true) => {
                self.changes.replaced.add(theirs);
                self.lost = Some(ours.path);
            }
            (false, false) if theirs.equals(&ours) => self.changes.unchanged.add(theirs),
            (false, false) if keep => self.changes.kept.add(theirs),
            (false, false) => self.changes.replaced.add(theirs),
        }
    }

    fn live_only(&mut self, ours: &Node) {
        if ours.kind == Kind::Folder {
            return;
        }
        let lost = ours.is_below(self.lost.as_deref());
        let stays = ours.left_out || self.strategy != Strategy::Replace;
        if stays && !lost {
            self.changes.carried.add(ours);
        } else {
            self.changes.removed.add(ours);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_cannot_be_add_up_to_what_cannot_be() {
        let mut tally = Tally::default();
        for size in [u64::MAX, 1] {
            tally.add(&Node {
                path: b"a".to_vec(),
                kind: Kind::File,
                size: Some(size),
                mtime: Timestamp { secs: 0, nanos: 0 },
                left_out: false,
            });
        }
        assert_eq!((tally.count, tally.bytes), (2, u64::MAX));
    }
}
