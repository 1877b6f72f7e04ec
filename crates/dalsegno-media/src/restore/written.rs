//! Whether a live tree was written to since it was switched in.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use dalsegno_format::Timestamp;

use super::{Method, Switched};
use crate::capture::open_root;
use crate::error::io_error;
use crate::leftover::is_leftover;
use crate::walk::{Step, Walk};
use crate::{Cancel, MediaError, Selection};

/// The first path below a restored root (any bytes) whose content or attributes changed after the
/// switch (or, by a clock that was set back, before staging began), by its change time: a new, changed or renamed file, or a folder in which something came
/// or went. The root itself counts by what it holds, and when it is another folder than the one that
/// was switched in. `None` when there is none, or no root.
pub fn written_since(
    switched: &Switched,
    cancel: Cancel<'_>,
) -> Result<Option<Vec<u8>>, MediaError> {
    let (secs, nanos) = switched.at;
    let since = Timestamp { secs, nanos };
    let (secs, nanos) = switched.begun;
    let begun = Timestamp { secs, nanos };
    let root = match open_root(&switched.live) {
        Err(MediaError::RootMissing { .. }) => return Ok(None),
        root => root?,
    };
    if let Some(ours) = switched.root {
        let found = rustix::fs::fstat(&root).map_err(io_error("look at", &switched.live))?;
        if ours != found.st_ino {
            return Ok(Some(b".".to_vec()));
        }
    }
    let undone = |name: &OsStr| is_leftover(name.as_bytes());
    let moved = switched.method == Method::InPlace && switched.live.file_name().is_some_and(undone);
    let walk = Walk::new(root, &Selection::default(), &[])
        .map_err(io_error("list the folder", &switched.live))?;
    for step in walk {
        if cancel() {
            return Err(MediaError::Cancelled);
        }
        let (path, meta) = match step {
            Step::Folder { path, meta, .. } => (path, meta),
            Step::File { place, meta } | Step::Link { place, meta, .. } => (place.path, meta),
            _ => continue,
        };
        // Putting entries back one by one changed the times of these, but not when they were written.
        let changed = if moved && !path.contains(&b'/') { meta.mtime } else { meta.ctime };
        if !path.is_empty() && (changed > since || meta.ctime < begun) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
