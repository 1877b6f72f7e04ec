//! Files, folders and modules are nouns and verbs of the glossary.

use super::finding::Finding;
use super::tree::SourceFile;

/// Names that say nothing of what is inside. `helper` is a word of the glossary.
const EMPTY: &[&str] =
    &["common", "core", "handler", "helpers", "manager", "misc", "service", "utils"];

/// Kept for the users who import it.
const EXCEPTIONS: &[&str] = &["python/backups/utils.py"];

const LANGUAGES: &[&str] = &["py", "rs", "sh"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let sources = files
        .iter()
        .filter(|file| LANGUAGES.contains(&file.extension()))
        .filter(|file| !EXCEPTIONS.contains(&file.path.as_str()));
    for file in sources {
        let (stem, _) = file.path.rsplit_once('.').unwrap_or((&file.path, ""));
        if let Some(name) = stem.split('/').find(|name| EMPTY.contains(name)) {
            findings.push(Finding::error(&file.path, 1, complaint(name)));
        }
        if file.extension() == "rs" {
            let modules = file.text.lines().enumerate().filter_map(|(at, line)| {
                let name = inline_module(line).filter(|name| EMPTY.contains(name))?;
                Some(Finding::error(&file.path, at + 1, complaint(name)))
            });
            findings.extend(modules);
        }
    }
    findings
}

fn complaint(name: &str) -> String {
    format!("`{name}` says nothing of what is inside: name it by a word of the glossary")
}

/// The name of a module whose text is in this file; one in a file of its own is met there.
fn inline_module(line: &str) -> Option<&str> {
    let declared = line.trim().strip_suffix('{')?;
    let (before, name) = declared.trim_end().rsplit_once("mod ")?;
    (before.is_empty() || before.starts_with("pub")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    #[test]
    fn empty_names() {
        let found = check(&[
            file("crates/a/src/utils.rs", ""),
            file("crates/a/tests/common/mod.rs", ""),
            file("python/dalsegno/helpers.py", ""),
            file("crates/a/src/lib.rs", "\nmod misc {\n}\n    pub(crate) mod core {"),
            file("python/backups/utils.py", ""),
            file("crates/a/src/helper.rs", "mod tests {\nfn core() {}\nlet mod_common = 1;\n"),
            file("crates/a/src/commonplace.rs", "mod path;\n// a mod utils {"),
            file("docs/common.md", ""),
        ]);
        let places: Vec<_> = found.iter().map(|it| (it.path.as_str(), it.line)).collect();
        assert_eq!(
            places,
            [
                ("crates/a/src/utils.rs", 1),
                ("crates/a/tests/common/mod.rs", 1),
                ("python/dalsegno/helpers.py", 1),
                ("crates/a/src/lib.rs", 2),
                ("crates/a/src/lib.rs", 4),
            ]
        );
        assert!(found[3].what.starts_with("`misc` says nothing"));
    }
}
