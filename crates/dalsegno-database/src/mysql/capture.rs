use std::collections::BTreeMap;

use dalsegno_format::hex;
use mysql::prelude::Queryable;
use mysql::{Row, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::access::Access;
use super::attended::attended;
use super::catalog::{
    Catalog, Flavor, Kind, LOAD_FILE, Objects, POST_FILE, PRE_FILE, ROWS_FILE, Rows, RowsReport,
    SCHEMA_FILE, SEQUENCES_FILE, Schema, SequenceValue, TableRows,
};
use super::connection::Session;
use super::error::{Said, ServerError};
use super::flow::{Outlet, through};
use super::rows::{Wanted, refuse_large_rows};
use super::survey::Reading;
use super::{ddl, definitions, opening, quote, rows, script};
use crate::{
    CATALOG_FILE, CaptureOptions, Captured, DatabaseError, FileColumn, FileSink, Result, Snapshot,
    TableCount, Unreadable, Watch,
};

/// What a `MySQL` or `MariaDB` database says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The family of the server.
    pub flavor: Flavor,
    /// The default collation of the database.
    pub default_collation: String,
    /// How many objects of each kind there are.
    pub objects: Vec<Objects>,
    /// What an operator should know of this capture.
    pub notes: Vec<String>,
}

/// Opens a snapshot of the live database: one instant of all tables whose engine has transactions.
///
/// Writers go on. Nobody can change the definition of a table until the snapshot is dropped. Tables
/// of other engines are locked against writers until their rows are read, which come first: call
/// [`Snapshot::write`] at once.
pub fn capture(
    access: &Access,
    options: &CaptureOptions,
    watch: &mut dyn Watch,
) -> Result<Box<dyn Snapshot>> {
    if watch.cancelled() {
        return Err(DatabaseError::Cancelled);
    }
    let mut session = Session::open(access)?;
    let prepared = attended(&mut session, watch, |session| prepare(session, access, options))?;
    Ok(Box::new(ServerSnapshot { session, state: State::Open(Box::new(prepared)) }))
}

struct ServerSnapshot {
    session: Session,
    state: State,
}

enum State {
    Open(Box<Prepared>),
    Written,
    Failed,
}

/// All that is known before the first row is read.
struct Prepared {
    catalog: Catalog,
    schema: Schema,
    readings: Vec<Reading>,
    guard: Option<Session>,
    excluded: Vec<String>,
}

fn prepare(session: &mut Session, access: &Access, options: &CaptureOptions) -> Result<Prepared> {
    let opened = opening::open(session, access, options.lock_timeout)?;
    let mut notes = opened.notes;
    let survey = opened.survey;
    for name in &options.exclude_rows_of {
        if !survey.tables.contains_key(name) {
            let (place, table) = (session.place(), name.clone());
            return Err(ServerError::UnknownTable { place, table }.into());
        }
    }
    let schema = definitions::read(session, &survey, &mut notes)?;
    let sizes = opening::sizes(session)?;
    let server = session.server().clone();
    let mut readings = Vec::new();
    for entry in schema.entries.iter().filter(|entry| entry.kind == Kind::Table) {
        let surveyed = &survey.tables[&entry.name];
        let mut reading = surveyed.reading(&entry.name, entry.id, &server, &mut notes);
        let table = &mut reading.table;
        table.data_length = sizes.get(&entry.name).copied().unwrap_or(0);
        match table.rows {
            Rows::Elsewhere => notes.push(format!(
                "the rows of `{}` ({}) lie elsewhere and are not captured",
                table.name, table.engine
            )),
            _ if options.exclude_rows_of.contains(&table.name) => table.rows = Rows::Excluded,
            _ => {
                let estimate = table.data_length;
                refuse_large_rows(session, &reading, estimate)?;
            }
        }
        readings.push(reading);
    }
    let catalog = describe(session, &schema, &readings, notes)?;
    let mut excluded = options.exclude_rows_of.clone();
    excluded.sort();
    excluded.dedup();
    Ok(Prepared { catalog, schema, readings, guard: opened.guard, excluded })
}

