//! From the files of a capture to a copy in a schema of its own.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use super::catalog::{
    Catalog, Entry, Kind, LOAD_FILE, POST_FILE, PRE_FILE, ROWS_FILE, Rows, RowsReport, SCHEMA_FILE,
    SEQUENCES_FILE, Schema, Section,
};
use super::connection::Session;
use super::copy::Copy;
use super::create_table::{CreateTable, Deferred};
use super::fitness;
use super::journal::Defaults;
use super::loading::{Loaded, Loading};
use super::names::Names;
use super::part;
use super::staged::Staged;
use super::{Access, quote};
use crate::{CATALOG_FILE, CapturedFile, DatabaseError, Result, RowSum, Watch};

/// A table whose keys are built after its rows: those of a smaller one cost nothing.
const LARGE: u64 = 8 << 20;
/// No file of a capture is larger: a row above it was refused.
const LARGEST_FILE: u64 = 640 << 20;
/// Bytes between two looks at the watch.
const CHUNK: u64 = 1 << 20;

/// A copy that takes the files of its capture.
pub(super) struct Staging {
    access: Access,
    names: Names,
    restore_id: String,
    begun: Option<Begun>,
}

/// Once the first file said what it is.
struct Begun {
    // Before the copy, so that nothing is loaded any more when its schema goes.
    loading: Loading,
    copy: Copy,
    catalog: Catalog,
    schema: Option<Schema>,
    tables: BTreeMap<u32, Arc<Loaded>>,
    foreign: Vec<(String, String)>,
    read: BTreeMap<u32, (RowSum, u32)>,
    current: Option<u32>,
    report: Option<RowsReport>,
    notes: Vec<String>,
}

impl Staging {
    /// Nothing is made before the first file has come.
    pub(super) fn new(access: &Access, names: &Names, restore_id: &str) -> Self {
        let (access, names) = (access.clone(), names.clone());
        Self { access, names, restore_id: restore_id.to_owned(), begun: None }
    }

    fn begin(&self, catalog: Catalog) -> Result<Begun> {
        let mut session = Session::for_restore(&self.access)?;
        fitness::check_server(&mut session, &catalog)?;
        fitness::check_rights(&mut session, &self.names)?;
        let defaults = Defaults {
            character_set: catalog.character_set.clone(),
            collation: catalog.collation.clone(),
            comment: catalog.comment.clone(),
        };
        let loading = Loading::open(&self.access)?;
        let copy = Copy::begin(session, self.names.clone(), &self.restore_id, &defaults)?;
        Ok(Begun {
            loading,
            copy,
            catalog,
            schema: None,
            tables: BTreeMap::new(),
            foreign: Vec::new(),
            read: BTreeMap::new(),
            current: None,
            report: None,
            notes: Vec::new(),
        })
    }

    fn damaged(&self, problem: impl Into<String>) -> DatabaseError {
        let path = self.access.place().to_string().into();
        DatabaseError::Damaged { path, problem: problem.into() }
    }
}

impl crate::Staging for Staging {
    fn file(
        &mut self,
        file: CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let name = file.name;
        if file.size > LARGEST_FILE {
            return Err(self.damaged(format!("`{name}` is larger than any file of a capture")));
        }
        let bytes = read_whole(&self.access, file, data, watch)?;
        let Some(begun) = &mut self.begun else {
            if name != CATALOG_FILE {
                return Err(self.damaged(format!("`{name}` comes before `{CATALOG_FILE}`")));
            }
            let catalog = serde_json::from_slice(&bytes)
                .map_err(|error| self.damaged(format!("`{name}` cannot be read: {error}")))?;
            self.begun = Some(self.begin(catalog)?);
            return Ok(());
        };
        match name {
            // The same again, for the plain client alone.
            PRE_FILE | LOAD_FILE | SEQUENCES_FILE | POST_FILE => Ok(()),
            SCHEMA_FILE if begun.schema.is_none() => {
                let schema = begun.parse(name, &bytes)?;
                begun.create(schema)
            }
            ROWS_FILE if begun.report.is_none() => {
                begun.report = Some(begun.parse(name, &bytes)?);
                begun.complete(watch)
            }
            _ => begun.part(name, bytes, watch),
        }
    }

    fn finish(mut self: Box<Self>, watch: &mut dyn Watch) -> Result<Box<dyn crate::Staged>> {
        let missing = |name: &str| DatabaseError::MissingFile { name: name.to_owned() };
        let begun = self.begun.take().ok_or_else(|| missing(CATALOG_FILE))?;
        let Begun { loading, mut copy, catalog, schema, foreign, read, report, mut notes, .. } =
            begun;
        let schema = schema.ok_or_else(|| missing(SCHEMA_FILE))?;
        let report = report.ok_or_else(|| missing(ROWS_FILE))?;
        let warnings = loading.finish(watch)?;
        check_warnings(&copy, &catalog, &report, &warnings)?;
        for (name, sql) in &foreign {
            if watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            copy.session.run("add the foreign keys of", name, sql)?;
        }
        set_sequences(&mut copy, &schema, &report)?;
        notes.extend(catalog.notes.iter().cloned());
        let (read, catalog) = (read.into_iter().map(|(id, sum)| (id, sum.0)).collect(), catalog);
        Ok(Box::new(Staged::new(copy, catalog, schema, read, notes)?))
    }
}

