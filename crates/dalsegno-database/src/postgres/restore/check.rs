use std::collections::HashMap;

use super::content::read;
use super::loader::label;
use super::session::qualified;
use crate::postgres::catalog::{Catalog, Rows, RowsTaken, Table, TableKind};
use crate::postgres::connection::Session;
use crate::{CheckOptions, CheckReport, Result, TableCount, Watch};

/// Tables that are counted by one statement.
const TOGETHER: usize = 50;

/// Reads the copy against what was captured: rows of every table, and with `full` their hashes.
pub(super) fn check(
    session: &mut Session,
    catalog: &Catalog,
    rows: &Rows,
    options: &CheckOptions<'_>,
    watch: &mut dyn Watch,
) -> Result<CheckReport> {
    let tables: Vec<&Table> =
        catalog.tables.iter().filter(|it| it.kind == TableKind::Table).collect();
    let counts = session.attended(watch, |session| count(session, &tables))?;
    let mut problems = Vec::new();
    let captured: HashMap<u32, _> = rows.tables.iter().map(|it| (it.id, it)).collect();
    for (table, found) in tables.iter().zip(&counts) {
        let expected = captured.get(&table.id).map_or(0, |it| it.rows);
        if *found != expected {
            problems.push(format!("{} has {found} rows instead of {expected}", label(table)));
        }
    }
    let counts: Vec<TableCount> = tables
        .iter()
        .zip(counts)
        .map(|(table, rows)| TableCount {
            name: table.shown(),
            rows: Some(rows),
            note: None,
            damaged: false,
        })
        .collect();
    promised(options.expected_counts, &counts, &mut problems);
    if options.full {
        hashes(session, &tables, rows, &mut problems, watch)?;
    }
    Ok(CheckReport {
        problems,
        notes: Vec::new(),
        counts,
        // The server made every foreign key that is valid, and looked at each row for it.
        foreign_key_violations: None,
        violations: Vec::new(),
    })
}

fn promised(expected: &[TableCount], counts: &[TableCount], problems: &mut Vec<String>) {
    let found: HashMap<&str, Option<u64>> =
        counts.iter().map(|it| (it.name.as_str(), it.rows)).collect();
    for table in expected {
        let Some(rows) = table.rows else { continue };
        match found.get(table.name.as_str()) {
            Some(Some(found)) if *found == rows => {}
            Some(Some(found)) => {
                problems.push(format!("`{}` has {found} rows instead of {rows}", table.name));
            }
            _ => problems.push(format!("`{}` is missing", table.name)),
        }
    }
    problems.sort();
    problems.dedup();
}

fn count(session: &mut Session, tables: &[&Table]) -> Result<Vec<u64>> {
    let mut counts = Vec::with_capacity(tables.len());
    for some in tables.chunks(TOGETHER) {
        let each: Vec<String> = some
            .iter()
            .enumerate()
            .map(|(at, it)| {
                // An extension's scripts have put rows of their own there.
                let condition = match &it.rows {
                    RowsTaken::Where(condition) => condition.as_str(),
                    _ => "",
                };
                let table = qualified(&it.schema, &it.name);
                format!("SELECT {at}, count(*) FROM ONLY {table} {condition}")
            })
            .collect();
        let sql = format!("{} ORDER BY 1", each.join(" UNION ALL "));
        for row in session.rows("count the rows", &sql, &[])? {
            counts.push(u64::try_from(row.get::<_, i64>(1)).unwrap_or_default());
        }
    }
    Ok(counts)
}

fn hashes(
    session: &mut Session,
    tables: &[&Table],
    rows: &Rows,
    problems: &mut Vec<String>,
    watch: &mut dyn Watch,
) -> Result<()> {
    let captured: HashMap<u32, _> = rows.tables.iter().map(|it| (it.id, it)).collect();
    for table in tables.iter().filter(|it| !matches!(it.rows, RowsTaken::Where(_))) {
        let Some(expected) = captured.get(&table.id) else { continue };
        let columns: Vec<String> = table.columns.iter().map(|it| it.name.clone()).collect();
        let found = session
            .attended(watch, |session| read(session, &table.schema, &table.name, &columns))?;
        watch.bytes(expected.bytes);
        if found != (expected.rows, expected.hash.clone()) {
            problems.push(format!("the rows of {} are not those captured", label(table)));
        }
    }
    Ok(())
}
