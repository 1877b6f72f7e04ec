//! Which members may stand where: the rules that make a tree safe to restore, the same for the
//! writer and for every reader.

use std::collections::HashSet;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use dalsegno_format::{Entry, EntryKind, Extent, TreePath, tree};

/// The most extents of one file with holes.
pub const MAX_EXTENTS: usize = 1 << 18;

/// The largest file, holes included.
const MAX_FILE: u64 = 1 << 50;

/// The tops of a tree between its first and its last members.
const TOPS: [&str; 4] = [tree::DATABASE, tree::FIXTURES, tree::FILES, tree::STORAGES];

/// Follows the members of one tree, first to last, and refuses what may not come next.
///
/// Memory: nine bytes or so for each regular file, for hard links to be checked against.
#[derive(Debug, Default)]
pub(crate) struct Order {
    place: Place,
    files: HashSet<u64>,
    hasher: RandomState,
    /// Files noted since the last mark; `None` before the first.
    journal: Option<Vec<u64>>,
}

/// Where the order stands, apart from the files already seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    begun: bool,
    ended: bool,
    tops: Vec<Vec<u8>>,
    folders: Vec<TreePath>,
    last: Option<TreePath>,
}

impl Order {
    /// Takes note of the next member, up to and without `restore.sh`.
    pub(crate) fn check(&mut self, entry: &Entry) -> Result<(), &'static str> {
        check_fields(entry)?;
        if self.place.ended {
            return Err("it comes after the last member");
        }
        if !self.place.begun {
            let plain = matches!(entry.kind, EntryKind::File { extents: None, .. });
            if entry.path.as_bytes() != tree::METADATA.as_bytes() || !plain {
                return Err("the first member must be the metadata");
            }
            self.place.begun = true;
            return Ok(());
        }
        self.check_place(entry)?;
        match &entry.kind {
            EntryKind::Symlink { target } => {
                let root = storage_root(&entry.path).ok_or("a link outside a storage")?;
                if !entry.path.link_stays_below(target, &root) {
                    return Err("the link leaves its storage");
                }
            }
            EntryKind::HardLink { target } => {
                let root = storage_root(&entry.path).ok_or("a link outside a storage")?;
                if storage_root(target).as_ref() != Some(&root) {
                    return Err("the hard link leaves its storage");
                }
                if !self.files.contains(&self.hasher.hash_one(target)) {
                    return Err("the hard link names no earlier file");
                }
            }
            EntryKind::File { .. } => {
                let key = self.hasher.hash_one(&entry.path);
                if self.files.insert(key)
                    && let Some(journal) = &mut self.journal
                {
                    journal.push(key);
                }
            }
            EntryKind::Directory => self.place.folders.push(entry.path.clone()),
        }
        self.place.last = Some(entry.path.clone());
        Ok(())
    }

    /// Takes note of `restore.sh`, after which nothing that the lists name may come.
    pub(crate) fn end(&mut self, script: &Entry) -> Result<(), &'static str> {
        if self.place.ended {
            return Err("it comes twice");
        }
        if !self.place.begun {
            return Err("the first member must be the metadata");
        }
        if !matches!(script.kind, EntryKind::File { .. }) {
            return Err("it is not a file");
        }
        self.place.ended = true;
        Ok(())
    }

    /// Whether `restore.sh` has come.
    pub(crate) fn has_ended(&self) -> bool {
        self.place.ended
    }

    /// A file that was checked but cannot be handed out: no hard link may name it.
    pub(crate) fn forget(&mut self, path: &TreePath) {
        self.files.remove(&self.hasher.hash_one(path));
    }

    fn check_place(&mut self, entry: &Entry) -> Result<(), &'static str> {
        let Some(parent) = entry.path.parent() else {
            let name = entry.path.as_bytes();
            if !TOPS.iter().any(|top| top.as_bytes() == name) {
                return Err("no such name belongs at the top of a backup");
            }
            if entry.kind != EntryKind::Directory {
                return Err("a top of a backup must be a folder");
            }
            if self.place.tops.iter().any(|seen| seen == name) {
                return Err("it comes twice");
            }
            self.place.tops.push(name.to_vec());
            self.place.folders.clear();
            return Ok(());
        };
        while let Some(open) = self.place.folders.last() {
            if *open == parent {
                break;
            }
            self.place.folders.pop();
        }
        if self.place.folders.is_empty() {
            return Err("its folder did not come before it");
        }
        if self.place.last.as_ref().is_some_and(|last| entry.path <= *last) {
            return Err("it comes twice or out of order");
        }
        if parent.as_bytes() == tree::STORAGES.as_bytes() && entry.kind != EntryKind::Directory {
            return Err("a storage must be a folder");
        }
        Ok(())
    }

    /// Remembers this place; what is checked from now on can be taken back.
    pub(crate) fn mark(&mut self) -> Place {
        self.journal = Some(Vec::new());
        self.place.clone()
    }

    /// Takes back everything since the last mark.
    pub(crate) fn rewind(&mut self, place: Place) {
        for key in self.journal.iter_mut().flat_map(std::mem::take) {
            self.files.remove(&key);
        }
        self.place = place;
    }
}