impl Begun {
    fn parse<T: serde::de::DeserializeOwned>(&self, name: &str, bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes)
            .map_err(|error| self.copy.damaged(format!("`{name}` cannot be read: {error}")))
    }

    /// Makes tables and sequences.
    fn create(&mut self, schema: Schema) -> Result<()> {
        fitness::check_definers(&mut self.copy.session, &schema)?;
        let into = self.copy.schema();
        self.copy.session.enter_schema(&into)?;
        for entry in schema.entries.iter().filter(|entry| entry.section == Section::Pre) {
            if !matches!(entry.kind, Kind::Table | Kind::Sequence) {
                let what = format!("`{}` cannot be made before the rows", entry.name);
                return Err(self.copy.damaged(what));
            }
            let sql = self.localized(entry)?;
            self.copy.facts.new.tables.push(entry.name.clone());
            if entry.kind == Kind::Sequence {
                self.copy.session.run("create the sequence", &entry.name, &sql)?;
                continue;
            }
            let captured = self.catalog.tables.iter().find(|table| table.id == entry.id);
            let Some(captured) = captured.filter(|table| table.name == entry.name) else {
                return Err(self.copy.damaged(format!("nothing is known of `{}`", entry.name)));
            };
            let place = format!("{}.{}", quote::identifier(&into), quote::identifier(&entry.name));
            let large = captured.data_length >= LARGE;
            let parts = CreateTable::parse(&sql).filter(|_| large).and_then(|t| t.deferring());
            let (text, mut deferred) = parts.unwrap_or((sql.clone(), Deferred::default()));
            self.copy.session.run("create the table", &entry.name, &text)?;
            let foreign = std::mem::take(&mut deferred.foreign);
            if !foreign.is_empty() {
                let sql = format!("ALTER TABLE {place} ADD {}", foreign.join(", ADD "));
                self.foreign.push((entry.name.clone(), sql));
            }
            let table = Loaded { table: captured.clone(), into: place, deferred };
            self.tables.insert(captured.id, Arc::new(table));
        }
        if self.tables.len() != self.catalog.tables.len() {
            return Err(self.copy.damaged("`2-schema.json` does not hold every table of it"));
        }
        self.schema = Some(schema);
        Ok(())
    }

    /// A statement for the copy: the server names a sequence that gives a default with its schema,
    /// which is set again after the switch.
    fn localized(&mut self, entry: &Entry) -> Result<String> {
        let (from, to) = (&self.catalog.database, self.copy.schema());
        let calls = ["nextval", "lastval"];
        let call = |call: &str, schema: &str| format!("{call}({}.", quote::identifier(schema));
        if !calls.iter().any(|name| entry.sql.contains(&call(name, from))) {
            return Ok(entry.sql.clone());
        }
        let Some(table) = CreateTable::parse(&entry.sql) else {
            return Err(self.copy.damaged(format!("`{}` has no columns", entry.name)));
        };
        let live = self.copy.names.live().to_owned();
        let into = |text: &str, schema: &str| {
            calls.iter().fold(text.to_owned(), |text, name| {
                text.replace(&call(name, from), &call(name, schema))
            })
        };
        for column in table.columns().filter(|text| into(text, &to) != **text) {
            self.copy.facts.after.push(format!(
                "ALTER TABLE {}.{} MODIFY COLUMN {}",
                quote::identifier(&live),
                quote::identifier(&entry.name),
                into(column, &live)
            ));
        }
        Ok(into(&entry.sql, &to))
    }

    /// Takes one data file.
    fn part(&mut self, name: &str, bytes: Vec<u8>, watch: &dyn Watch) -> Result<()> {
        if self.schema.is_none() || self.report.is_some() {
            return Err(self.copy.damaged(format!("`{name}` comes at the wrong time")));
        }
        let id = name.strip_prefix("4-data/").and_then(|rest| rest.split_once('.'));
        let table = id.and_then(|(id, _)| id.parse().ok()).and_then(|id| self.tables.get(&id));
        let Some(table) = table.map(Arc::clone) else {
            return Err(self.copy.damaged(format!("`{name}` has no place in it")));
        };
        let id = table.table.id;
        let (sum, parts) = self.read.get(&id).copied().unwrap_or_default();
        let after_build = parts > 0 && self.current != Some(id);
        if after_build
            || table.table.rows != Rows::Captured
            || name != table.table.data_file(parts + 1)
        {
            return Err(self.copy.damaged(format!("`{name}` comes at the wrong time")));
        }
        self.leave(Some(id), watch)?;
        let Some(found) = part::sum(&bytes) else {
            return Err(self.copy.damaged(format!("`{name}` ends in the middle of a row")));
        };
        let mut sum = sum;
        sum.join(found);
        self.read.insert(id, (sum, parts + 1));
        self.loading.part(&table, bytes, found.rows, watch)
    }

    /// Goes on to another table, or to none: the keys of the last one are built.
    fn leave(&mut self, next: Option<u32>, watch: &dyn Watch) -> Result<()> {
        if self.current == next {
            return Ok(());
        }
        let last = self.current.and_then(|id| self.tables.get(&id)).map(Arc::clone);
        if let Some(table) = last {
            self.loading.build(&table, watch)?;
        }
        self.current = next;
        Ok(())
    }

    /// All rows were read: are they what was captured?
    fn complete(&mut self, watch: &dyn Watch) -> Result<()> {
        self.leave(None, watch)?;
        let Some(report) = &self.report else { return Ok(()) };
        for (id, table) in &self.tables {
            let name = &table.table.name;
            let said = report.tables.iter().find(|rows| rows.id == *id);
            let (sum, parts) = self.read.get(id).copied().unwrap_or_default();
            match said {
                Some(said) => {
                    let read = (sum.rows, sum.hash(), sum.bytes, parts);
                    if read != (said.rows, said.hash.clone(), said.bytes, said.parts) {
                        return Err(self.copy.damaged(format!(
                            "`{name}` has {} rows in {parts} files with hash {}, not {} rows in {} \
                             files with hash {}",
                            sum.rows,
                            sum.hash(),
                            said.rows,
                            said.parts,
                            said.hash
                        )));
                    }
                }
                None if table.table.rows == Rows::Captured => {
                    return Err(self
                        .copy
                        .damaged(format!("nothing says how many rows `{name}` has")));
                }
                None => {}
            }
        }
        // Tables without rows have keys to be built, too.
        let empty: Vec<Arc<Loaded>> = self
            .tables
            .iter()
            .filter(|(id, _)| !self.read.contains_key(id))
            .map(|(_, table)| Arc::clone(table))
            .collect();
        empty.iter().try_for_each(|table| self.loading.build(table, watch))
    }
}

