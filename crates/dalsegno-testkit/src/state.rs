//! What a site holds, as the judge sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

use crate::python::try_prove;

/// Rows of every table of each database, and each file with hash, mode and time.
#[derive(Clone, PartialEq, Eq)]
pub struct State {
    lines: BTreeMap<String, Vec<String>>,
}

impl State {
    pub(crate) fn of(root: &Path) -> Self {
        let mut lines = BTreeMap::new();
        for database in ["db.sqlite3", "archive.sqlite3"] {
            lines.insert(database.to_owned(), rows(&root.join(database)));
        }
        for folder in ["media", "private"] {
            lines.insert(folder.to_owned(), files(&root.join(folder)));
        }
        Self { lines }
    }

    pub(crate) fn new(lines: BTreeMap<String, Vec<String>>) -> Self {
        Self { lines }
    }

    /// Only what lies in one of `db.sqlite3`, `archive.sqlite3`, `media`, `private`.
    pub fn part(&self, name: &str) -> &[String] {
        &self.lines[name]
    }
}

/// A line for each table of a database; one line when it does not exist or cannot be read.
pub(crate) fn rows(path: &Path) -> Vec<String> {
    judged(path, &[OsStr::new("rows"), path.as_os_str()])
}

/// A line for each entry of a folder; one line when it does not exist.
pub(crate) fn files(path: &Path) -> Vec<String> {
    judged(
        path,
        &[OsStr::new("files"), path.as_os_str(), OsStr::new("--times"), OsStr::new("--modes")],
    )
}

fn judged(path: &Path, args: &[&OsStr]) -> Vec<String> {
    if !path.exists() {
        return vec!["does not exist".to_owned()];
    }
    match try_prove(args) {
        Ok(lines) => lines.lines().map(str::to_owned).collect(),
        Err(reason) => vec![format!("cannot be read: {reason}")],
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.lines.iter().map(|(name, lines)| (name, lines.last()))).finish()
    }
}

/// Fails with the differing lines when two states are not equal.
#[track_caller]
pub fn assert_same(before: &State, after: &State) {
    let mut differing = Vec::new();
    for (part, lines) in &before.lines {
        let old: BTreeSet<&String> = lines.iter().collect();
        let new: BTreeSet<&String> = after.lines[part].iter().collect();
        differing.extend(old.difference(&new).map(|line| format!("- {part}: {line}")));
        differing.extend(new.difference(&old).map(|line| format!("+ {part}: {line}")));
    }
    differing.truncate(40);
    assert!(before == after, "the site is not what it was:\n{}", differing.join("\n"));
}
