//! What a rule has to say, and where.

use std::collections::BTreeMap;
use std::fmt;

/// An error fails the check; a question is for a person to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Weight {
    Error,
    Question,
}

/// One place that breaks a rule. Sorted by file and line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Finding {
    /// From the root of the repository.
    pub(super) path: String,
    /// Counted from 1.
    pub(super) line: usize,
    pub(super) weight: Weight,
    pub(super) what: String,
}

impl Finding {
    pub(super) fn error(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, weight: Weight::Error, what: what.into() }
    }

    pub(super) fn question(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, weight: Weight::Question, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.weight == Weight::Question { "question: " } else { "" };
        write!(f, "{}:{}: {mark}{}", self.path, self.line, self.what)
    }
}

/// The first line of `path` that begins with `start`, and goes on with no letter of a longer name;
/// 1 where there is none. `files` are texts by path.
pub(super) fn line_of(files: &BTreeMap<&str, &str>, path: &str, start: &str) -> usize {
    let names_it = |line: &str| {
        line.trim_start().strip_prefix(start).is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || "_-".contains(next))
        })
    };
    files.get(path).and_then(|text| text.lines().position(names_it)).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_lines_that_editors_follow() {
        assert_eq!(Finding::error("a/b.rs", 3, "is wrong").to_string(), "a/b.rs:3: is wrong");
        assert_eq!(Finding::question("b.rs", 1, "why?").to_string(), "b.rs:1: question: why?");
    }

    #[test]
    fn the_line_of_a_dependency() {
        let files =
            BTreeMap::from([("Cargo.toml", "[dependencies]\nclap_complete = 1\nclap = 4\n")]);
        assert_eq!(line_of(&files, "Cargo.toml", "clap"), 3);
        assert_eq!(line_of(&files, "Cargo.toml", "tokio"), 1);
        assert_eq!(line_of(&files, "absent", "clap"), 1);
    }
}
