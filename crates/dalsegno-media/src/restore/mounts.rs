//! Where filesystems are mounted.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::MediaError;
use crate::error::io_error;

const MOUNTS: &str = "/proc/self/mountinfo";

/// Whether a folder (a resolved path) is where a filesystem, or another folder, is mounted.
pub(crate) fn is_mount_point(folder: &Path) -> Result<bool, MediaError> {
    Ok(mount_points()?.iter().any(|mounted| mounted == folder))
}

/// The first mount below a folder (a resolved path).
pub(crate) fn mounted_below(folder: &Path) -> Result<Option<PathBuf>, MediaError> {
    let below = |mounted: &PathBuf| mounted != folder && mounted.starts_with(folder);
    Ok(mount_points()?.into_iter().find(below))
}

/// Where the filesystem is mounted that a path lies on, or would; `None` where mounts are not known.
pub fn mount_of(path: &Path) -> Result<Option<PathBuf>, MediaError> {
    let path = super::resolve(path)?;
    let holds = |mounted: &PathBuf| path.starts_with(mounted);
    Ok(mount_points()?.into_iter().filter(holds).max_by_key(|mounted| mounted.as_os_str().len()))
}

/// Mount points as this process sees them, bind mounts too; empty where there is no `/proc`.
fn mount_points() -> Result<Vec<PathBuf>, MediaError> {
    match std::fs::read(MOUNTS) {
        Ok(table) => Ok(parse(&table)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io_error("read", MOUNTS)(error)),
    }
}

/// The fifth field of each line, proc(5); space, tab, newline and backslash are written in octal.
fn parse(table: &[u8]) -> Vec<PathBuf> {
    table
        .split(|&b| b == b'\n')
        .filter_map(|line| line.split(|&b| b == b' ').nth(4))
        .map(|field| PathBuf::from(OsString::from_vec(unescape(field))))
        .collect()
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = (byte == b'\\')
            .then(|| after.get(..3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        raw.push(octal.unwrap_or(byte));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    raw
}

/// A path with its last component's bytes; for messages and names.
pub(crate) fn last_component(path: &Path) -> &[u8] {
    path.file_name().map_or(b"", |name| name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_table() {
        let table = b"21 1 0:5 / / rw - ext4 /dev/vda rw\n\
            22 21 0:6 /x /a\\040b\\134c rw,nosuid shared:1 - tmpfs none rw\n";
        assert_eq!(parse(table), [PathBuf::from("/"), PathBuf::from("/a b\\c")]);
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(mounted_below(Path::new("/")).unwrap().is_some());
        assert_eq!(mounted_below(Path::new("/proc/self/fd")).unwrap(), None);
    }
}
