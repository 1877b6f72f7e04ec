//! Walking a live tree in the order of its paths, and saying of each thing whether it belongs into a
//! backup.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use dalsegno_format::TreePath;
use rustix::fs::{AtFlags, FileType, fstat, readlinkat, statat};
use rustix::io::Errno;

use crate::leftover::is_leftover;
use crate::listing::{Listing, open_file, open_folder};
use crate::meta::{FileId, Meta};
use crate::{Rule, Selection};

/// The name that marks a cache folder, <https://bford.info/cachedir/>.
const CACHE_TAG: &[u8] = b"CACHEDIR.TAG";
/// The bytes that such a file starts with.
const CACHE_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Something in an open folder.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) dir: Arc<OwnedFd>,
    pub(crate) name: Vec<u8>,
    /// Below the root, without prefix.
    pub(crate) path: Vec<u8>,
}

/// One thing met on the way.
pub(crate) enum Step {
    /// A folder; what it holds follows. The root comes first, with an empty path.
    Folder { path: Vec<u8>, dir: Arc<OwnedFd>, meta: Meta },
    /// A regular file.
    File { place: Place, meta: Meta },
    /// A symbolic link that stays below the root.
    Link { place: Place, meta: Meta, target: Vec<u8> },
    /// Something that a backup leaves out.
    LeftOut { place: Place, rule: Rule, folder: bool },
    /// Gone between the listing and the look.
    Vanished { path: Vec<u8> },
    /// It cannot be looked at.
    Unreadable { path: Vec<u8>, source: io::Error },
}

/// A walk in ascending order of paths, folders right before what they hold. Other filesystems below
/// the root are entered. Holds one descriptor and the names of one folder for each level.
pub(crate) struct Walk {
    selection: Selection,
    skip: Vec<FileId>,
    stack: Vec<Frame>,
    first: Option<Step>,
}

struct Frame {
    dir: Arc<OwnedFd>,
    path: Vec<u8>,
    names: Listing,
    cache: bool,
}

impl Walk {
    /// Starts at an open root.
    pub(crate) fn new(root: OwnedFd, selection: &Selection, skip: &[FileId]) -> io::Result<Self> {
        let meta = Meta::from(fstat(&root)?);
        let names = Listing::read(&root)?;
        let dir = Arc::new(root);
        Ok(Self {
            selection: selection.clone(),
            skip: skip.to_vec(),
            first: Some(Step::Folder { path: Vec::new(), dir: Arc::clone(&dir), meta }),
            // A tag in the root itself does not count: that folder was asked for by name.
            stack: vec![Frame { dir, path: Vec::new(), names, cache: false }],
        })
    }

    /// Does not enter the folder that came last.
    pub(crate) fn skip_folder(&mut self) {
        self.stack.pop();
    }

    fn look(&mut self, place: Place, listed: FileType, cache: bool) -> Step {
        match self.try_look(&place, listed, cache) {
            Ok(step) => step,
            Err(Errno::NOENT) => Step::Vanished { path: place.path },
            Err(error) => Step::Unreadable { path: place.path, source: error.into() },
        }
    }

    fn try_look(
        &mut self,
        place: &Place,
        listed: FileType,
        cache: bool,
    ) -> rustix::io::Result<Step> {
        let left_out = |rule, folder| Ok(Step::LeftOut { place: place.clone(), rule, folder });
        let stat =
            || statat(&place.dir, &place.name[..], AtFlags::SYMLINK_NOFOLLOW).map(Meta::from);
        let listed = if listed == FileType::Unknown { stat()?.file_type } else { listed };
        let folder = listed == FileType::Directory;
        if is_leftover(&place.name) {
            return left_out(Rule::Own, folder);
        }
        if cache && place.name != CACHE_TAG {
            return left_out(Rule::CacheTag, folder);
        }
        if self.selection.leaves_out_path(&place.path) {
            return left_out(Rule::Glob, folder);
        }
        if !folder && self.selection.leaves_out_name(&place.name) {
            return left_out(Rule::Name, false);
        }
        let meta = stat()?;
        match meta.file_type {
            FileType::Directory if self.skip.contains(&meta.id) => left_out(Rule::Own, true),
            FileType::Directory => self.enter(place),
            FileType::RegularFile => Ok(Step::File { place: place.clone(), meta }),
            FileType::Symlink => {
                let target = readlinkat(&place.dir, &place.name[..], Vec::new())?.into_bytes();
                if stays_below(&place.path, &target) {
                    Ok(Step::Link { place: place.clone(), meta, target })
                } else {
                    left_out(Rule::LeavesRoot, false)
                }
            }
            _ => left_out(Rule::Special, false),
        }
    }

    fn enter(&mut self, place: &Place) -> rustix::io::Result<Step> {
        let dir = Arc::new(open_folder(&place.dir, &place.name)?);
        let meta = Meta::from(fstat(&dir)?);
        let names = Listing::read(&dir)?;
        let cache = names.contains(CACHE_TAG) && is_tagged(&dir);
        self.stack.push(Frame { dir: Arc::clone(&dir), path: place.path.clone(), names, cache });
        Ok(Step::Folder { path: place.path.clone(), dir, meta })
    }
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let frame = self.stack.last_mut()?;
            let Some((name, listed)) = frame.names.next() else {
                self.stack.pop();
                continue;
            };
            let path = below(&frame.path, &name);
            let place = Place { dir: Arc::clone(&frame.dir), name, path };
            let cache = frame.cache;
            return Some(self.look(place, listed, cache));
        }
    }
}

/// A path with one more component; the root is the empty path.
pub(crate) fn below(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() { name.to_vec() } else { [folder, b"/", name].concat() }
}

/// Whether a link at `path` below a root stays below that root.
pub(crate) fn stays_below(path: &[u8], target: &[u8]) -> bool {
    let root = TreePath::new("root").expect("a fixed valid path");
    root.join(path).is_ok_and(|link| link.link_stays_below(target, &root))
}

fn is_tagged(dir: &OwnedFd) -> bool {
    use std::os::unix::fs::FileExt as _;
    let Ok(file) = open_file(dir, CACHE_TAG) else { return false };
    let regular = fstat(&file)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    let mut start = [0; CACHE_SIGNATURE.len()];
    regular
        && std::fs::File::from(file).read_exact_at(&mut start, 0).is_ok()
        && start == CACHE_SIGNATURE
}
