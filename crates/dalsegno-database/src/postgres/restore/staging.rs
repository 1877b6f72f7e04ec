use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use serde::de::DeserializeOwned;

use super::beside::{Beside, drop_database};
use super::builders::Builders;
use super::content::{Content, Known, digest};
use super::create::{create, properties};
use super::entries::Runner;
use super::loader::{Loaders, label};
use super::names::{Names, Role};
use super::preflight;
use super::rights::Rights;
use super::schedule::EntryId;
use super::session::{maintenance, other, session};
use super::staged::Staged;
use super::steps::divide;
use crate::error::DatabaseError;
use crate::postgres::Access;
use crate::postgres::catalog::{
    Catalog, Entry, POST_FILE, PRE_FILE, ROWS_FILE, Rows, RowsTaken, SCHEMA_FILE, SEQUENCES_FILE,
    Schema, Section, Table,
};
use crate::postgres::connection::literal;
use crate::step::step;
use crate::{CATALOG_FILE, CapturedFile, Place, Result, Watch};

/// Sessions that build indexes, where the machine has processors for more.
const MOST_BUILDERS: usize = 4;
/// Bytes of statements that go over the wire at once.
const BATCH: usize = 1 << 20;

/// A new database on its way. Dropped, it is removed.
pub(super) struct Staging {
    access: Access,
    names: Names,
    rights: Rights,
    catalog: Option<Catalog>,
    load: Option<Load>,
    rows: Option<Rows>,
    made: Made,
}

/// The database, once it is made: dropped, it is removed.
pub(super) struct Made {
    access: Access,
    name: Option<String>,
}

/// What is at work on it.
struct Load {
    loaders: Loaders,
    builders: Option<Builders>,
    runner: Runner,
    preamble: String,
    /// Entries after the rows.
    after: Vec<Entry>,
    /// Those of them that run beside the rows.
    scheduled: BTreeSet<EntryId>,
    /// The entry of each table.
    tables: HashMap<u32, EntryId>,
    large: u64,
}

impl Made {
    /// There is nothing yet.
    fn nothing(access: &Access) -> Self {
        Self { access: access.clone(), name: None }
    }

    /// It has another name now, and is nobody's to remove.
    pub(super) fn keep(mut self) {
        self.name = None;
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(name) = self.name.take() {
            // What cannot be removed now is found by its name later.
            let _ = maintenance(&self.access).and_then(|mut it| drop_database(&mut it, &name));
        }
    }
}

impl Staging {
    /// Nothing is made yet.
    pub(super) fn new(access: &Access, names: &Names, rights: Rights) -> Self {
        Self {
            access: access.clone(),
            names: names.clone(),
            rights,
            catalog: None,
            load: None,
            rows: None,
            made: Made::nothing(access),
        }
    }

    fn place(&self) -> Place {
        self.access.place()
    }

    fn damaged(&self, problem: impl Into<String>) -> DatabaseError {
        DatabaseError::DamagedBackup { place: self.place(), problem: problem.into() }
    }

    fn catalog(&mut self, file: &CapturedFile<'_>, data: &mut dyn Read) -> Result<()> {
        let catalog: Catalog = self.parse(file, data)?;
        let mut server = maintenance(&self.access)?;
        preflight::check(&mut server, &self.access, &self.rights, &catalog)?;
        self.catalog = Some(catalog);
        Ok(())
    }

