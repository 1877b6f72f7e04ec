//! Which tables a capture holds, and where.

use serde::de::DeserializeOwned;

use super::{StoredFiles, through_django};
use crate::{CATALOG_FILE, DatabaseError, Result, TableHash, fixtures, mysql, postgres};

/// A table of a captured database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTable {
    /// Its name, rows and row hash, as the capture promised them.
    pub promised: TableHash,
    /// The columns of its lines, in their order.
    pub columns: Vec<String>,
    /// The files of its lines, in their order.
    pub parts: Vec<String>,
}

/// The tables of a capture whose rows were taken, in its order, and why those of others were not.
pub fn tables(vendor: &str, files: &mut dyn StoredFiles) -> Result<Vec<StoredTable>> {
    match vendor {
        "postgresql" => of_postgres(files),
        "mysql" => of_mysql(files),
        other if through_django(other) => fixtures::tables(files),
        other => Err(DatabaseError::NoStoredRows { vendor: other.to_owned() }),
    }
}

fn of_postgres(files: &mut dyn StoredFiles) -> Result<Vec<StoredTable>> {
    use postgres::catalog::{Catalog, ROWS_FILE, Rows, data_file};
    let catalog: Catalog = read(files, CATALOG_FILE)?;
    let rows: Rows = read(files, ROWS_FILE)?;
    let tables = rows.tables.into_iter().map(|taken| {
        let table = catalog.tables.iter().find(|table| table.id == taken.id);
        let table = table.ok_or_else(|| unknown(taken.id))?;
        let name = match table.schema.as_str() {
            "public" => table.name.clone(),
            schema => format!("{schema}.{}", table.name),
        };
        Ok(StoredTable {
            promised: TableHash {
                name,
                rows: Some(taken.rows),
                hash: Some(taken.hash),
                note: None,
            },
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            parts: (1..=taken.parts).map(|part| data_file(taken.id, part)).collect(),
        })
    });
    tables.collect()
}

fn of_mysql(files: &mut dyn StoredFiles) -> Result<Vec<StoredTable>> {
    use mysql::catalog::{Catalog, ROWS_FILE, RowsReport};
    let catalog: Catalog = read(files, CATALOG_FILE)?;
    let rows: RowsReport = read(files, ROWS_FILE)?;
    let tables = rows.tables.into_iter().map(|taken| {
        let table = catalog.tables.iter().find(|table| table.id == taken.id);
        let table = table.ok_or_else(|| unknown(taken.id))?;
        Ok(StoredTable {
            promised: TableHash {
                name: table.name.clone(),
                rows: Some(taken.rows),
                hash: Some(taken.hash),
                note: None,
            },
            columns: table.columns.iter().map(|column| column.name.clone()).collect(),
            parts: (1..=taken.parts).map(|part| table.data_file(part)).collect(),
        })
    });
    tables.collect()
}

fn unknown(id: u32) -> DatabaseError {
    DatabaseError::StoredFile {
        name: CATALOG_FILE.to_owned(),
        source: format!("it has no table of the number {id}").into(),
    }
}

fn read<T: DeserializeOwned>(files: &mut dyn StoredFiles, name: &str) -> Result<T> {
    let failed = |source| DatabaseError::StoredFile { name: name.to_owned(), source };
    let mut text = Vec::new();
    let mut file = files.open(name).map_err(failed)?;
    file.read_to_end(&mut text).map_err(|error| failed(error.into()))?;
    serde_json::from_slice(&text).map_err(|error| failed(error.into()))
}
