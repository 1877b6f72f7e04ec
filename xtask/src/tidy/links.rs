//! Links between the documents lead somewhere.

use super::finding::Finding;
use super::tree::{SourceFile, Tree};

/// Checks the Markdown files at the root and below `docs/`. Links to other hosts, and the headings
/// that a `#` names, are not looked up.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let papers = tree.files.iter().filter(|file| {
        file.extension() == "md" && (!file.path.contains('/') || file.path.starts_with("docs/"))
    });
    papers.flat_map(|file| check_file(file, tree)).collect()
}

fn check_file(file: &SourceFile, tree: &Tree) -> Vec<Finding> {
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (at, line) in prose(&file.text) {
        for target in targets(&line) {
            let Some(path) = relative(target) else { continue };
            let what = match resolve(folder, &path) {
                None => format!("the link `{target}` leaves the repository"),
                Some(place) if !place.is_empty() && !tree.paths.contains(&place) => {
                    format!("the link `{target}` leads nowhere: there is no `{place}`")
                }
                Some(_) => continue,
            };
            findings.push(Finding::error(&file.path, at, what));
        }
    }
    findings
}

/// The lines outside fences, counted from 1, without what stands between backticks.
fn prose(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut fence: Option<&str> = None;
    for (at, line) in text.lines().enumerate() {
        let start = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|mark| start.starts_with(mark));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            (Some(_), _) => {}
            (None, None) => lines.push((at + 1, without_code(line))),
        }
    }
    lines
}

fn without_code(line: &str) -> String {
    let parts: Vec<&str> = line.split('`').collect();
    let last = parts.len() - 1;
    parts
        .into_iter()
        .enumerate()
        // A last backtick without its pair is a character like any other.
        .filter(|(number, _)| number % 2 == 0 || *number == last)
        .map(|(_, part)| part)
        .collect::<Vec<_>>()
        // The brackets of a link whose text is code stay together.
        .join("`")
}

/// What the links and pictures of a line, or its `[name]: target`, point to.
fn targets(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some((_, after)) = rest.split_once("](") {
        let target = match after.strip_prefix('<') {
            Some(bracketed) => bracketed.split('>').next(),
            None => after.split([')', ' ']).next(),
        };
        found.extend(target);
        rest = after;
    }
    let definition = line.trim_start().strip_prefix('[').and_then(|it| it.split_once("]: "));
    if let Some((_, target)) = definition {
        found.extend(target.split_whitespace().next());
    }
    found
}

/// The path of a link to a file of the repository, without `#heading`.
fn relative(target: &str) -> Option<String> {
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let elsewhere = path.is_empty() || path.starts_with("mailto:") || path.contains("://");
    (!elsewhere).then(|| path.replace("%20", " "))
}

/// `path` as seen from `folder`; a leading `/` is the root. None where it climbs out.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let from = if path.starts_with('/') { "" } else { folder };
    let mut steps: Vec<&str> = Vec::new();
    for step in from.split('/').chain(path.split('/')) {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()?),
            name => steps.push(name),
        }
    }
    Some(steps.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    fn said(path: &str, text: &str) -> Vec<String> {
        let mut tree = Tree { files: vec![file(path, text)], ..Tree::default() };
        for there in ["README.md", "docs/format.md", "docs/a picture.png", "crates/a/src/lib.rs"] {
            tree.add_path(there);
        }
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere() {
        for text in [
            "[format](docs/format.md) and [again](./docs/format.md#words)",
            "[folder](crates/a/) [`code`](crates/a/src/lib.rs) [here](#below)",
            "![picture](<docs/a picture.png>) ![picture](docs/a%20picture.png \"title\")",
            "[web](https://example.org/docs/none.md) [mail](mailto:a@example.org)",
            "[name]: docs/format.md",
            "`[code](docs/none.md)`",
            "```\n[code](docs/none.md)\n```\n",
            "~~~\n```\n~~~\n[root](.)",
        ] {
            assert_eq!(said("README.md", text), [""; 0], "{text}");
        }
        assert_eq!(
            said("docs/guide.md", "[a](format.md) [b](../README.md) [c](/README.md)"),
            [""; 0]
        );
    }

    #[test]
    fn links_that_lead_nowhere() {
        assert_eq!(
            said("README.md", "# Title\n\n[a](docs/none.md), [b](docs/format.md), [c](none)\n"),
            [
                "README.md:3: the link `docs/none.md` leads nowhere: there is no `docs/none.md`",
                "README.md:3: the link `none` leads nowhere: there is no `none`",
            ]
        );
        assert_eq!(
            said("docs/guide.md", "```\n```\n[`code`](docs/format.md#a)\n[a]: ../../x\n"),
            [
                "docs/guide.md:3: the link `docs/format.md#a` leads nowhere: \
                 there is no `docs/docs/format.md`",
                "docs/guide.md:4: the link `../../x` leaves the repository",
            ]
        );
    }

    #[test]
    fn other_papers_are_left_alone() {
        assert!(said("crates/a/notes.md", "[a](none)").is_empty());
        assert!(said("docs/a.txt", "[a](none)").is_empty());
    }
}
