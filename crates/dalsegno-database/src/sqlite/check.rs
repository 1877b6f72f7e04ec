use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::Connection;

use super::Staged;
use super::connection::quoted;
use super::deep::foreign_keys;
use super::error::failed;
use super::lenient::StandIns;
use super::tables::{self, count_all, is_about_the_table, words};
use crate::{CheckOptions, CheckReport, Result, TableCount, Watch};

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

/// Findings that the library is asked for: with its own limit of a hundred, values that a site has
/// stored against a rule hide the damage behind them.
const FINDINGS: usize = 1_000_000;

/// Findings that it gives at most of one table alone, where no limit can be said.
const OF_ONE_TABLE: usize = 100;

/// Findings that are listed of those that differ in numbers only.
const LISTED: usize = 100;

/// Damage that `quick_check` or, if `full`, `integrity_check` finds.
///
/// Both need every function and collation of the schema; stand-ins take the place of those that
/// the site registers, and what is then said about the tables that use them becomes a note. So
/// does what the site itself has stored against a rule of its own: a copy is sound if it is what
/// was captured.
pub(super) fn structure(
    connection: &Connection,
    path: &Path,
    full: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    let mut stand_ins = StandIns::default();
    let pragma = if full { "integrity_check" } else { "quick_check" };
    let sql = format!("PRAGMA {pragma}({FINDINGS})");
    let lines = match findings(connection, &mut stand_ins, &sql) {
        // The findings of one table may have left no room for those of the next.
        Ok(found) if found.count < FINDINGS || found.any(is_of_pages) => found.lines(),
        Ok(_) => table_by_table(connection, path, pragma, &mut stand_ins, notes)?,
        Err(error) if is_corrupt(&error) => return Ok(vec![words(&error)]),
        Err(error) if is_about_the_table(&error) => {
            let said = words(&error);
            notes.push(format!("checked table by table, free pages not at all: {said}"));
            table_by_table(connection, path, pragma, &mut stand_ins, notes)?
        }
        Err(error) => return Err(failed("check", path)(error)),
    };
    for name in stand_ins.names(connection).map_err(failed("check", path))? {
        notes.push(format!("not checked: what depends on `{name}`, which only the site knows"));
    }
    if lines.is_empty() {
        return Ok(lines);
    }
    let affected = stand_ins.affected(connection).map_err(failed("check", path))?;
    let mut problems = Vec::new();
    for line in lines {
        if is_excused(&line, &affected) {
            notes.push(format!("not checkable: {line}"));
        } else if is_against_a_rule(&line) {
            notes.push(format!("as the site had it: {line}"));
        } else {
            problems.push(line);
        }
    }
    Ok(problems)
}

/// What one statement found: the first of each kind, so that a million of one kind neither hide
/// others nor fill the memory.
#[derive(Default)]
struct Found {
    count: usize,
    /// The first of each kind, and how many more there are; by when the kind was first met.
    kinds: Vec<(Vec<String>, usize)>,
    /// Places in `kinds`, by what a finding says apart from its numbers.
    places: BTreeMap<String, usize>,
}

impl Found {
    fn add(&mut self, line: String) {
        self.count += 1;
        let place = *self.places.entry(kind(&line)).or_insert_with(|| {
            self.kinds.push((Vec::new(), 0));
            self.kinds.len() - 1
        });
        let (first, more) = &mut self.kinds[place];
        if first.len() < LISTED {
            first.push(line);
        } else {
            *more += 1;
        }
    }

    fn any(&self, is: impl Fn(&str) -> bool) -> bool {
        self.kinds.iter().any(|(first, _)| first.iter().any(|line| is(line)))
    }

    /// What was found; the last of a kind says how many more there are.
    fn lines(self) -> Vec<String> {
        let with_more = |(mut lines, more): (Vec<String>, usize)| {
            if let Some(last) = lines.last_mut().filter(|_| more > 0) {
                *last = format!("{last} (and {more} more like it)");
            }
            lines
        };
        self.kinds.into_iter().flat_map(with_more).collect()
    }
}

