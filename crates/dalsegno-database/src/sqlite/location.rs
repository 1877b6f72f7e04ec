use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::{DatabaseError, Result};

/// Where a live `SQLite` database lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    path: PathBuf,
}

impl Location {
    /// The database at `path`; a relative one counts from the working folder.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// What `NAME` of Django's settings means: a path, or a `file:` URI as SQLite reads it
    /// (<https://www.sqlite.org/uri.html>). A relative path counts from `base`.
    ///
    /// A URI's parameters say how the site opens the file, not how a backup does: they are
    /// dropped, but for those that make it another thing than a file.
    pub fn from_name(name: &str, base: &Path) -> Result<Self> {
        let bad = |reason| DatabaseError::BadName { name: name.to_owned(), reason };
        if name == ":memory:" {
            return Err(DatabaseError::InMemory { name: name.to_owned() });
        }
        let Some(uri) = name.strip_prefix("file:") else {
            if name.is_empty() {
                return Err(bad("it is empty"));
            }
            return Ok(Self { path: base.join(name) });
        };
        let uri = uri.split('#').next().unwrap_or_default();
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        for parameter in query.split('&') {
            match parameter.split_once('=') {
                Some(("mode", "memory")) => {
                    return Err(DatabaseError::InMemory { name: name.to_owned() });
                }
                Some(("vfs", _)) => return Err(bad("it names a file system of its own")),
                _ => {}
            }
        }
        let path = match path.strip_prefix("//") {
            None => path,
            Some(rest) => {
                let slash = rest.find('/').ok_or_else(|| bad("the URI has no path"))?;
                if !matches!(&rest[..slash], "" | "localhost") {
                    return Err(bad("the URI names another machine"));
                }
                &rest[slash..]
            }
        };
        let path = percent_decoded(path).ok_or_else(|| bad("the URI is malformed"))?;
        if path.is_empty() {
            return Err(bad("the URI has no path"));
        }
        if path == b":memory:" {
            return Err(DatabaseError::InMemory { name: name.to_owned() });
        }
        Ok(Self { path: base.join(OsString::from_vec(path)) })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || (bytes.next()? as char).to_digit(16);
            decoded.push(u8::try_from(digit()? << 4 | digit()?).ok().filter(|&b| b != 0)?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paths_or_uris() {
        for (name, expected) in [
            ("db.sqlite3", "/site/db.sqlite3"),
            ("/var/db 1.sqlite3", "/var/db 1.sqlite3"),
            ("file:db.sqlite3?mode=ro", "/site/db.sqlite3"),
            ("file:/var/d%20b?cache=shared#x", "/var/d b"),
            ("file:///var/db", "/var/db"),
            ("file://localhost/var/db", "/var/db"),
            ("données.db", "/site/données.db"),
        ] {
            let location = Location::from_name(name, Path::new("/site")).unwrap();
            assert_eq!(location.path(), Path::new(expected), "{name}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for name in [":memory:", "file::memory:?cache=shared", "file:x?mode=memory"] {
            let error = Location::from_name(name, Path::new("/site")).unwrap_err();
            assert!(matches!(error, DatabaseError::InMemory { .. }), "{name}: {error}");
        }
        for name in [
            "",
            "file:",
            "file:?mode=ro",
            "file://other/x",
            "file:x?vfs=y",
            "file:%0",
            "file:a%00b",
        ] {
            let error = Location::from_name(name, Path::new("/site")).unwrap_err();
            assert!(matches!(error, DatabaseError::BadName { .. }), "{name}: {error}");
        }
    }
}
