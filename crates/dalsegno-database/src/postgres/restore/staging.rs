use std::collections::{BTreeSet, HashMap};
use std::io::Read;

use super::beside::{Beside, drop_database};
use super::builders::Builders;
use super::content::{Content, Mark, digest};
use super::create::{create, properties};
use super::entries::Runner;
use super::files::{self, data_part, drain, known};
use super::loader::Loaders;
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
    Catalog, Entry, LOAD_FILE, POST_FILE, PRE_FILE, ROWS_FILE, Rows, SCHEMA_FILE, SEQUENCES_FILE,
    Schema, Section,
};
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
        let catalog: Catalog = files::parse(file, data, &self.access.place())?;
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
        let schema: Schema = files::parse(file, data, &self.access.place())?;
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
        let settings = format!("{}; {}", runner.own_path(), files::settings(catalog));
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
        let text = files::text(file, data)?;
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
            PRE_FILE | LOAD_FILE | POST_FILE => drain(&file, data),
            SEQUENCES_FILE => self.statements(&file, data, watch).map(drop),
            name if name.starts_with("5-large/") => {
                self.statements(&file, data, watch)?;
                self.loading(file.name)?.1.large += 1;
                Ok(())
            }
            ROWS_FILE if self.rows.is_none() => {
                let rows: Rows = files::parse(&file, data, &self.access.place())?;
                let (_, load) = self.loading(file.name)?;
                let confirmed = load.loaders.finish(watch)?;
                load.confirm(&confirmed)?;
                let (catalog, load) = self.loading(file.name)?;
                files::compare(catalog, &rows, load.loaders.taken(), load.large)
                    .map_err(|problem| self.damaged(problem))?;
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
        let content = Content { mark: Mark::Database(oid), digest };
        let made = std::mem::replace(&mut self.made, Made::nothing(&self.access));
        Ok(Box::new(Staged::new(&self.access, &self.names, made, &content, catalog, rows)))
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