/// The only warnings that are none: of values that are an error's in the original, too.
fn check_warnings(
    copy: &Copy,
    catalog: &Catalog,
    report: &RowsReport,
    warnings: &[(u32, u64, String)],
) -> Result<()> {
    for table in &catalog.tables {
        let expected = report.tables.iter().find(|t| t.id == table.id).map_or(0, |t| t.warnings);
        let ours = || warnings.iter().filter(|(id, ..)| *id == table.id);
        let found: u64 = ours().map(|(_, count, _)| count).sum();
        if found != expected {
            let first = ours().map(|(.., text)| text.as_str()).next().unwrap_or("none");
            return Err(copy.damaged(format!(
                "the server warned {found} times about rows of `{}`, not {expected} times: {first}",
                table.name
            )));
        }
    }
    Ok(())
}

fn set_sequences(copy: &mut Copy, schema: &Schema, report: &RowsReport) -> Result<()> {
    for entry in schema.entries.iter().filter(|entry| entry.kind == Kind::Sequence) {
        let Some(value) = report.sequences.iter().find(|value| value.id == entry.id) else {
            return Err(copy.damaged(format!("nothing says where `{}` stands", entry.name)));
        };
        let sql = format!(
            "SELECT SETVAL({}.{}, {}, 0, {})",
            quote::identifier(&copy.schema()),
            quote::identifier(&entry.name),
            value.next,
            value.cycle
        );
        copy.session.run("set the sequence", &entry.name, &sql)?;
    }
    Ok(())
}

fn read_whole(
    access: &Access,
    file: CapturedFile<'_>,
    data: &mut dyn Read,
    watch: &mut dyn Watch,
) -> Result<Vec<u8>> {
    let failed = |source| DatabaseError::Io {
        action: "read the captured file",
        path: file.name.into(),
        source,
    };
    let mut bytes = Vec::with_capacity(usize::try_from(file.size).unwrap_or(0));
    loop {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        let before = bytes.len();
        data.take(CHUNK).read_to_end(&mut bytes).map_err(failed)?;
        let taken = (bytes.len() - before) as u64;
        watch.bytes(taken);
        if bytes.len() as u64 > file.size || (taken == 0 && (bytes.len() as u64) < file.size) {
            let problem = format!("`{}` has {} bytes, not {}", file.name, bytes.len(), file.size);
            let path = access.place().to_string().into();
            return Err(DatabaseError::Damaged { path, problem });
        }
        if taken == 0 {
            return Ok(bytes);
        }
    }
}
