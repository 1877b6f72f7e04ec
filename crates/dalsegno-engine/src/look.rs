//! Looking inside a backup without restoring it.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use dalsegno_archive::{Archive, Peek};
use dalsegno_format::{Entry, Sha256, TreePath};
use dalsegno_store::StoreError;

use crate::open::{not_opened, open};
use crate::tables::write_rows;
use crate::{EngineError, Run};

/// What a backup says of itself, from a few bytes of it.
pub fn peek(source: &Path) -> Result<Peek, EngineError> {
    Archive::peek(source).map_err(|error| not_opened(error, source))
}

/// Calls `each` for every member at or below `path`, in the order of the tree; returns how many.
pub fn contents(
    source: &Path,
    path: Option<&TreePath>,
    each: &mut dyn FnMut(Entry, Option<Sha256>),
) -> Result<u64, EngineError> {
    let archive = open(source)?;
    let mut shown = 0;
    for member in archive.entries()? {
        let (entry, sha256) = member?;
        let wanted =
            path.is_none_or(|path| entry.path == *path || entry.path.below(path).is_some());
        if wanted {
            shown += 1;
            each(entry, sha256);
        }
    }
    match path {
        Some(path) if shown == 0 => Err(absent(path)),
        _ => Ok(shown),
    }
}

/// A path of a backup as a user types it: a trailing `/` does not matter.
pub fn tree_path(text: &[u8]) -> Result<TreePath, EngineError> {
    let trimmed = text.strip_suffix(b"/").unwrap_or(text);
    TreePath::new(trimmed).map_err(|e| EngineError::Request {
        problem: e.to_string(),
        hint: Some("Give the path as `dalsegno contents` prints it.".to_owned()),
    })
}

fn absent(path: &TreePath) -> EngineError {
    EngineError::Request {
        problem: format!("the backup holds no `{path}`"),
        hint: Some("`dalsegno contents` lists what it holds.".to_owned()),
    }
}

/// Copies one file of a backup into `out` and checks it on the way; of a table in the folder of a
/// captured database its rows, as JSON lines. Returns the bytes written.
pub fn get(
    source: &Path,
    path: &TreePath,
    out: &mut dyn Write,
    run: Run<'_>,
) -> Result<u64, EngineError> {
    let archive = open(source)?;
    let opened = archive.open_member(path);
    if matches!(opened, Err(dalsegno_archive::ArchiveError::NoMember { .. })) {
        let mut counted = Counted { out, bytes: 0 };
        return match write_rows(&archive, path, &mut counted, run)? {
            Some(_) => Ok(counted.bytes),
            None => Err(absent(path)),
        };
    }
    let mut member = opened.map_err(|e| match e {
        dalsegno_archive::ArchiveError::Member { .. } => EngineError::Request {
            problem: format!("`{path}` is not a file"),
            hint: Some("`dalsegno contents` lists what lies in a folder.".to_owned()),
        },
        e => e.into(),
    })?;
    run.progress.stage(&format!("reading {path}"), None);
    copy(&mut *member, out, source, run)
}

/// Counts what goes through it.
struct Counted<'a> {
    out: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Copies a member of a backup, which is checked on the way.
pub(crate) fn copy(
    member: &mut dyn Read,
    out: &mut dyn Write,
    source: &Path,
    run: Run<'_>,
) -> Result<u64, EngineError> {
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        run.check_cancelled()?;
        let n = match member.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) if e.kind() == io::ErrorKind::InvalidData => {
                return Err(EngineError::Damaged {
                    path: source.to_owned(),
                    first: e.to_string(),
                    count: 1,
                });
            }
            Err(e) => return Err(EngineError::io("read", source, e)),
        };
        out.write_all(&buffer[..n])
            .map_err(|e| StoreError::io("write", Path::new("the output"), e))?;
        size += n as u64;
        run.progress.advance(n as u64);
    }
}

/// Like [`get`], into a new file (mode 0600) that is only there when all of it was right.
pub fn get_to_file(
    source: &Path,
    path: &TreePath,
    target: &Path,
    run: Run<'_>,
) -> Result<u64, EngineError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)
        .map_err(|e| EngineError::Store(StoreError::io("create", target, e)))?;
    let done = get(source, path, &mut file, run).and_then(|size| {
        file.sync_all().map(|()| size).map_err(|e| EngineError::io("write", target, e))
    });
    if done.is_err() {
        let _ = std::fs::remove_file(target);
    }
    done
}