/// The root of the storage a path lies in, itself not counted.
pub(crate) fn storage_root(path: &TreePath) -> Option<TreePath> {
    let mut parts = path.components();
    let (first, second) = (parts.next()?, parts.next()?);
    if first == tree::FILES.as_bytes() {
        return Some(tree::path(tree::FILES));
    }
    if first == tree::STORAGES.as_bytes() && parts.next().is_some() {
        return tree::path(tree::STORAGES).join(second).ok();
    }
    None
}

fn check_fields(entry: &Entry) -> Result<(), &'static str> {
    if entry.mode > 0o7777 {
        return Err("its mode has more than permission bits");
    }
    if entry.mtime.nanos >= 1_000_000_000 {
        return Err("its time has too many nanoseconds");
    }
    for name in [&entry.user, &entry.group] {
        if name.len() > 256 || name.bytes().any(|b| b < b' ' || b == 0x7f) {
            return Err("the name of its owner or group is not a name");
        }
    }
    match &entry.kind {
        EntryKind::File { size, extents } => {
            if *size > MAX_FILE {
                return Err("it is larger than any file");
            }
            extents.as_deref().map_or(Ok(()), |extents| check_extents(*size, extents))
        }
        EntryKind::Symlink { target }
            if target.is_empty() || target.len() > TreePath::MAX_LEN || target.contains(&0) =>
        {
            Err("its target is no target of a link")
        }
        _ => Ok(()),
    }
}

