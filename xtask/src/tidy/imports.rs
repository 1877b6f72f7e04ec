//! What each Python package may import: the client knows no Django, nothing of ours opens a
//! database, and the site needs no package but its own.

use super::finding::Finding;
use super::tree::SourceFile;

/// Handed as texts to the site's interpreter: they import each other by relative names, Django and
/// the standard library.
const DESCRIBE: &str = "python/dalsegno/describe/";

/// Modules that open databases in the site's process, beside the site's own driver.
const DRIVERS: &[&str] = &["MySQLdb", "apsw", "psycopg", "psycopg2", "sqlite3"];

pub(super) fn check(files: &[SourceFile]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| file.extension() == "py") {
        for (at, line) in file.text.lines().enumerate() {
            let Some(module) = imported(line) else { continue };
            if let Some(why) = complaint(&file.path, module) {
                let what = format!("`{module}` is imported: {why}");
                findings.push(Finding::error(&file.path, at + 1, what));
            }
        }
    }
    findings
}

fn complaint(path: &str, module: &str) -> Option<&'static str> {
    let is_client = path.starts_with("python/dalsegno/");
    let is_describe = path.starts_with(DESCRIBE);
    if !is_client && !path.starts_with("python/backups/") {
        return None;
    }
    if DRIVERS.contains(&module) {
        return Some("databases are opened by the engine, in a process of its own");
    }
    match module {
        "django" if is_client && !is_describe => Some("the client works where there is no Django"),
        "backups" if is_client => Some("the client knows no app"),
        "dalsegno" if is_describe => Some("the site's interpreter knows it by another name"),
        _ => None,
    }
}

/// The top module of an `import` or `from` at any depth of a file.
fn imported(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = line.strip_prefix("import ").or_else(|| line.strip_prefix("from "))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::tree::file;
    use super::*;

    #[test]
    fn imports_that_cross_a_wall() {
        let found = check(&[
            file("python/dalsegno/client.py", "import os\nfrom django.db import connection\n"),
            file("python/dalsegno/child.py", "from backups import door\nfrom dalsegno import x\n"),
            file(
                "python/dalsegno/describe/models.py",
                "from .values import Json\ndef f():\n    from django.apps import apps\n    import dalsegno\n",
            ),
            file("python/backups/door.py", "import django\nimport dalsegno.client\n"),
            file("python/backups/checks.py", "    import sqlite3\nimportant = 1\n"),
            file("python/tests/sites.py", "import sqlite3\n"),
            file("examples/prove.py", "import sqlite3\n"),
        ]);
        let places: Vec<_> = found.iter().map(|it| (it.path.as_str(), it.line)).collect();
        assert_eq!(
            places,
            [
                ("python/dalsegno/client.py", 2),
                ("python/dalsegno/child.py", 1),
                ("python/dalsegno/describe/models.py", 4),
                ("python/backups/checks.py", 1),
            ]
        );
    }
}
