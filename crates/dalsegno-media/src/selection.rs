//! Which files of a storage belong into a backup.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::MediaError;

/// Patterns of what is left out. Two kinds:
///
/// * names (`BACKUP_MEDIA_EXCLUDE`): matched against the last component of everything that is not a
///   folder, so that `.*` leaves out `.htaccess` and keeps the folder `.well-known`;
/// * paths (`--exclude-media`): matched against the whole path below the root, of files and of
///   folders; a folder that matches is left out with all it holds. `*` also matches `/`, so `*.tmp`
///   matches at any depth and `cache/*` all that lies in `cache`.
///
/// Both are case-sensitive and match bytes that are not UTF-8.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    names: Option<Arc<GlobSet>>,
    paths: Option<Arc<GlobSet>>,
}

impl Selection {
    /// Compiles the patterns. Empty lists leave nothing out.
    pub fn new(names: &[String], paths: &[String]) -> Result<Self, MediaError> {
        let paths: Vec<String> = paths
            .iter()
            .map(|path| path.trim_start_matches("./").trim_matches('/').to_owned())
            .collect();
        Ok(Self { names: compile(names)?, paths: compile(&paths)? })
    }

    /// Whether a file (or link) of this name is left out, whatever its folder.
    pub fn leaves_out_name(&self, name: &[u8]) -> bool {
        matches(self.names.as_deref(), name)
    }

    /// Whether a file or folder at this path below the root is left out by a glob.
    pub fn leaves_out_path(&self, path: &[u8]) -> bool {
        matches(self.paths.as_deref(), path)
    }
}

fn compile(patterns: &[String]) -> Result<Option<Arc<GlobSet>>, MediaError> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let wrong = |reason: &str| MediaError::Pattern {
            pattern: pattern.clone(),
            reason: reason.to_owned(),
        };
        if pattern.is_empty() {
            return Err(wrong("it is empty"));
        }
        let glob = GlobBuilder::new(pattern)
            .literal_separator(false)
            .build()
            .map_err(|error| wrong(&error.kind().to_string()))?;
        set.add(glob);
    }
    let set = set.build().map_err(|error| MediaError::Pattern {
        pattern: error.glob().unwrap_or_default().to_owned(),
        reason: error.kind().to_string(),
    })?;
    Ok(Some(Arc::new(set)))
}

fn matches(set: Option<&GlobSet>, bytes: &[u8]) -> bool {
    set.is_some_and(|set| set.is_match(Path::new(OsStr::from_bytes(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names() {
        let selection = Selection::new(&texts(&[".*", "*~"]), &[]).unwrap();
        for (name, out) in [
            (&b".htaccess"[..], true),
            (b"x~", true),
            (b"~", true),
            (b"a\nb~", true),
            (b"\xff\xfe~", true),
            (b".", true),
            (b"x~y", false),
            (b"a.b", false),
            (b"\xff", false),
        ] {
            assert_eq!(selection.leaves_out_name(name), out, "{name:?}");
        }
        assert!(!selection.leaves_out_path(b".htaccess"));
        assert!(!Selection::default().leaves_out_name(b".x"));
    }

    #[test]
    fn paths() {
        let globs = texts(&["*.tmp", "cache/*", "./videos/", "/top", "pics/[ab]?.jpg"]);
        let selection = Selection::new(&[], &globs).unwrap();
        for (path, out) in [
            (&b"x.tmp"[..], true),
            (b"a/b/x.tmp", true),
            (b"cache", false),
            (b"cache/a/b", true),
            (b"videos", true),
            (b"a/videos", false),
            (b"top", true),
            (b"pics/a1.jpg", true),
            (b"pics/c1.jpg", false),
            (b"X.TMP", false),
            (b"a\xff/\n.tmp", true),
        ] {
            assert_eq!(selection.leaves_out_path(path), out, "{:?}", path.escape_ascii());
        }
    }

    #[test]
    fn wrong_patterns_are_named() {
        for bad in ["a[", "", "{a"] {
            let error = Selection::new(&texts(&[bad]), &[]).unwrap_err();
            assert!(error.to_string().starts_with(&format!("pattern `{bad}` cannot be read: ")));
            assert_eq!(error.kind(), dalsegno_format::ErrorKind::Usage);
        }
    }
}
