//! Differences between two trees.

use std::cmp::Ordering;

use dalsegno_format::{Entry, EntryKind, Sha256, TreePath};

/// A path at which two trees differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub path: TreePath,
    /// What is there in the first tree.
    pub a: Option<Entry>,
    /// What is there in the second tree.
    pub b: Option<Entry>,
    /// In what they differ; nothing is set when one side has nothing there.
    pub aspects: Aspects,
}

/// In what two entries at one path differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "any combination can occur")]
pub struct Aspects {
    /// Folder, file, symbolic link, hard link; the others are then not compared.
    pub kind: bool,
    /// Hashes differ, or sizes; where a hash is missing, times decide.
    pub content: bool,
    /// Targets of links.
    pub target: bool,
    /// Permission bits.
    pub mode: bool,
    /// Numeric owner or group.
    pub owner: bool,
    /// Time of the last change of a file or folder.
    pub mtime: bool,
}

impl Aspects {
    /// Whether nothing differs.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// Joins two trees, each in ascending order of paths and with the hash of each file where it is
/// known, and gives the paths at which they differ. Holds one entry of each side.
pub fn compare(
    a: impl IntoIterator<Item = (Entry, Option<Sha256>)>,
    b: impl IntoIterator<Item = (Entry, Option<Sha256>)>,
) -> impl Iterator<Item = Difference> {
    let mut a = a.into_iter().peekable();
    let mut b = b.into_iter().peekable();
    std::iter::from_fn(move || {
        loop {
            let order = match (a.peek(), b.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((a, _)), Some((b, _))) => a.path.cmp(&b.path),
            };
            let left = if order.is_le() { a.next() } else { None };
            let right = if order.is_ge() { b.next() } else { None };
            let aspects = match (&left, &right) {
                (Some(a), Some(b)) => aspects(a, b),
                _ => Aspects::default(),
            };
            if left.is_some() && right.is_some() && aspects.is_empty() {
                continue;
            }
            let (a, b) = (left.map(|(a, _)| a), right.map(|(b, _)| b));
            let path = a.as_ref().or(b.as_ref())?.path.clone();
            return Some(Difference { path, a, b, aspects });
        }
    })
}

fn aspects(a: &(Entry, Option<Sha256>), b: &(Entry, Option<Sha256>)) -> Aspects {
    let ((a, hash_a), (b, hash_b)) = (a, b);
    let mut differ =
        Aspects { mode: a.mode != b.mode, mtime: a.mtime != b.mtime, ..Aspects::default() };
    differ.owner = (a.uid, a.gid) != (b.uid, b.gid);
    match (&a.kind, &b.kind) {
        (EntryKind::File { size: sa, .. }, EntryKind::File { size: sb, .. }) => {
            differ.content = match (hash_a, hash_b) {
                (Some(a), Some(b)) => a != b,
                _ => sa != sb || differ.mtime,
            };
        }
        (EntryKind::Directory, EntryKind::Directory) => {}
        (EntryKind::Symlink { target: a }, EntryKind::Symlink { target: b }) => {
            differ.target = a != b;
            differ.mtime = false;
        }
        (EntryKind::HardLink { target: a }, EntryKind::HardLink { target: b }) => {
            differ.target = a != b;
        }
        _ => return Aspects { kind: true, ..Aspects::default() },
    }
    differ
}
