//! A quick count of what a capture would read.

use std::collections::HashSet;
use std::path::Path;

use crate::capture::open_root;
use crate::walk::{Step, Walk};
use crate::{Cancel, MediaError, Selection};

/// What a storage holds, by `stat` alone: an estimate, since nothing is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Survey {
    /// Regular files, each inode once.
    pub files: u64,
    /// Their bytes as a reader sees them.
    pub bytes: u64,
    /// The bytes they take on disk: smaller with holes.
    pub stored: u64,
    /// Folders, the root included.
    pub folders: u64,
    /// Symbolic links, and further names of files.
    pub links: u64,
    /// What the selection and the rules leave out; a folder counts as one.
    pub left_out: u64,
    /// What cannot be looked at.
    pub unreadable: u64,
}

/// Walks the tree. `skip` is as in [`crate::CaptureOptions::skip`].
pub fn survey(
    root: &Path,
    selection: &Selection,
    skip: &[(u64, u64)],
    cancel: Cancel<'_>,
) -> Result<Survey, MediaError> {
    let mut survey = Survey::default();
    let mut linked = HashSet::new();
    for step in open_root(root).and_then(|fd| {
        Walk::new(fd, selection, skip).map_err(crate::error::io_error("list the folder", root))
    })? {
        if cancel() {
            return Err(MediaError::Cancelled);
        }
        match step {
            Step::Folder { .. } => survey.folders += 1,
            Step::File { meta, .. } if meta.links > 1 && !linked.insert(meta.id) => {
                survey.links += 1;
            }
            Step::File { meta, .. } => {
                survey.files += 1;
                survey.bytes += meta.size;
                survey.stored += meta.stored.min(meta.size);
            }
            Step::Link { .. } => survey.links += 1,
            Step::LeftOut { .. } => survey.left_out += 1,
            Step::Vanished { .. } => {}
            Step::Unreadable { .. } => survey.unreadable += 1,
        }
    }
    Ok(survey)
}