    /// Everything is known now: the database is made, and what its rows go into.
    fn schema(
        &mut self,
        file: &CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let schema: Schema = self.parse(file, data)?;
        let Some(catalog) = &self.catalog else {
            return Err(self.damaged(format!("`{}` comes before `{CATALOG_FILE}`", file.name)));
        };
        let mut server = maintenance(&self.access)?;
        let owners: BTreeSet<String> =
            schema.entries.iter().map(|it| it.owner.clone()).filter(|it| !it.is_empty()).collect();
        let owners: Vec<String> = owners.into_iter().collect();
        preflight::owners(&mut server, &self.rights, &owners, &self.place())?;
        let name = self.names.of(Role::New);
        if Beside::look(&mut server, &self.names)?.new.is_some() {
            return Err(DatabaseError::PlaceTaken { place: other(&self.place(), &name) });
        }
        let tablespace = preflight::tablespace(&mut server, &catalog.database)?;
        let sql = create(&name, &catalog.database, tablespace);
        let action = format!("create the database `{name}`");
        server.attended(watch, |server| server.run(action, &sql))?;
        self.made.name = Some(name.clone());
        step("database made");

        let runner = Runner::new(&catalog.database, other(&self.place(), &name));
        let mut session = session(&self.access, &name)?;
        session.run("set up a session", &schema.preamble)?;
        session.attended(watch, |session| {
            runner.run(session, schema.entries.iter().filter(|it| it.section != Section::Post))
        })?;
        step("tables made");

        let work = divide(catalog, &schema);
        let mut sessions = vec![session];
        let most = std::thread::available_parallelism().map_or(2, usize::from);
        for _ in 1..most.clamp(2, MOST_BUILDERS) {
            // A server that has no room for more sessions is served by fewer.
            let Ok(mut more) = super::session::session(&self.access, &name) else { break };
            more.run("set up a session", &schema.preamble)?;
            sessions.push(more);
        }
        let scheduled = work.scheduled.keys().copied().collect();
        let builders = Builders::start(sessions, work.schedule, work.scheduled, runner.clone());
        let settings = writing(catalog, &runner);
        let place = other(&self.place(), &name);
        self.load = Some(Load {
            loaders: Loaders::new(&self.access, &name, place, settings),
            builders: Some(builders),
            runner,
            preamble: schema.preamble,
            after: work.after,
            scheduled,
            tables: work.tables,
            large: 0,
        });
        Ok(())
    }

    fn data(
        &mut self,
        (id, part): (u32, u32),
        file: &CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let (catalog, load) = self.loading(file.name)?;
        let Some(table) = catalog.tables.iter().find(|table| table.id == id) else {
            return Err(self.damaged(format!("`{}` is of no table", file.name)));
        };
        let confirmed = load.loaders.part(table, part, file.size, data, watch)?;
        load.confirm(&confirmed)
    }

    fn loading(&mut self, name: &str) -> Result<(&Catalog, &mut Load)> {
        match (&self.catalog, &mut self.load) {
            (Some(catalog), Some(load)) => Ok((catalog, load)),
            _ => Err(DatabaseError::DamagedBackup {
                place: self.access.place(),
                problem: format!("`{name}` comes before `{SCHEMA_FILE}`"),
            }),
        }
    }

