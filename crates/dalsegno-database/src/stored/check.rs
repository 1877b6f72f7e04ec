//! Every row of a capture against what the capture promised.

use std::io::Read;

use super::{StoredFiles, StoredTable, tables, through_django};
use crate::row_sum::LineSum;
use crate::{DatabaseError, DeepReport, Result, RowSum, TableHash, Watch, fixtures};

const CHUNK: usize = 256 * 1024;

/// Reads all rows of a capture and compares their counts and hashes with those it promised.
/// Foreign keys are not judged: the server does that when they are loaded.
pub fn check(
    vendor: &str,
    files: &mut dyn StoredFiles,
    watch: &mut dyn Watch,
) -> Result<DeepReport> {
    if through_django(vendor) {
        return fixtures::check(files, watch);
    }
    let mut report = DeepReport {
        problems: Vec::new(),
        notes: vec!["structure and foreign keys are judged by the server that loads it".to_owned()],
        foreign_key_violations: None,
        violations: Vec::new(),
        tables: Vec::new(),
    };
    for table in tables(vendor, files)? {
        let name = table.promised.name.clone();
        let Some(found) = read(&table, files, watch)? else {
            report.problems.push(format!("the rows of `{name}` end inside a row"));
            continue;
        };
        let found =
            TableHash { name, rows: Some(found.rows), hash: Some(found.hash()), note: None };
        if found != table.promised {
            report.problems.push(format!("the rows of `{}` are not those captured", found.name));
        }
        report.tables.push(found);
    }
    Ok(report)
}

fn read(
    table: &StoredTable,
    files: &mut dyn StoredFiles,
    watch: &mut dyn Watch,
) -> Result<Option<RowSum>> {
    let mut lines = LineSum::default();
    let mut buffer = vec![0; CHUNK];
    for part in &table.parts {
        let failed = |source| DatabaseError::StoredFile { name: part.clone(), source };
        let mut file = files.open(part).map_err(failed)?;
        loop {
            if watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            let read = file.read(&mut buffer).map_err(|error| failed(error.into()))?;
            if read == 0 {
                break;
            }
            lines.push(&buffer[..read]);
            watch.bytes(read as u64);
        }
    }
    Ok(lines.finish())
}