/// Ascending, apart, none empty, none beyond the end, not too many.
pub(crate) fn check_extents(size: u64, extents: &[Extent]) -> Result<(), &'static str> {
    if extents.len() > MAX_EXTENTS {
        return Err("it has too many holes");
    }
    let mut end = None;
    for extent in extents {
        if extent.length == 0 || end.is_some_and(|end| extent.offset <= end) {
            return Err("its extents are not in order");
        }
        match extent.offset.checked_add(extent.length) {
            Some(next) if next <= size => end = Some(next),
            _ => return Err("its extents lie beyond its end"),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dalsegno_format::Timestamp;

    use super::*;

    fn entry(path: &str, kind: EntryKind) -> Entry {
        Entry {
            path: TreePath::new(path).unwrap(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            user: String::new(),
            group: String::new(),
            mtime: Timestamp::default(),
        }
    }
    fn file() -> EntryKind {
        EntryKind::File { size: 1, extents: None }
    }
    fn hard(target: &str) -> EntryKind {
        EntryKind::HardLink { target: TreePath::new(target).unwrap() }
    }
    fn soft(target: &str) -> EntryKind {
        EntryKind::Symlink { target: target.into() }
    }
    const DIR: EntryKind = EntryKind::Directory;

    fn run(members: &[(&str, EntryKind)]) -> Result<(), &'static str> {
        let mut order = Order::default();
        order.check(&entry(tree::METADATA, file()))?;
        members.iter().try_for_each(|(path, kind)| order.check(&entry(path, kind.clone())))
    }

    #[test]
    fn good_trees_pass() {
        run(&[
            ("storages", DIR),
            ("storages/x", DIR),
            ("storages/x/f", file()),
            ("storages/x/g", hard("storages/x/f")),
            ("files", DIR),
            ("files/a", DIR),
            ("files/a/b", file()),
            ("files/a/l", soft("../c")),
            ("files/a.b", file()),
            ("files/b", soft("nowhere")),
        ])
        .unwrap();
    }

    #[test]
    fn bad_trees_are_refused() {
        for (members, why) in [
            (vec![("etc", DIR)], "belongs at the top"),
            (vec![("files", file())], "must be a folder"),
            (vec![("files", DIR), ("files", DIR)], "twice"),
            (vec![("files", DIR), ("files/a", file()), ("files/a", file())], "twice"),
            (vec![("files", DIR), ("files/b", file()), ("files/a", file())], "out of order"),
            (vec![("files", DIR), ("files/a/b", file())], "did not come before"),
            (vec![("files", DIR), ("files/a", soft("b")), ("files/a/b", file())], "before"),
            (vec![("files", DIR), ("files/a", soft("../x"))], "leaves"),
            (vec![("files", DIR), ("files/a", soft("/etc"))], "leaves"),
            (vec![("database", DIR), ("database/a", soft("b"))], "outside a storage"),
            (vec![("files", DIR), ("files/a", hard("files/b"))], "no earlier"),
            (vec![("files", DIR), ("files/a", hard("files/a"))], "no earlier"),
            (vec![("files", DIR), ("files/a", hard("backup_metadata.json"))], "leaves"),
            (vec![("storages", DIR), ("storages/x", file())], "must be a folder"),
            (vec![("files", DIR), ("database", DIR), ("files/a", file())], "before"),
        ] {
            let error = run(&members).expect_err(why);
            assert!(error.contains(why), "{error}: {why}");
        }
    }

    #[test]
    fn the_script_is_the_last_and_comes_once() {
        let mut order = Order::default();
        let script = entry(tree::RESTORE_SH, file());
        assert!(order.end(&script).is_err(), "before the metadata");
        order.check(&entry(tree::METADATA, file())).unwrap();
        assert!(order.end(&entry(tree::RESTORE_SH, soft("x"))).is_err());
        assert!(!order.has_ended());
        order.end(&script).unwrap();
        assert!(order.has_ended());
        assert!(order.end(&script).is_err());
        assert!(order.check(&entry("files", DIR)).is_err());
    }

    #[test]
    fn extents_must_lie_in_the_file() {
        let at = |offset, length| Extent { offset, length };
        assert!(check_extents(10, &[at(0, 2), at(3, 7)]).is_ok());
        for bad in [
            vec![at(0, 0)],
            vec![at(0, 11)],
            vec![at(u64::MAX, 2)],
            vec![at(3, 2), at(0, 2)],
            vec![at(0, 2), at(2, 2)],
        ] {
            assert!(check_extents(10, &bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_rewound_order_forgets() {
        let mut order = Order::default();
        order.check(&entry(tree::METADATA, file())).unwrap();
        order.check(&entry("files", DIR)).unwrap();
        let place = order.mark();
        order.check(&entry("files/a", file())).unwrap();
        order.rewind(place);
        assert!(order.check(&entry("files/b", hard("files/a"))).is_err());
        order.check(&entry("files/a", file())).unwrap();
        order.check(&entry("files/b", hard("files/a"))).unwrap();
    }
}
