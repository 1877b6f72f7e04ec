//! A long file is asking for the noun that it lacks.

use super::finding::Finding;
use super::tree::SourceFile;

const QUESTION: usize = 400;
const ERROR: usize = 800;

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    files
        .iter()
        .filter(|file| ["rs", "py"].contains(&file.extension()) && is_written_code(&file.path))
        .filter_map(|file| {
            let lines = lines_without_tests(&file.text);
            match lines {
                0..=QUESTION => None,
                _ if lines > ERROR => Some(Finding::error(
                    &file.path,
                    lines,
                    format!("{lines} lines: more than {ERROR}, find what it can be divided into"),
                )),
                _ => Some(Finding::question(
                    &file.path,
                    lines,
                    format!("{lines} lines: more than {QUESTION}, is there a noun missing?"),
                )),
            }
        })
        .collect()
}

/// Neither tests nor migrations, which grow by repetition.
fn is_written_code(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    !folders.split('/').any(|folder| ["tests", "migrations"].contains(&folder))
        && !name.starts_with("test_")
        && !["tests.rs", "tests.py"].contains(&name)
}

/// Tests at the end of a Rust file lie in a module of their own.
fn lines_without_tests(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .windows(2)
        .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests {"))
        .unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::super::finding::Weight;
    use super::super::tree::file;
    use super::*;

    #[test]
    fn how_long_a_file_may_be() {
        let long = |lines: usize| "x\n".repeat(lines);
        let tested = long(400) + "#[cfg(test)]\nmod tests {\n" + &long(900);
        let found = check(&[
            file("src/fine.rs", &long(400)),
            file("src/long.rs", &long(401)),
            file("src/limit.py", &long(800)),
            file("src/endless.py", &long(801)),
            file("src/tested.rs", &tested),
            file("tests/matrix.rs", &long(2000)),
            file("src/plan/tests.rs", &long(2000)),
            file("shop/test_views.py", &long(2000)),
            file("shop/migrations/0001_initial.py", &long(2000)),
            file("docs/format.md", &long(2000)),
        ]);
        let weights: Vec<_> =
            found.iter().map(|it| (it.path.as_str(), it.line, it.weight)).collect();
        assert_eq!(
            weights,
            [
                ("src/long.rs", 401, Weight::Question),
                ("src/limit.py", 800, Weight::Question),
                ("src/endless.py", 801, Weight::Error),
            ]
        );
    }
}