/// A finding without its numbers; those in names of tables and indexes stay.
fn kind(line: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let is_number = |word: &str| word.bytes().all(|b| b.is_ascii_digit());
    line.split_inclusive(|c: char| !is_name(c))
        .map(|part| {
            let word = part.trim_end_matches(|c: char| !is_name(c));
            if is_number(word) { &part[word.len()..] } else { part }
        })
        .collect()
}

fn findings(
    connection: &Connection,
    stand_ins: &mut StandIns,
    sql: &str,
) -> rusqlite::Result<Found> {
    stand_ins.run(connection, |connection| {
        let mut found = Found::default();
        let mut statement = connection.prepare(sql)?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            let line = line?;
            if line != "ok" {
                found.add(line);
            }
        }
        Ok(found)
    })
}

/// What one statement for all tables could not tell. A virtual table that cannot be opened here,
/// since its module, tokenizer or the like is the site's, is a note; its rows lie in other tables.
fn table_by_table(
    connection: &Connection,
    path: &Path,
    pragma: &str,
    stand_ins: &mut StandIns,
    notes: &mut Vec<String>,
) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for table in tables::list(connection, path)? {
        let sql = format!("PRAGMA {pragma}({})", quoted(&table.name));
        match findings(connection, stand_ins, &sql) {
            Ok(found) => {
                if found.count >= OF_ONE_TABLE {
                    let name = &table.name;
                    notes.push(format!("not fully checked: table `{name}` has too many findings"));
                }
                lines.extend(found.lines());
            }
            Err(error) if table.module && is_about_the_table(&error) => {
                notes.push(format!("not checkable: table `{}`: {}", table.name, words(&error)));
            }
            Err(error) if is_about_the_table(&error) => lines.push(words(&error)),
            Err(error) => return Err(failed("check", path)(error)),
        }
    }
    Ok(lines)
}

fn is_corrupt(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt)
}

/// Whether a finding is a value that a constraint, a type or a full-text index does not agree
/// with. A site can live with that for years, by `ALTER TABLE`, `ignore_check_constraints` or an
/// index over a table of its own that it does not keep up, and must be able to come back.
fn is_against_a_rule(line: &str) -> bool {
    const OF_VALUES: [&str; 5] = [
        "NULL value in ",
        "NUMERIC value in ",
        "TEXT value in ",
        "CHECK constraint failed in ",
        "malformed inverted index for FTS",
    ];
    OF_VALUES.iter().any(|start| line.starts_with(start))
        || (line.starts_with("non-") && line.contains(" value in "))
        || line.starts_with("unable to validate the inverted index for FTS")
}

fn is_of_pages(line: &str) -> bool {
    const OF_PAGES: [&str; 6] =
        ["Tree ", "Page ", "Freelist", "***", "database disk image", "Main "];
    OF_PAGES.iter().any(|start| line.starts_with(start))
}

/// Whether a finding is about values or order, not about pages, of an object in `affected`.
fn is_excused(line: &str, affected: &[String]) -> bool {
    !is_of_pages(line)
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
        TableCount { name: name.to_owned(), rows, note: None, damaged: false }
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
    fn findings_about_values_are_not_damage() {
        for (line, of_values) in [
            ("NULL value in n.a", true),
            ("CHECK constraint failed in shop", true),
            ("non-INT value in s.a", true),
            ("malformed inverted index for FTS5 table main.f", true),
            ("non-unique entry in index i", false),
            ("row 1 missing from index i", false),
            ("Tree 4 page 5: btreeInitPage() returns error code 11", false),
        ] {
            assert_eq!(is_against_a_rule(line), of_values, "{line}");
        }
    }

    #[test]
    fn findings_of_a_kind_differ_in_numbers_but_not_in_names() {
        let mut found = Found::default();
        for row in 0..150 {
            found.add(format!("row {row} missing from index i1"));
        }
        found.add("row 7 missing from index i2".to_owned());
        assert_eq!(found.count, 151);
        let lines = found.lines();
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[99], "row 99 missing from index i1 (and 50 more like it)");
        assert_eq!(lines[100], "row 7 missing from index i2");
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
