//! A database on its way into a sink.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::catalog::{
    Catalog, DatabaseFacts, Extension, LAYOUT, LOAD_FILE, POST_FILE, PRE_FILE, ROWS_FILE, Rows,
    RowsTaken, SCHEMA_FILE, SEQUENCES_FILE, Schema, Section, TableKind, TableRows, data_file,
};
use super::connection::{PINNED, Session};
use super::dump::dump;
use super::flow::{Event, Job, Parts, read_all};
use super::program::{Program, find};
use super::rows::{loading, reading, statement};
use super::survey::Found;
use super::writing::Writing;
use super::{Access, large_objects, pool, preflight, references, sequences, survey, view};
use crate::{
    CATALOG_FILE, CaptureOptions, Captured, FileColumn, FileSink, Result, RowSum, Snapshot,
    TableCount, Unreadable, Watch,
};

/// Bytes of a table from which several sessions read it, if there are [`MANY`].
const BIG: u64 = 64 << 20;
/// Sessions from which a table is divided: two keep a machine of two processors busy.
const MANY: usize = 3;
/// Bytes of a table that one of them reads at a time.
const STRETCH: u64 = 16 << 20;
/// From this version on a range of pages is read without reading all others.
const RANGES: u32 = 140_000;

/// What a `PostgreSQL` database says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `server_version_num`: 150020.
    pub server_number: u32,
    /// `LC_COLLATE`.
    pub collate: String,
    /// `LC_CTYPE`.
    pub ctype: String,
    /// `libc`, `icu` or `builtin`.
    pub locale_provider: String,
    /// Extensions in the order of their names.
    pub extensions: Vec<Extension>,
}

/// Opens a snapshot: all tables locked against change of their form, writers go on.
pub fn capture(
    access: &Access,
    options: &CaptureOptions,
    watch: &mut dyn Watch,
) -> Result<Box<dyn Snapshot>> {
    pool::refuse(access)?;
    let mut session = Session::open(access)?;
    preflight::version(&session)?;
    let program = find("pg_dump", access, session.server)?;
    let lock_timeout = options.lock_timeout;
    let snapshot = session.attended(watch, |session| view::open(session, lock_timeout))?;
    let state =
        session.attended(watch, |session| State::read(session, &options.exclude_rows_of))?;
    Ok(Box::new(PostgresSnapshot {
        access: access.clone(),
        workers: options.workers.max(1),
        session,
        snapshot,
        program,
        state,
    }))
}

struct PostgresSnapshot {
    access: Access,
    workers: usize,
    /// In the transaction whose snapshot it is.
    session: Session,
    snapshot: String,
    program: Program,
    state: State,
}

/// What the catalogs say in the snapshot.
struct State {
    version: String,
    database: DatabaseFacts,
    extensions: Vec<Extension>,
    tables: Vec<Found>,
    excluded: Vec<String>,
    populated: HashSet<(String, String)>,
    sequences: Vec<(String, String)>,
    block: u64,
}

impl State {
    fn read(session: &mut Session, unwanted: &[String]) -> Result<Self> {
        let sql = "SELECT pg_catalog.current_setting('server_version'),
            pg_catalog.current_setting('block_size')::int8";
        let row = session.one("ask for its version", sql, &[])?;
        let mut tables = survey::tables(session)?;
        let excluded = preflight::exclude(session, &mut tables, unwanted)?;
        preflight::labelled(session)?;
        preflight::hidden(session, &tables)?;
        preflight::wide(session, &tables)?;
        Ok(Self {
            version: row.get(0),
            block: row.get::<_, i64>(1).unsigned_abs(),
            database: survey::database(session)?,
            extensions: survey::extensions(session)?,
            populated: survey::populated(session)?,
            sequences: survey::sequences(session)?,
            tables,
            excluded,
        })
    }

    /// Places of the tables whose rows are read, the largest first, so that a restore can build
    /// their indexes while it loads the others.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> =
            (0..self.tables.len()).filter(|n| preflight::is_read(&self.tables[*n])).collect();
        order.sort_by_key(|n| (std::cmp::Reverse(self.tables[*n].table.size), *n));
        order
    }

    /// The jobs of the tables in their order: a place in it and a job.
    fn jobs(&self, order: &[usize], server: u32, workers: usize) -> (Vec<usize>, Vec<Job>) {
        let mut owners = Vec::new();
        let mut jobs = Vec::new();
        for (place, number) in order.iter().enumerate() {
            let found = &self.tables[*number];
            let table = &found.table;
            let divided = workers >= MANY
                && server >= RANGES
                && found.heap >= BIG
                && table.rows == RowsTaken::All;
            let stretch = STRETCH / self.block;
            let stretches = if divided { found.heap.div_ceil(STRETCH) } else { 1 };
            for n in 0..stretches {
                let end = (n + 1 < stretches).then(|| (n + 1) * stretch);
                let pages = divided.then_some((n * stretch, end));
                let statement = statement(table, pages, &self.database.encoding);
                owners.push(place);
                jobs.push(Job { action: reading(table), statement });
            }
        }
        (owners, jobs)
    }
}

impl Snapshot for PostgresSnapshot {
    fn estimate(&self) -> u64 {
        let read = self.state.tables.iter().filter(|found| preflight::is_read(found));
        read.map(|found| found.table.size).sum()
    }