fn describe(
    session: &mut Session,
    schema: &Schema,
    readings: &[Reading],
    mut notes: Vec<String>,
) -> Result<Catalog> {
    let database = session.database().to_owned();
    let comment =
        if session.server().flavor == Flavor::Mariadb && session.server().version >= (10, 5, 0) {
            "SCHEMA_COMMENT"
        } else {
            "NULL"
        };
    let sql = format!(
        "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, @@lower_case_table_names, \
         IF(@@GLOBAL.time_zone = 'SYSTEM', @@system_time_zone, @@GLOBAL.time_zone), {comment} \
         FROM information_schema.SCHEMATA s \
         WHERE SCHEMA_NAME = DATABASE() AND BINARY SCHEMA_NAME = BINARY DATABASE()"
    );
    let rows = session.ask("read the settings of", &database, &sql)?;
    let row = rows.first().ok_or_else(|| {
        session.unexpected("read the settings of", &database, "the server does not list it")
    })?;
    let mut counts: BTreeMap<Kind, u64> = BTreeMap::new();
    for entry in &schema.entries {
        *counts.entry(entry.kind).or_default() += 1;
        if let Some(reason) = &entry.broken {
            notes.push(format!("the view `{}` does not work: {reason}", entry.name));
        }
    }
    let server = session.server();
    Ok(Catalog {
        flavor: server.flavor,
        server_version: server.text.clone(),
        version: server.version,
        character_set: row.text(0),
        collation: row.text(1),
        comment: row.maybe(4).filter(|comment| !comment.is_empty()),
        lower_case_table_names: row.number(2).unwrap_or(0),
        time_zone: row.text(3),
        database,
        tables: readings.iter().map(|reading| reading.table.clone()).collect(),
        objects: counts.into_iter().map(|(kind, count)| Objects { kind, count }).collect(),
        notes,
    })
}

impl Snapshot for ServerSnapshot {
    fn estimate(&self) -> u64 {
        match &self.state {
            State::Open(prepared) => {
                let captured = |reading: &&Reading| reading.table.rows == Rows::Captured;
                let readings = prepared.readings.iter().filter(captured);
                readings.map(|reading| reading.table.data_length).sum()
            }
            State::Written | State::Failed => 0,
        }
    }

    fn write(&mut self, sink: &mut dyn FileSink, watch: &mut dyn Watch) -> Result<Captured> {
        let State::Open(mut prepared) = std::mem::replace(&mut self.state, State::Failed) else {
            return Err(ServerError::SnapshotLost { place: self.session.place() }.into());
        };
        let (report, size) = through(&mut self.session, sink, watch, |session, outlet| {
            produce(session, &mut prepared, outlet)
        })?;
        self.state = State::Written;
        let Prepared { catalog, schema, excluded, .. } = *prepared;
        Ok(Captured {
            vendor: "mysql".to_owned(),
            server_version: catalog.server_version.clone(),
            encoding: catalog.character_set.clone(),
            size,
            tables: counts(&catalog, &report),
            excluded,
            fingerprint: fingerprint(&schema),
            foreign_key_violations: None,
            spooled: false,
            sqlite: None,
            postgres: None,
            mysql: Some(Facts {
                flavor: catalog.flavor,
                default_collation: catalog.collation,
                objects: catalog.objects,
                notes: catalog.notes,
            }),
        })
    }

    fn file_references(
        &mut self,
        columns: &[FileColumn],
        found: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<Vec<Unreadable>> {
        if matches!(self.state, State::Failed) {
            return Err(ServerError::SnapshotLost { place: self.session.place() }.into());
        }
        let mut unreadable = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            if let Some(reason) = self.references(column, &mut |value| found(at, value))? {
                unreadable.push(Unreadable { column: at, reason });
            }
        }
        Ok(unreadable)
    }
}

impl ServerSnapshot {
    /// Calls `found` for each distinct value; what the server says against it is returned.
    fn references(
        &mut self,
        column: &FileColumn,
        found: &mut dyn FnMut(&[u8]),
    ) -> Result<Option<String>> {
        let (name, table) = (quote::identifier(&column.column), quote::identifier(&column.table));
        // Distinct as bytes: a collation takes `A.png` and `a.png` for one.
        let sql = format!(
            "SELECT DISTINCT CAST(CONVERT({name} USING utf8mb4) AS BINARY) FROM {table} \
             WHERE {name} IS NOT NULL AND LENGTH({name}) > 0"
        );
        let failed = |error: mysql::Error| match error {
            mysql::Error::MySqlError(_) => Ok(Some(Said::from(&error).text)),
            error => Err(error),
        };
        let read = || -> mysql::Result<Option<String>> {
            let mut stream = match self.session.conn().query_iter(sql) {
                Ok(stream) => stream,
                Err(error) => return failed(error),
            };
            for row in stream.by_ref() {
                let row: Row = match row {
                    Ok(row) => row,
                    Err(error) => return failed(error),
                };
                if let Some(Value::Bytes(value)) = row.as_ref(0) {
                    found(value);
                }
            }
            Ok(None)
        };
        read()
            .map_err(|error| self.session.failed("read the files named by", &column.table, &error))
    }
}

