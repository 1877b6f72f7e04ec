//! Where a SQLite database lies, from the forms that `NAME` may take.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// What SQLite opens for a name, with relative paths resolved.
///
/// URI file names follow <https://www.sqlite.org/uri.html>; Django always allows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqliteLocation {
    /// A plain file name.
    File(PathBuf),
    /// Nothing on disk: `:memory:`, `mode=memory`, a temporary database.
    Memory,
    /// A file named by a URI with parameters.
    Uri {
        /// The file.
        path: PathBuf,
        /// Opened for reading only: `mode=ro` or `immutable=1`.
        read_only: bool,
        /// The parameters in order, decoded.
        parameters: Vec<(String, String)>,
    },
}

impl SqliteLocation {
    /// Reads a `NAME`; a relative path starts at `base`, the project's working folder.
    pub fn parse(name: &str, base: &Path) -> Self {
        if name.is_empty() || name == ":memory:" {
            return Self::Memory;
        }
        let Some(rest) = name.strip_prefix("file:") else {
            return Self::File(base.join(name));
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (encoded, query) = rest.split_once('?').unwrap_or((rest, ""));
        let parameters: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                (text(key), text(value))
            })
            .collect();
        let encoded = match encoded.strip_prefix("//") {
            Some(after) => Cow::Owned(format!("/{}", after.split_once('/').map_or("", |s| s.1))),
            None => Cow::Borrowed(encoded),
        };
        let path = percent_decoded(&encoded);
        let value =
            |key: &str| parameters.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let in_memory = value("mode") == Some("memory") || value("vfs") == Some("memdb");
        if in_memory || path.is_empty() || path == b":memory:" {
            return Self::Memory;
        }
        let read_only = value("mode") == Some("ro")
            || value("immutable").is_some_and(|v| !matches!(v, "0" | "no" | "off" | "false" | ""));
        Self::Uri { path: base.join(OsString::from_vec(path)), read_only, parameters }
    }

    /// The file, unless the database lives in memory.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) | Self::Uri { path, .. } => Some(path),
            Self::Memory => None,
        }
    }

    /// Whether the project itself never writes it.
    pub fn is_read_only(&self) -> bool {
        matches!(self, Self::Uri { read_only: true, .. })
    }
}

/// The bytes that a text with `%XX` sequences stands for; a `%` before anything else stays.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let source = text.as_bytes();
    let mut bytes = Vec::with_capacity(source.len());
    let mut at = 0;
    while let Some(&byte) = source.get(at) {
        let digit = |offset: usize| {
            source
                .get(at + offset)
                .and_then(|&d| char::from(d).to_digit(16))
                .and_then(|d| u8::try_from(d).ok())
        };
        if byte == b'%'
            && let (Some(high), Some(low)) = (digit(1), digit(2))
        {
            bytes.push(high << 4 | low);
            at += 3;
        } else {
            bytes.push(byte);
            at += 1;
        }
    }
    bytes
}

fn text(encoded: &str) -> String {
    String::from_utf8_lossy(&percent_decoded(encoded)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str) -> SqliteLocation {
        SqliteLocation::parse(name, Path::new("/site"))
    }

    #[test]
    fn plain_names() {
        for (name, path) in [
            ("db.sqlite3", "/site/db.sqlite3"),
            ("/var/db with space/é.db", "/var/db with space/é.db"),
            ("100%25.db", "/site/100%25.db"),
            ("name?mode=ro", "/site/name?mode=ro"),
        ] {
            assert_eq!(parse(name), SqliteLocation::File(path.into()), "{name}");
        }
    }

    #[test]
    fn names_in_memory() {
        for name in [
            ":memory:",
            "file::memory:?cache=shared",
            "file:x?mode=memory&cache=shared",
            "file:",
            "",
        ] {
            assert_eq!(parse(name), SqliteLocation::Memory, "{name}");
            assert_eq!(parse(name).path(), None);
        }
    }

    #[test]
    fn uris() {
        for (name, path, read_only) in [
            ("file:db.sqlite3?mode=ro", "/site/db.sqlite3", true),
            ("file:/abs/a%20b%3F.db?cache=shared", "/abs/a b?.db", false),
            ("file:///abs/x.db", "/abs/x.db", false),
            ("file://localhost/abs/x.db?immutable=1#top", "/abs/x.db", true),
            ("file:a+b%zz.db?mode=rw&mode=ro", "/site/a+b%zz.db", true),
        ] {
            let location = parse(name);
            assert!(matches!(location, SqliteLocation::Uri { .. }), "{name}");
            assert_eq!(location.path(), Some(Path::new(path)), "{name}");
            assert_eq!(location.is_read_only(), read_only, "{name}");
        }
    }
}