    /// A file each line of which is a statement; returns how many.
    fn statements(
        &mut self,
        file: &CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<u64> {
        let text = self.text(file, data)?;
        let (_, load) = self.loading(file.name)?;
        let confirmed = load.loaders.finish(watch)?;
        load.confirm(&confirmed)?;
        let preamble = load.preamble.clone();
        let mut session = session(&self.access, &self.names.of(Role::New))?;
        session.run("set up a session", &preamble)?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let mut rest = &lines[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fit = rest.iter().take_while(|line| {
                bytes += line.len();
                bytes <= BATCH
            });
            let (some, more) = rest.split_at(fit.count().max(1));
            rest = more;
            let sql = some.join("\n");
            let action = format!("run the statements of `{}`", file.name);
            session.attended(watch, |session| session.run(action, &sql))?;
            watch.bytes(sql.len() as u64);
        }
        Ok(lines.len() as u64)
    }

    fn text(&self, file: &CapturedFile<'_>, data: &mut dyn Read) -> Result<String> {
        let mut text = String::new();
        data.read_to_string(&mut text)
            .map_err(|source| DatabaseError::Unreadable { name: file.name.to_owned(), source })?;
        Ok(text)
    }

    fn parse<T: DeserializeOwned>(
        &self,
        file: &CapturedFile<'_>,
        data: &mut dyn Read,
    ) -> Result<T> {
        let text = self.text(file, data)?;
        serde_json::from_str(&text)
            .map_err(|error| self.damaged(format!("`{}` cannot be understood: {error}", file.name)))
    }

    /// What was read and loaded against what was captured.
    fn compare(&self, rows: &Rows) -> Result<()> {
        let (Some(catalog), Some(load)) = (&self.catalog, &self.load) else {
            return Err(DatabaseError::MissingFile { name: SCHEMA_FILE.to_owned() });
        };
        let taken = load.loaders.taken();
        let captured: HashMap<u32, _> = rows.tables.iter().map(|it| (it.id, it)).collect();
        for table in &catalog.tables {
            let (rows, hash, bytes, parts) =
                captured.get(&table.id).map_or((0, format!("{:032x}", 0), 0, 0), |it| {
                    (it.rows, it.hash.clone(), it.bytes, it.parts)
                });
            let found = taken.get(&table.id);
            let wrong = match found {
                None if parts == 0 && rows == 0 => continue,
                None => format!("the rows of {} are missing", label(table)),
                Some(it) if it.parts != parts => {
                    format!("{} has {} parts instead of {parts}", label(table), it.parts)
                }
                Some(it) if it.sum.rows() != rows => {
                    format!("{} has {} rows instead of {rows}", label(table), it.sum.rows())
                }
                Some(it) if it.sum.hash() != hash || it.sum.bytes() != bytes => {
                    format!("the rows of {} are not those that were captured", label(table))
                }
                Some(it) if it.confirmed != rows => {
                    format!("the server took {} of {rows} rows of {}", it.confirmed, label(table))
                }
                Some(_) => continue,
            };
            return Err(self.damaged(wrong));
        }
        if load.large != u64::from(rows.large.parts) {
            let (found, expected) = (load.large, rows.large.parts);
            return Err(
                self.damaged(format!("{found} of {expected} parts of the large objects are there"))
            );
        }
        Ok(())
    }
}

impl Load {
    fn confirm(&self, tables: &[u32]) -> Result<()> {
        let Some(builders) = &self.builders else { return Ok(()) };
        for entry in tables.iter().filter_map(|table| self.tables.get(table)) {
            builders.table_loaded(*entry);
        }
        builders.failure()
    }
}

/// Settings that decide what a text means as a value; all others are this machine's own.
const MEANING: &[&str] = &[
    "bytea_output",
    "client_encoding",
    "datestyle",
    "extra_float_digits",
    "intervalstyle",
    "lc_monetary",
    "standard_conforming_strings",
    "timezone",
    "xmloption",
];

/// The statements after which rows mean what they meant when they were captured.
fn writing(catalog: &Catalog, runner: &Runner) -> String {
    let set = |name: &str, value: &str| {
        format!("SELECT pg_catalog.set_config({}, {}, false)", literal(name), literal(value))
    };
    let mut sql = vec![runner.own_path(), set("client_encoding", &catalog.database.encoding)];
    let pinned = catalog.settings.iter();
    let pinned = pinned.filter(|(name, _)| MEANING.contains(&name.to_ascii_lowercase().as_str()));
    sql.extend(pinned.map(|(name, value)| set(name, value)));
    sql.join("; ")
}

/// The table and the part in `data/000017.0001.copy`.
fn data_part(name: &str) -> Option<(u32, u32)> {
    let (table, part) = name.strip_prefix("data/")?.strip_suffix(".copy")?.split_once('.')?;
    Some((table.parse().ok()?, part.parse().ok()?))
}

fn drain(file: &CapturedFile<'_>, data: &mut dyn Read) -> Result<()> {
    std::io::copy(data, &mut std::io::sink())
        .map_err(|source| DatabaseError::Unreadable { name: file.name.to_owned(), source })
        .map(drop)
}

impl crate::Staging for Staging {
    fn file(
        &mut self,
        file: CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        if let Some(part) = data_part(file.name) {
            return self.data(part, &file, data, watch);
        }
        match file.name {
            CATALOG_FILE if self.catalog.is_none() => self.catalog(&file, data),
            SCHEMA_FILE if self.load.is_none() => self.schema(&file, data, watch),
            PRE_FILE | POST_FILE => drain(&file, data),
            SEQUENCES_FILE => self.statements(&file, data, watch).map(drop),
            name if name.starts_with("large/") => {
                self.statements(&file, data, watch)?;
                self.loading(file.name)?.1.large += 1;
                Ok(())
            }
            ROWS_FILE if self.rows.is_none() => {
                let rows: Rows = self.parse(&file, data)?;
                let (_, load) = self.loading(file.name)?;
                let confirmed = load.loaders.finish(watch)?;
                load.confirm(&confirmed)?;
                self.compare(&rows)?;
                self.rows = Some(rows);
                Ok(())
            }
            name => Err(self.damaged(format!("`{name}` has no place in it"))),
        }
    }