/// Hands out all files in their order. `None` if nothing more was wanted.
fn produce(
    session: &mut Session,
    prepared: &mut Prepared,
    outlet: &Outlet,
) -> Result<Option<RowsReport>> {
    let Prepared { catalog, schema, readings, guard, .. } = prepared;
    let begun = outlet.file(CATALOG_FILE, json(catalog))
        && outlet.file(SCHEMA_FILE, json(schema))
        && outlet.file(PRE_FILE, script::pre(schema));
    if !begun {
        return Ok(None);
    }
    session.answer_in("binary")?;
    let (first, later): (Vec<&Reading>, Vec<&Reading>) =
        readings.iter().partition(|reading| !reading.transactional);
    let Some(mut tables) = read_rows(session, &first, outlet)? else { return Ok(None) };
    // Nothing more is read that a snapshot does not cover.
    *guard = None;
    let Some(rest) = read_rows(session, &later, outlet)? else { return Ok(None) };
    tables.extend(rest);
    tables.sort_by_key(|rows| rows.id);
    session.answer_in("utf8mb4")?;
    let sequences = read_sequences(session, schema)?;
    let report = RowsReport { tables, sequences };
    let ended = outlet.file(LOAD_FILE, script::load(catalog, &report.tables))
        && outlet.file(SEQUENCES_FILE, script::sequences(schema, &report.sequences))
        && outlet.file(POST_FILE, script::post(schema))
        && outlet.file(ROWS_FILE, json(&report));
    Ok(ended.then_some(report))
}

fn read_rows(
    session: &mut Session,
    readings: &[&Reading],
    outlet: &Outlet,
) -> Result<Option<Vec<TableRows>>> {
    let mut all = Vec::new();
    for reading in readings.iter().filter(|reading| reading.table.rows == Rows::Captured) {
        let mut take = |part, bytes| {
            if outlet.file(reading.table.data_file(part), bytes) {
                Wanted::More
            } else {
                Wanted::Nothing
            }
        };
        let Some(rows) = rows::read(session, reading, &mut take)? else { return Ok(None) };
        all.push(rows);
    }
    Ok(Some(all))
}

fn read_sequences(session: &mut Session, schema: &Schema) -> Result<Vec<SequenceValue>> {
    let mut values = Vec::new();
    for entry in schema.entries.iter().filter(|entry| entry.kind == Kind::Sequence) {
        let name = quote::identifier(&entry.name);
        let sql = format!("SELECT next_not_cached_value, cycle_count FROM {name}");
        let rows = session.ask("read the sequence", &entry.name, &sql)?;
        let value = rows.first().and_then(|row| Some((row.number(0)?, row.number(1)?)));
        let Some((next, cycle)) = value else {
            return Err(session.unexpected("read the sequence", &entry.name, "it has no value"));
        };
        values.push(SequenceValue { id: entry.id, next, cycle });
    }
    Ok(values)
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("maps have text for keys");
    text.push(b'\n');
    text
}

/// Every table with its rows, by name.
fn counts(catalog: &Catalog, report: &RowsReport) -> Vec<TableCount> {
    let rows: BTreeMap<u32, u64> = report.tables.iter().map(|rows| (rows.id, rows.rows)).collect();
    let tables = catalog.tables.iter().map(|table| {
        let (rows, note) = match table.rows {
            Rows::Captured => (rows.get(&table.id).copied(), None),
            Rows::Excluded => (Some(0), None),
            Rows::Elsewhere => (None, Some(super::look::elsewhere(&table.engine))),
        };
        TableCount { name: table.name.clone(), rows, note, damaged: false }
    });
    let mut counts: Vec<TableCount> = tables.collect();
    counts.sort_by(|a, b| a.name.cmp(&b.name));
    counts
}

/// SHA-256, in hexadecimal, of the sorted statements of the schema, each followed by a NUL. The
/// counter of a table, which moves with its rows, is left out.
pub(super) fn fingerprint(schema: &Schema) -> String {
    let mut texts: Vec<String> = schema
        .entries
        .iter()
        .map(|entry| match entry.kind {
            Kind::Table => ddl::without_counter(&entry.sql),
            _ => entry.sql.clone(),
        })
        .collect();
    texts.sort();
    let mut hash = Sha256::new();
    for text in texts {
        hash.update(text.as_bytes());
        hash.update([0]);
    }
    hex(&hash.finalize())
}
