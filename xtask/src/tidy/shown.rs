//! Documents that name a test as their proof name one that exists.

use std::collections::BTreeSet;

use super::finding::Finding;
use super::tree::SourceFile;

/// The heading of a column of tests.
const HEADING: &str = "shown by";

/// Checks the tables of the Markdown files below `docs/` that have a column `shown by`: each name
/// between backticks in it is that of a test in Rust, and no row is without one.
pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let papers: Vec<&SourceFile> = files
        .iter()
        .filter(|file| file.path.starts_with("docs/") && file.extension() == "md")
        .collect();
    if papers.iter().all(|file| !file.text.contains(HEADING)) {
        return Vec::new();
    }
    let tests: BTreeSet<&str> =
        files.iter().filter(|file| file.extension() == "rs").flat_map(tests_of).collect();
    papers.into_iter().flat_map(|file| check_file(file, &tests)).collect()
}

fn check_file(file: &SourceFile, tests: &BTreeSet<&str>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut column = None;
    for (at, line) in file.text.lines().enumerate() {
        let Some(cells) = cells(line) else {
            column = None;
            continue;
        };
        let Some(number) = column else {
            column = cells.iter().position(|cell| *cell == HEADING);
            continue;
        };
        let cell = cells.get(number).copied().unwrap_or_default();
        if cell.chars().all(|c| c == '-' || c == ':') && !cell.is_empty() {
            continue;
        }
        let names: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            findings.push(Finding::error(&file.path, at + 1, "no test shows this"));
        }
        findings.extend(
            names.into_iter().filter(|name| !tests.contains(name)).map(|name| {
                Finding::error(&file.path, at + 1, format!("there is no test `{name}`"))
            }),
        );
    }
    findings
}

/// The cells of a line of a table.
fn cells(line: &str) -> Option<Vec<&str>> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(row.split('|').map(str::trim).collect())
}

/// The names of the functions that follow `#[test]`.
fn tests_of(file: &SourceFile) -> Vec<&str> {
    let mut marked = false;
    let mut names = Vec::new();
    for line in file.text.lines().map(str::trim) {
        if line == "#[test]" {
            marked = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if marked {
                names.extend(rest.split('(').next());
            }
            marked = false;
        } else if !line.starts_with("#[") && !line.starts_with("//") {
            marked = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    const TESTS: &str = "#[test]\n#[cfg(unix)]\nfn rows_stay() {\n}\n\nfn no_test() {\n}\n";

    fn said(paper: &str) -> Vec<String> {
        let files = [file("docs/a.md", paper), file("crates/a/tests/a.rs", TESTS)];
        check(&files).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn names_of_tests_that_exist() {
        let paper = "| what | shown by |\n|---|---|\n| a `word` | `rows_stay` |\n\n| a | b |\n|--|--|\n| c | `d` |\n";
        assert_eq!(said(paper), [""; 0]);
        assert_eq!(said("shown by `nobody`, outside a table"), [""; 0]);
    }

    #[test]
    fn names_of_nothing() {
        let paper = "# T\n\n| what | shown by | more |\n|---|:---|---|\n| a | `gone`, `rows_stay` | x |\n| b | `no_test` | x |\n| c | by hand | x |\n";
        assert_eq!(
            said(paper),
            [
                "docs/a.md:5: there is no test `gone`",
                "docs/a.md:6: there is no test `no_test`",
                "docs/a.md:7: no test shows this",
            ]
        );
    }
}
