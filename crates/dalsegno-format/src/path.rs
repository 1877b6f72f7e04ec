//! Paths inside a backup tree.

use std::cmp::Ordering;
use std::fmt;

/// The path of a member: one or more components joined by `/`, each any bytes but `/` and NUL, none
/// empty, `.` or `..`. Never absolute, never escaping the tree, at most 64 KiB long.
///
/// Paths are ordered component by component, so that a folder comes right before what lies in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TreePath(Vec<u8>);

/// Why some bytes are no member path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// The path is empty or has an empty component (`//`, a leading or trailing `/`).
    #[error("path `{0}` is absolute or has an empty component")]
    Empty(String),
    /// A component is `.` or `..`.
    #[error("path `{0}` has a component `.` or `..`")]
    Dots(String),
    /// The path holds a NUL byte or is longer than 64 KiB.
    #[error("path `{0}` holds a NUL byte or is too long")]
    Bytes(String),
}

impl TreePath {
    /// The longest path, in bytes.
    pub const MAX_LEN: usize = 64 * 1024;

    /// Checks and takes the bytes of a path.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, PathError> {
        let bytes = bytes.into();
        let shown = || String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
        if bytes.len() > Self::MAX_LEN || bytes.contains(&0) {
            return Err(PathError::Bytes(shown()));
        }
        for component in bytes.split(|&b| b == b'/') {
            match component {
                b"" => return Err(PathError::Empty(shown())),
                b"." | b".." => return Err(PathError::Dots(shown())),
                _ => {}
            }
        }
        Ok(Self(bytes))
    }

    /// This path with further components below it.
    pub fn join(&self, below: impl AsRef<[u8]>) -> Result<Self, PathError> {
        Self::new([&self.0, &b"/"[..], below.as_ref()].concat())
    }

    /// The bytes, as they were given.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components, first to last; never none.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/')
    }

    /// The last component.
    pub fn name(&self) -> &[u8] {
        self.0.rsplit(|&b| b == b'/').next().unwrap_or(&self.0)
    }

    /// The path of the folder that holds this one; `None` at the top of the tree.
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|&b| b == b'/')?;
        Some(Self(self.0[..slash].to_vec()))
    }

    /// What follows `folder` and its `/`; `None` when this path is not below `folder`.
    pub fn below(&self, folder: &Self) -> Option<&[u8]> {
        self.0.strip_prefix(folder.as_bytes())?.strip_prefix(b"/")
    }

    /// Whether a symbolic link at this path with this target stays below `root`, read as text: no
    /// absolute target; `..` at the beginning only, and no more of it than there are folders between
    /// `root` and the link. After a name it might go up from wherever another link leads.
    pub fn link_stays_below(&self, target: &[u8], root: &Self) -> bool {
        let Some(rest) = self.below(root) else { return false };
        let mut above = rest.iter().filter(|&&b| b == b'/').count();
        let mut named = false;
        if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
            return false;
        }
        for component in target.split(|&b| b == b'/') {
            match component {
                b"" | b"." => {}
                b".." if named || above == 0 => return false,
                b".." => above -= 1,
                _ => named = true,
            }
        }
        true
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.components().cmp(other.components())
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TreePath {
    /// The path for people: bytes that are not UTF-8 are replaced, control characters escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in String::from_utf8_lossy(&self.0).chars() {
            if c.is_control() {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreePath({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    #[test]
    fn hostile_paths_are_refused() {
        for bad in ["", "/", "/etc/passwd", "a//b", "a/", "..", "a/../b", ".", "a/./b", "a\0b"] {
            assert!(TreePath::new(bad).is_err(), "{bad:?}");
        }
        assert!(TreePath::new(vec![b'a'; TreePath::MAX_LEN + 1]).is_err());
        for good in ["a", "a/b", "...", "a\nb", "a b/ü"] {
            assert!(TreePath::new(good).is_ok(), "{good:?}");
        }
        assert!(TreePath::new(vec![0xe9, b'/', 0xff]).is_ok());
    }

    #[test]
    fn a_folder_sorts_right_before_its_content() {
        let mut paths = ["a-b", "a/z", "a", "a.txt", "a/b/c", "a/b"].map(path).to_vec();
        paths.sort();
        let sorted: Vec<String> = paths.iter().map(ToString::to_string).collect();
        assert_eq!(sorted, ["a", "a/b", "a/b/c", "a/z", "a-b", "a.txt"]);
    }

    #[test]
    fn links() {
        let root = path("files");
        for (link, target, stays) in [
            ("files/a", "b", true),
            ("files/a", "../b", false),
            ("files/d/a", "../b", true),
            ("files/d/a", "../../b", false),
            ("files/d/a", "x/../../../b", false),
            // `x` may be a link to `.`.
            ("files/d/a", "x/../../b", false),
            ("files/d/a", "x/..", false),
            ("files/d/a", "./../x//y/.", true),
            ("files/a", "/etc", false),
            ("files/a", "", false),
            ("other/a", "b", false),
            ("files/d/a", "..", true),
        ] {
            assert_eq!(
                path(link).link_stays_below(target.as_bytes(), &root),
                stays,
                "{link} -> {target}"
            );
        }
    }

    #[test]
    fn parents_and_remainders() {
        assert_eq!(path("a/b/c").parent(), Some(path("a/b")));
        assert_eq!(path("a").parent(), None);
        assert_eq!(path("a/b").below(&path("a")), Some(&b"b"[..]));
        assert_eq!(path("ab").below(&path("a")), None);
        assert_eq!(path("a/b").name(), b"b");
    }
}
