use std::path::Path;

use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::Staged;
use super::deep::{Violation, foreign_keys};
use super::error::failed;
use super::lenient::StandIns;
use super::tables::count_all;
use crate::{Result, TableCount, Watch};

/// How to check a staged copy.
#[derive(Debug, Clone, Copy, Default)]
pub struct CheckOptions<'c> {
    /// The rows that the manifest promises; no table at all: rows are not compared.
    pub expected_counts: &'c [TableCount],
    /// Also compare indexes with their tables and look for dangling foreign keys; takes several
    /// times as long.
    pub full: bool,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Damage; empty if the copy is sound.
    pub problems: Vec<String>,
    /// What could not be judged here, and why.
    pub notes: Vec<String>,
    /// Rows of every table.
    pub counts: Vec<TableCount>,
    /// Rows whose foreign key points nowhere: not damage, since the live database may have had
    /// them. `None` if nobody looked.
    pub foreign_key_violations: Option<u64>,
    /// The first of them.
    pub violations: Vec<Violation>,
}

impl CheckReport {
    /// Whether nothing is damaged.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

impl Staged {
    /// Reads the whole copy: structure, and rows against those promised.
    ///
    /// Damage is in the report; an error means that checking itself failed.
    pub fn check(&self, options: &CheckOptions<'_>, watch: &mut dyn Watch) -> Result<CheckReport> {
        let path = self.path();
        let connection = self.source().open()?;
        let mut notes = Vec::new();
        let mut problems = structure(&connection, path, options.full, &mut notes)?;
        let counts = match count_all(&connection, path, watch) {
            Ok(counts) => counts,
            Err(error) if problems.is_empty() => return Err(error),
            Err(_) => Vec::new(),
        };
        compare(options.expected_counts, &counts, &mut problems);
        let (mut foreign_key_violations, mut violations) = (None, Vec::new());
        if options.full {
            match foreign_keys(&connection, path)? {
                Ok((count, sample)) => (foreign_key_violations, violations) = (Some(count), sample),
                Err(note) => notes.push(note),
            }
        }
        Ok(CheckReport { problems, notes, counts, foreign_key_violations, violations })
    }
}

fn compare(expected: &[TableCount], counts: &[TableCount], problems: &mut Vec<String>) {
    if expected.is_empty() {
        return;
    }
    for table in expected {
        match counts.iter().find(|count| count.name == table.name) {
            None => problems.push(format!("table `{}` is missing", table.name)),
            Some(count) => {
                if let (Some(want), Some(have)) = (table.rows, count.rows)
                    && want != have
                {
                    problems
                        .push(format!("table `{}` has {have} rows instead of {want}", table.name));
                }
            }
        }
    }
    for table in counts.iter().filter(|table| expected.iter().all(|e| e.name != table.name)) {
        problems.push(format!("table `{}` is not in the manifest", table.name));
    }
}

/// Damage that `quick_check` or, if `full`, `integrity_check` finds.
///
/// Both need every function and collation of the schema; stand-ins take the place of those that
/// the site registers, and what is then said about the tables that use them becomes a note.
pub(super) fn structure(
    connection: &Connection,
    path: &Path,
    full: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    let sql = if full { "PRAGMA integrity_check(100)" } else { "PRAGMA quick_check(100)" };
    let mut stand_ins = StandIns::default();
    let lines: rusqlite::Result<Vec<String>> = stand_ins.run(connection, |connection| {
        connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
    });
    let lines = match lines {
        Ok(lines) => lines,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
            return Ok(vec![super::tables::words(&error)]);
        }
        Err(error) => return Err(failed("check", path)(error)),
    };
    let lines: Vec<String> = lines.into_iter().filter(|line| line != "ok").collect();
    for name in stand_ins.names(connection).map_err(failed("check", path))? {
        notes.push(format!("not checked: what depends on `{name}`, which only the site knows"));
    }
    if lines.is_empty() {
        return Ok(lines);
    }
    let affected = stand_ins.affected(connection).map_err(failed("check", path))?;
    let (excused, problems): (Vec<String>, Vec<String>) =
        lines.into_iter().partition(|line| is_excused(line, &affected));
    notes.extend(excused.into_iter().map(|line| format!("not checkable: {line}")));
    Ok(problems)
}

/// Whether a finding is about values or order, not about pages, of an object in `affected`.
fn is_excused(line: &str, affected: &[String]) -> bool {
    const OF_PAGES: [&str; 6] =
        ["Tree ", "Page ", "Freelist", "***", "database disk image", "Main "];
    !OF_PAGES.iter().any(|start| line.starts_with(start))
        && affected.iter().any(|name| {
            line.match_indices(name.as_str()).any(|(at, _)| {
                let apart = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
                apart(line[..at].chars().next_back())
                    && apart(line[at + name.len()..].chars().next())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, rows: Option<u64>) -> TableCount {
        TableCount { name: name.to_owned(), rows, note: None }
    }

    #[test]
    fn counts_must_match_the_manifest() {
        let have = [count("a", Some(1)), count("b", None), count("c", Some(3))];
        let problems = |expected: &[TableCount]| {
            let mut problems = Vec::new();
            compare(expected, &have, &mut problems);
            problems
        };
        assert!(problems(&[]).is_empty());
        assert!(problems(&have).is_empty());
        assert_eq!(
            problems(&[count("a", Some(2)), count("b", Some(9)), count("d", None)]),
            [
                "table `a` has 1 rows instead of 2",
                "table `d` is missing",
                "table `c` is not in the manifest"
            ]
        );
    }

    #[test]
    fn only_values_of_affected_tables_are_excused() {
        let affected = ["shop".to_owned()];
        for (line, excused) in [
            ("CHECK constraint failed in shop", true),
            ("NULL value in shop.name", true),
            ("CHECK constraint failed in shop_2", false),
            ("Tree 4 page 5: btreeInitPage() returns error code 11", false),
            ("Freelist: size is 3 but should be 2", false),
        ] {
            assert_eq!(is_excused(line, &affected), excused, "{line}");
        }
    }
}
