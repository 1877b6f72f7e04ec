//! A folder and all it holds, in two layers: what programs see, and what is sure to survive.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;

use super::log::{Id, Look, Place, Record};

/// Index of a node.
pub(super) type Key = usize;

/// Everything below one folder.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) nodes: Vec<Node>,
    /// The node that has an inode number now: numbers are used again.
    current: HashMap<Id, Key>,
    /// Changes of names that are not sure to survive yet, in order.
    pub(super) changes: Vec<Change>,
    /// Records so far.
    pub(super) clock: u64,
}

/// A file, folder or link.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) id: Id,
    born: u64,
    pub(super) look: Look,
    pub(super) durable_look: Look,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Folder(Folder),
    File(File),
    Link(Vec<u8>),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Folder {
    pub(super) names: BTreeMap<Vec<u8>, Key>,
    /// By the change that made each so; a later one that became durable first is not undone by it.
    pub(super) durable: BTreeMap<Vec<u8>, (u64, Option<Key>)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct File {
    pub(super) content: Rc<Vec<u8>>,
    pub(super) durable: Rc<Vec<u8>>,
    /// What makes one of the other.
    pub(super) pieces: Vec<(u64, Piece)>,
    /// When it was written to last.
    pub(super) written: u64,
}

#[derive(Debug, Clone)]
pub(super) enum Piece {
    Write { at: u64, data: Rc<[u8]> },
    Truncate(u64),
}

/// Names that change together.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) at: u64,
    pub(super) names: Vec<(Key, Vec<u8>, Option<Key>)>,
}

/// The first node is the folder itself.
pub(super) const ROOT: Key = 0;

impl World {
    /// What is on disk now, all of it durable.
    pub(super) fn of(root: &Path) -> Self {
        let (nodes, current) = (Vec::new(), HashMap::new());
        let mut world = Self { nodes, current, changes: Vec::new(), clock: 0 };
        world.read(root);
        world
    }

    fn read(&mut self, path: &Path) -> Key {
        let meta = path.symlink_metadata().expect("what lies there can be looked at");
        let id = (meta.dev(), meta.ino());
        if let Some(known) = self.current.get(&id) {
            return *known;
        }
        let nanos = u32::try_from(meta.mtime_nsec()).expect("nanoseconds");
        let mtime = Some((meta.mtime(), nanos));
        let look = Look { mode: meta.mode() & 0o7777, uid: meta.uid(), gid: meta.gid(), mtime };
        if meta.is_symlink() {
            let target = fs::read_link(path).expect("a link can be read");
            return self.add(id, look, Kind::Link(target.as_os_str().as_bytes().to_vec()));
        }
        if meta.is_file() {
            let content = Rc::new(fs::read(path).expect("a file can be read"));
            let (durable, content) = (Rc::clone(&content), content);
            let file = File { content, durable, ..File::default() };
            return self.add(id, look, Kind::File(file));
        }
        assert!(meta.is_dir(), "only files, folders and links are replayed: {}", path.display());
        let key = self.add(id, look, Kind::Folder(Folder::default()));
        for entry in fs::read_dir(path).expect("a folder can be read") {
            let entry = entry.expect("a folder can be read");
            let child = self.read(&entry.path());
            let name = entry.file_name().as_bytes().to_vec();
            let folder = self.folder(key);
            folder.durable.insert(name.clone(), (0, Some(child)));
            folder.names.insert(name, child);
        }
        key
    }

    fn add(&mut self, id: Id, look: Look, kind: Kind) -> Key {
        let key = self.nodes.len();
        self.nodes.push(Node { id, born: self.clock, look, durable_look: look, kind });
        self.current.insert(id, key);
        key
    }

    /// The node that had an inode number at a time.
    pub(super) fn with_inode(&self, inode: u64, at: u64) -> Option<Key> {
        let known = self.nodes.iter().enumerate().rev();
        let mut known = known.filter(|(_, node)| node.id.1 == inode && node.born <= at);
        known.next().map(|(key, _)| key)
    }

    /// Makes one change; false for one that is not about this folder.
    pub(super) fn apply(&mut self, record: &Record) -> bool {
        self.clock += 1;
        match record {
            Record::Create { name, id, look } => {
                self.make(name, *id, *look, Kind::File(File::default()))
            }
            Record::Folder { name, id, look } => {
                self.make(name, *id, *look, Kind::Folder(Folder::default()))
            }
            Record::Symlink { name, id, look, target } => {
                self.make(name, *id, *look, Kind::Link(target.clone()))
            }
            Record::Write { id, at, data } => {
                self.write(*id, Piece::Write { at: *at, data: Rc::clone(data) })
            }
            Record::Truncate { id, size } => self.write(*id, Piece::Truncate(*size)),
            Record::Link { name, id } => {
                let Some(folder) = self.known(name) else { return false };
                let target = *self.current.get(id).expect("a link to a file of this folder");
                self.rename(vec![(folder, name.name.clone(), Some(target))]);
                true
            }
            Record::Unlink { name } => {
                let Some(folder) = self.known(name) else { return false };
                assert!(self.at(folder, &name.name).is_some(), "what is removed was there");
                self.rename(vec![(folder, name.name.clone(), None)]);
                true
            }
            Record::Rename { from, to, exchange } => self.moved(from, to, *exchange),
            Record::Look { id, look } => {
                let Some(&key) = self.current.get(id) else { return false };
                self.nodes[key].look = *look;
                true
            }
            Record::Sync { id, attributes } => {
                let Some(&key) = self.current.get(id) else { return false };
                self.sync(key, *attributes);
                true
            }
            Record::SyncAll { device } => {
                for key in 0..self.nodes.len() {
                    if device.is_none_or(|device| self.nodes[key].id.0 == device) {
                        self.sync(key, true);
                    }
                }
                true
            }
            Record::Mapped { id } => {
                let Some(&key) = self.current.get(id) else { return false };
                let mapped = self.names_of(key).all(|name| name.ends_with(b"-shm"));
                assert!(mapped, "only SQLite's index of its log may be mapped for writing");
                false
            }
        }
    }