    fn write(&mut self, sink: &mut dyn FileSink, watch: &mut dyn Watch) -> Result<Captured> {
        let mut out = Writing { sink, watch, size: 0 };
        let roles = self.session.attended(&*out.watch, survey::roles)?;
        let order = self.state.order();
        let (owners, jobs) = self.state.jobs(&order, self.session.server, self.workers);
        let workers = self.workers.min(jobs.len());
        let (schema, taken) = read_all(&self.access, &self.snapshot, (workers, &jobs), |parts| {
            let watch = &*out.watch;
            let snapshot = Some(self.snapshot.as_str());
            let populated = &self.state.populated;
            let stopped = || watch.cancelled();
            let schema = dump(&self.program, &self.access, snapshot, populated, &stopped)?;
            out.json(CATALOG_FILE, &self.catalog(&schema, roles))?;
            out.json(SCHEMA_FILE, &schema)?;
            out.file(PRE_FILE, schema.text(Section::Pre).as_bytes())?;
            let ids: Vec<u32> = order.iter().map(|n| self.state.tables[*n].table.id).collect();
            let taken = take(parts, &ids, &owners, &mut out)?;
            Ok((schema, taken))
        })?;
        let large = large_objects::write(&mut self.session, &mut out)?;
        let lines: String = taken
            .iter()
            .filter(|it| it.parts > 0)
            .filter_map(|it| {
                let found = self.state.tables.iter().find(|found| found.table.id == it.id)?;
                let statement = loading(&found.table, &self.state.database.encoding);
                Some(format!("{:06}\t{statement}\n", it.id))
            })
            .collect();
        out.file(LOAD_FILE, lines.as_bytes())?;
        let positions = Session::open(&self.access)?.attended(&*out.watch, |session| {
            sequences::positions(session, &self.state.sequences)
        })?;
        out.file(SEQUENCES_FILE, positions.as_bytes())?;
        out.file(POST_FILE, schema.text(Section::Post).as_bytes())?;
        let sequences = self.state.sequences.len() as u64;
        let rows = Rows { tables: taken, sequences, large };
        out.json(ROWS_FILE, &rows)?;
        Ok(self.captured(&rows, schema.fingerprint(), out.size))
    }

    fn file_references(
        &mut self,
        columns: &[FileColumn],
        found: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<Vec<Unreadable>> {
        references::distinct(&mut self.session, &self.state.tables, columns, found)
    }
}

impl PostgresSnapshot {
    fn catalog(&self, schema: &Schema, mut roles: std::collections::BTreeSet<String>) -> Catalog {
        let database = self.state.database.clone();
        roles.extend(schema.owners());
        roles.insert(database.owner.clone());
        roles.extend(database.settings.iter().filter_map(|setting| setting.role.clone()));
        roles.retain(|role| !role.starts_with("pg_"));
        let text = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Catalog {
            layout: LAYOUT,
            server_version: self.state.version.clone(),
            server_number: self.session.server,
            dump_version: self.program.version.clone(),
            database,
            settings: PINNED.map(text).to_vec(),
            extensions: self.state.extensions.clone(),
            roles: roles.into_iter().collect(),
            tables: self.state.tables.iter().map(|found| found.table.clone()).collect(),
            objects: schema.objects(),
        }
    }

    fn captured(&self, rows: &Rows, fingerprint: String, size: u64) -> Captured {
        let state = &self.state;
        let count = |found: &Found| count(found, rows);
        let mut tables: Vec<TableCount> = state.tables.iter().filter_map(count).collect();
        tables.sort_by(|a, b| a.name.cmp(&b.name));
        Captured {
            vendor: "postgresql".to_owned(),
            server_version: state.version.clone(),
            encoding: state.database.encoding.clone(),
            size,
            tables,
            excluded: state.excluded.clone(),
            fingerprint,
            foreign_key_violations: None,
            spooled: false,
            sqlite: None,
            mysql: None,
            postgres: Some(Facts {
                server_number: self.session.server,
                collate: state.database.collate.clone(),
                ctype: state.database.ctype.clone(),
                locale_provider: state.database.locale_provider.clone(),
                extensions: state.extensions.clone(),
            }),
        }
    }
}

/// The rows that the capture holds of a table; `None` of a partitioned one, whose partitions have
/// them.
fn count(found: &Found, rows: &Rows) -> Option<TableCount> {
    let table = &found.table;
    let taken = rows.tables.iter().find(|taken| taken.id == table.id);
    let (rows, note) = match (table.kind, &table.rows) {
        (TableKind::Partitioned, _) => return None,
        (TableKind::Foreign, _) => (None, Some("its rows are on another server")),
        (_, RowsTaken::Where(_)) => {
            (taken.map(|taken| taken.rows), Some("without the rows that its extension makes"))
        }
        _ => (Some(taken.map_or(0, |taken| taken.rows)), None),
    };
    Some(TableCount { name: table.shown(), rows, note: note.map(str::to_owned), damaged: false })
}

/// Stores all parts of all tables. `owners` has a place in `ids` for each job.
fn take(
    parts: &mut Parts<'_>,
    ids: &[u32],
    owners: &[usize],
    out: &mut Writing<'_>,
) -> Result<Vec<TableRows>> {
    let mut sums = vec![(RowSum::default(), 0); ids.len()];
    for owner in owners {
        let (sum, number) = &mut sums[*owner];
        loop {
            match parts.next(&*out.watch)? {
                Event::Part(bytes) => {
                    *number += 1;
                    out.file(&data_file(ids[*owner], *number), &bytes)?;
                    parts.give_back(bytes);
                }
                Event::Done(rows) => {
                    sum.join(rows);
                    break;
                }
            }
        }
    }
    let taken = ids.iter().zip(sums).map(|(id, (sum, parts))| TableRows {
        id: *id,
        rows: sum.rows,
        hash: sum.hash(),
        bytes: sum.bytes,
        parts,
    });
    Ok(taken.collect())
}
