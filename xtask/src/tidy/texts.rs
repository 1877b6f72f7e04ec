//! Words that no file of the repository may hold: what is unfinished, what only holds on one
//! machine, and what does not belong in a product. The list is written in halves, since this file
//! is checked as well.

use super::finding::Finding;
use super::tree::SourceFile;

/// How a text is looked for.
enum Match {
    /// Not as a part of a longer word.
    Word,
    /// The same, in capital and small letters, and in the names of files too.
    Name,
    /// At the start of a path.
    Path,
}

const FORBIDDEN: &[(&str, Match, &str)] = &[
    (concat!("to", "do!("), Match::Word, "finish it"),
    (concat!("unimple", "mented!("), Match::Word, "finish it"),
    (concat!("FIX", "ME"), Match::Word, "fix it"),
    (concat!("db", "g!("), Match::Word, "take it out"),
    (concat!("/wo", "rk/"), Match::Path, "it is the path of one machine"),
    (concat!("/ro", "ot/"), Match::Path, "it is the path of one machine"),
    (concat!("Cla", "ude"), Match::Name, "it does not belong here"),
    (concat!("Anth", "ropic"), Match::Name, "it does not belong here"),
    (concat!("Chat", "GPT"), Match::Name, "it does not belong here"),
    (concat!("LL", "M"), Match::Name, "it does not belong here"),
    (concat!("AI-gene", "rated"), Match::Name, "it does not belong here"),
    (concat!("as an ", "AI"), Match::Name, "it does not belong here"),
];

const IGNORED: &str = concat!("#[ig", "nore");

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files {
        let named = FORBIDDEN.iter().filter(|(_, how, _)| matches!(how, Match::Name));
        findings.extend(named.filter(|(text, how, _)| holds(&file.path, text, how)).map(
            |(text, _, why)| Finding::error(&file.path, 1, format!("`{text}` is its name: {why}")),
        ));
        for (at, line) in file.text.lines().enumerate() {
            let found = FORBIDDEN.iter().filter(|(text, how, _)| holds(line, text, how));
            findings.extend(found.map(|(text, _, why)| {
                Finding::error(&file.path, at + 1, format!("`{text}` is left: {why}"))
            }));
        }
        findings.extend(skipped_tests(file));
    }
    findings
}

fn holds(line: &str, text: &str, how: &Match) -> bool {
    if matches!(how, Match::Name) {
        return holds(&line.to_ascii_lowercase(), &text.to_ascii_lowercase(), &Match::Word);
    }
    line.match_indices(text).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + text.len()..].chars().next();
        let is_word = |next: Option<char>| next.is_some_and(|it| it.is_alphanumeric() || it == '_');
        match how {
            // What ends in a bracket is a whole word whatever follows.
            Match::Word | Match::Name => {
                !is_word(before) && (text.ends_with('(') || !is_word(after))
            }
            Match::Path => !is_word(before) && !before.is_some_and(|it| ".-})>*~/".contains(it)),
        }
    })
}

/// A test that is ignored runs if another one starts it, as another user or with mounts of its own,
/// and names it in a string to do so. Any other is skipped, and nobody will notice.
fn skipped_tests(file: &SourceFile) -> Vec<Finding> {
    if file.extension() != "rs" {
        return Vec::new();
    }
    let lines: Vec<&str> = file.text.lines().collect();
    let ignored = lines.iter().enumerate().filter(|(_, line)| line.trim().starts_with(IGNORED));
    ignored
        .filter(|(at, _)| {
            let name =
                lines[*at..].iter().find_map(|line| line.split_once("fn ")?.1.split('(').next());
            name.is_none_or(|name| !is_named_in_a_string(&file.text, name))
        })
        .map(|(at, _)| {
            let what = format!("`{IGNORED}`: no other test of this file starts this one by name");
            Finding::error(&file.path, at + 1, what)
        })
        .collect()
}

fn is_named_in_a_string(text: &str, name: &str) -> bool {
    text.match_indices(&format!("{name}\"")).any(|(at, _)| text[..at].ends_with(['"', ':']))
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&[file(path, text)]).iter().map(|finding| finding.line).collect()
    }

    /// The texts of this file are put together, so that it does not break its own rule.
    fn joined(halves: &[(&str, &str)]) -> String {
        halves.iter().flat_map(|(a, b)| [*a, *b, "\n"]).collect()
    }

    #[test]
    fn what_is_left() {
        let text = joined(&[
            ("    to", "do!()"),
            ("x = db", "g!(y)"),
            ("// FIX", "ME later"),
            ("std::unimple", "mented!(\"x\")"),
            ("open(\"/wo", "rk/x\")"),
            ("/ro", "ot/.cargo"),
            ("written by Cla", "ude."),
            ("an LL", "M, as an "),
            ("as an ", "AI I"),
        ]);
        assert_eq!(lines("docs/x.md", &text), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn what_only_looks_like_it() {
        let text = joined(&[
            ("not_to", "do!()"),
            ("PRE", "FIXMENT"),
            ("{home}/wo", "rk/x and ../wo"),
            ("media/ro", "ot/a"),
            ("Cla", "udette Colbert"),
            ("LL", "MNR"),
            ("as an ", "AIRPORT"),
        ]);
        assert_eq!(lines("a.rs", &text), [0; 0]);
    }

    #[test]
    fn names_in_other_letters_and_of_files() {
        let text = joined(&[("see cla", "ude.md"), ("ANTH", "ROPIC"), ("fix", "me")]);
        assert_eq!(lines("a.md", &text), [1, 2]);
        let found = check(&[file(concat!("CLA", "UDE.md"), "")]);
        assert!(found[0].what.ends_with("is its name: it does not belong here"), "{found:?}");
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn the_message_names_the_text() {
        let found = check(&[file("a.rs", &joined(&[("", ""), ("FIX", "ME")]))]);
        assert_eq!(found[0].to_string(), format!("a.rs:2: `FIX{}` is left: fix it", "ME"));
    }

    #[test]
    fn ignored_tests_have_to_be_started_by_another() {
        let ignored = |name: &str| format!("#[test]\n{IGNORED} = \"why\"]\nfn {name}() {{\n}}\n");
        assert_eq!(lines("a.rs", &ignored("alone")), [2]);
        let started = ignored("started") + "fn other() { run(\"--exact\", \"started\") }";
        assert_eq!(lines("a.rs", &started), [0; 0]);
        let started_by_path = ignored("started") + "fn other() { run(\"start::started\") }";
        assert_eq!(lines("a.rs", &started_by_path), [0; 0]);
        let another = ignored("started") + "fn other() { run(\"restarted\") }";
        assert_eq!(lines("a.rs", &another), [2]);
        assert_eq!(lines("docs/a.md", &ignored("told_of")), [0; 0]);
    }
}