    fn known(&self, place: &Place) -> Option<Key> {
        self.current.get(&place.folder).copied()
    }

    fn folder(&mut self, key: Key) -> &mut Folder {
        match &mut self.nodes[key].kind {
            Kind::Folder(folder) => folder,
            _ => panic!("names lie in folders"),
        }
    }

    fn at(&mut self, folder: Key, name: &[u8]) -> Option<Key> {
        self.folder(folder).names.get(name).copied()
    }

    fn names_of(&self, key: Key) -> impl Iterator<Item = &Vec<u8>> {
        let folders = self.nodes.iter().filter_map(|node| match &node.kind {
            Kind::Folder(folder) => Some(folder),
            _ => None,
        });
        folders.flat_map(|folder| &folder.names).filter(move |(_, at)| **at == key).map(|(n, _)| n)
    }

    fn make(&mut self, place: &Place, id: Id, look: Look, kind: Kind) -> bool {
        let folder = self.known(place);
        if folder.is_none() && !place.name.is_empty() {
            // The number is another file's now, of which nothing is known.
            self.current.remove(&id);
            return false;
        }
        let key = self.add(id, look, kind);
        if let Some(folder) = folder {
            self.rename(vec![(folder, place.name.clone(), Some(key))]);
        }
        true
    }

    fn moved(&mut self, from: &Place, to: &Place, exchange: bool) -> bool {
        let (source, target) = match (self.known(from), self.known(to)) {
            (None, None) => return false,
            (Some(source), Some(target)) => (source, target),
            _ => panic!("something was moved across the border: {from:?}, {to:?}"),
        };
        let moved = self.at(source, &from.name);
        assert!(moved.is_some(), "what is renamed was there: {from:?}");
        let there = self.at(target, &to.name);
        if moved == there {
            // Two names of one file: the call does nothing.
            return true;
        }
        let back = if exchange { there } else { None };
        self.rename(vec![(source, from.name.clone(), back), (target, to.name.clone(), moved)]);
        true
    }

    fn rename(&mut self, names: Vec<(Key, Vec<u8>, Option<Key>)>) {
        for (folder, name, key) in &names {
            let names = &mut self.folder(*folder).names;
            match key {
                Some(key) => names.insert(name.clone(), *key),
                None => names.remove(name),
            };
        }
        self.changes.push(Change { at: self.clock, names });
    }

    fn write(&mut self, id: Id, piece: Piece) -> bool {
        let Some(&key) = self.current.get(&id) else { return false };
        let clock = self.clock;
        let Kind::File(file) = &mut self.nodes[key].kind else { panic!("only files are written") };
        piece.apply(Rc::make_mut(&mut file.content));
        file.pieces.push((clock, piece));
        file.written = clock;
        self.nodes[key].look.mtime = None;
        true
    }

    fn sync(&mut self, key: Key, attributes: bool) {
        if attributes {
            self.nodes[key].durable_look = self.nodes[key].look;
        }
        match &mut self.nodes[key].kind {
            Kind::File(file) => {
                file.durable = Rc::clone(&file.content);
                file.pieces.clear();
            }
            Kind::Folder(_) => self.sync_names(key),
            Kind::Link(_) => {}
        }
    }

    /// Whole changes, and those that went before.
    fn sync_names(&mut self, folder: Key) {
        let about = |change: &Change| change.names.iter().any(|(key, ..)| *key == folder);
        let wanted = self.changes.iter().map(about).collect();
        let implied = self.with_implied(wanted);
        let mut implied = implied.into_iter();
        let (done, left) = std::mem::take(&mut self.changes)
            .into_iter()
            .partition::<Vec<_>, _>(|_| implied.next().expect("one for each"));
        self.changes = left;
        for change in done {
            for (folder, name, key) in change.names {
                let durable = &mut self.folder(folder).durable;
                if durable.get(&name).is_none_or(|(at, _)| *at < change.at) {
                    durable.insert(name, (change.at, key));
                }
            }
        }
    }

    /// A folder is never in two places: a change that moves one implies the earlier ones that did.
    pub(super) fn with_implied(&self, mut wanted: Vec<bool>) -> Vec<bool> {
        let moves = |change: &Change| -> Vec<Key> {
            let keys = change.names.iter().filter_map(|(.., key)| *key);
            keys.filter(|key| matches!(self.nodes[*key].kind, Kind::Folder(_))).collect()
        };
        for later in (0..wanted.len()).rev().filter(|index| wanted[*index]).collect::<Vec<_>>() {
            let mut folders = moves(&self.changes[later]);
            for earlier in (0..later).rev() {
                let also = moves(&self.changes[earlier]);
                if also.iter().any(|key| folders.contains(key)) {
                    wanted[earlier] = true;
                    folders.extend(also);
                }
            }
        }
        wanted
    }
}

impl Piece {
    pub(super) fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, data } => {
                let (at, end) = (offset(*at), offset(*at) + data.len());
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[at..end].copy_from_slice(data);
            }
            Self::Truncate(size) => content.resize(offset(*size), 0),
        }
    }
}

pub(super) fn offset(at: u64) -> usize {
    usize::try_from(at).expect("files of tests are small")
}