    fn finish(mut self: Box<Self>, watch: &mut dyn Watch) -> Result<Box<dyn crate::Staged>> {
        let missing = |name: &str| DatabaseError::MissingFile { name: name.to_owned() };
        let rows = self.rows.take().ok_or_else(|| missing(ROWS_FILE))?;
        let catalog = self.catalog.take().ok_or_else(|| missing(CATALOG_FILE))?;
        let mut load = self.load.take().ok_or_else(|| missing(SCHEMA_FILE))?;
        let builders = load.builders.take().ok_or_else(|| missing(SCHEMA_FILE))?;
        let left: BTreeSet<EntryId> = builders.finish(watch)?.into_iter().collect();
        step("indexes built");

        let name = self.names.of(Role::New);
        let mut session = session(&self.access, &name)?;
        session.run("set up a session", &load.preamble)?;
        let after = load.after.iter();
        let after = after.filter(|it| !load.scheduled.contains(&it.id) || left.contains(&it.id));
        let runner = &load.runner;
        session.attended(watch, |session| {
            runner.run(session, after)?;
            analyze_rest(session)
        })?;
        drop(session);
        let mut server = maintenance(&self.access)?;
        for sql in properties(&name, &catalog.database) {
            server.run("set what belongs to the database", &sql)?;
        }
        step("database complete");

        let mut session = super::content::reading(&self.access, &name)?;
        let known = known(&catalog, &rows);
        let digest = session.attended(watch, |session| digest(session, &known))?;
        let oid = Beside::look(&mut server, &self.names)?.new;
        let Some(oid) = oid else {
            return Err(self.damaged(format!("the database `{name}` is gone")));
        };
        let content = Content { oid, digest };
        let made = std::mem::replace(&mut self.made, Made::nothing(&self.access));
        Ok(Box::new(Staged::new(&self.access, &self.names, made, content, catalog, rows)))
    }
}

/// Materialized views and partitioned tables, which the server never analyzes by itself.
fn analyze_rest(session: &mut crate::postgres::connection::Session) -> Result<()> {
    let rows = session.rows(
        "list what is to be analyzed",
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE (c.relkind = 'm' AND c.relispopulated OR c.relkind = 'p') ORDER BY 1",
        &[],
    )?;
    for row in rows {
        let name: String = row.get(0);
        session.run(format_args!("analyze {name}"), &format!("ANALYZE {name}"))?;
    }
    Ok(())
}

/// Tables whose rows were hashed on their way in.
fn known(catalog: &Catalog, rows: &Rows) -> Known {
    let hashes: HashMap<u32, _> = rows.tables.iter().map(|it| (it.id, it)).collect();
    let whole = catalog.tables.iter().filter(|it| !matches!(it.rows, RowsTaken::Where(_)));
    whole
        .map(|table: &Table| {
            let columns = table.columns.iter().map(|column| column.name.clone()).collect();
            let key = (table.schema.clone(), table.name.clone(), columns);
            let none = || (0, format!("{:032x}", 0));
            (key, hashes.get(&table.id).map_or_else(none, |it| (it.rows, it.hash.clone())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_part_tells_its_table() {
        assert_eq!(data_part("data/000017.0002.copy"), Some((17, 2)));
        for name in ["data/17.copy", "data/x.1.copy", "large/0001.sql", "data/1.1.tsv"] {
            assert_eq!(data_part(name), None, "{name}");
        }
    }
}
