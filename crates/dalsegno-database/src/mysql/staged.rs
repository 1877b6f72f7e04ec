//! A whole copy: tried out, checked, switched in.

use std::collections::BTreeMap;

use super::catalog::{Catalog, Entry, Kind, Rows, Schema, Section};
use super::content::rows_digest;
use super::copy::Copy;
use super::create_table::CreateTable;
use super::maker::Maker;
use super::switch::Work;
use super::{hashes, quote};
use crate::{
    CheckOptions, CheckReport, DatabaseError, Result, RowSum, SwitchOptions, TableCount, TableHash,
    Violation, Watch,
};

/// How many rows with dangling foreign keys are named.
const NAMED: usize = 20;
/// The table is in another schema, which the trigger names itself.
const OTHER_SCHEMA: u16 = 1435;

/// A copy with all rows and keys.
pub(super) struct Staged {
    copy: Copy,
    catalog: Catalog,
    schema: Schema,
    /// What was read of each table.
    read: BTreeMap<u32, RowSum>,
    notes: Vec<String>,
}

impl Staged {
    /// Everything is loaded. What cannot be made in the live database is found here: objects are
    /// made in the copy once, triggers after its last row.
    pub(super) fn new(
        mut copy: Copy,
        catalog: Catalog,
        schema: Schema,
        read: BTreeMap<u32, RowSum>,
        notes: Vec<String>,
    ) -> Result<Self> {
        copy.facts.rows = rows_digest(&expected(&catalog, &read));
        let mut staged = Self { copy, catalog, schema, read, notes };
        staged.try_objects()?;
        super::step::step("mysql-staged");
        let names = staged.copy.names.clone();
        staged.copy.facts.write(&mut staged.copy.session, &names)?;
        Ok(staged)
    }

    fn try_objects(&mut self) -> Result<()> {
        let schema = self.copy.schema();
        let post = self.schema.entries.iter().filter(|entry| entry.section == Section::Post);
        let mut entries: Vec<Entry> = post.cloned().collect();
        let elsewhere = self.catalog.database != self.copy.names.live();
        let mut maker = Maker::new(self.copy.session.access(), &schema)?;
        let (working, broken): (Vec<Entry>, Vec<Entry>) =
            entries.drain(..).partition(|entry| entry.broken.is_none());
        let (triggers, others): (Vec<&Entry>, Vec<&Entry>) =
            working.iter().partition(|entry| entry.kind == Kind::Trigger);
        maker.make_all(&others)?;
        for entry in triggers {
            match maker.make(entry) {
                Ok(()) => maker.remove(entry)?,
                // It names its schema itself, and is right where that is the live one.
                Err(error) if super::error::code_of(&error) == Some(OTHER_SCHEMA) && !elsewhere => {
                }
                Err(error) => return Err(error),
            }
        }
        for entry in &broken {
            let why = entry.broken.as_deref().unwrap_or_default();
            self.notes.push(format!(
                "`{}` did not work when it was captured ({why}) and is not made; its text is in \
                 the backup",
                entry.name
            ));
        }
        let named = format!("{}.", quote::identifier(&self.catalog.database));
        for entry in working.iter().filter(|entry| elsewhere && entry.sql.contains(&named)) {
            self.notes.push(format!(
                "`{}` names the database `{}` itself, and still does",
                entry.name, self.catalog.database
            ));
        }
        self.copy.facts.new.objects = working;
        Ok(())
    }

    fn place_of(&self, table: &str) -> String {
        format!("{}.{}", quote::identifier(&self.copy.schema()), quote::identifier(table))
    }

    fn count(&mut self, options: &CheckOptions<'_>, report: &mut CheckReport) -> Result<()> {
        for table in &self.catalog.tables.clone() {
            if table.rows == Rows::Elsewhere {
                let note = "its rows lie in other tables or on another server".to_owned();
                report.counts.push(TableCount {
                    name: table.name.clone(),
                    rows: None,
                    note: Some(note),
                    damaged: false,
                });
                continue;
            }
            let all = if table.history { " FOR SYSTEM_TIME ALL" } else { "" };
            let sql = format!("SELECT COUNT(*) FROM {}{all}", self.place_of(&table.name));
            let rows = self.copy.session.count("count the rows of", &table.name, &sql)?;
            let read = self.read.get(&table.id).map_or(0, |sum| sum.rows);
            let promised = options.expected_counts.iter().find(|count| count.name == table.name);
            let promised = promised.and_then(|count| count.rows).unwrap_or(read);
            if rows != read || rows != promised {
                report.problems.push(format!("`{}` has {rows} rows, not {promised}", table.name));
            }
            report.counts.push(TableCount {
                name: table.name.clone(),
                rows: Some(rows),
                note: None,
                damaged: false,
            });
        }
        for count in options.expected_counts {
            if !self.catalog.tables.iter().any(|table| table.name == count.name) {
                report.problems.push(format!("`{}` is missing", count.name));
            }
        }
        Ok(())
    }

    /// The server's own words for each table against those of the original.
    fn compare_definitions(&mut self, report: &mut CheckReport) -> Result<()> {
        let same_server = self.copy.session.server().text == self.catalog.server_version;
        let (own, copied) = (self.catalog.database.clone(), self.copy.schema());
        self.copy.session.enter_schema(&copied)?;
        for entry in self.schema.entries.iter().filter(|entry| entry.kind == Kind::Table) {
            let sql = format!("SHOW CREATE TABLE {}", quote::identifier(&entry.name));
            let rows = self.copy.session.ask("read the definition of", &entry.name, &sql)?;
            let made = rows.first().map(|row| row.text(1)).unwrap_or_default();
            let call = |schema: &str| format!("({}.", quote::identifier(schema));
            let made = made.replace(&call(&copied), &call(&own));
            let (Some(was), Some(is)) = (CreateTable::parse(&entry.sql), CreateTable::parse(&made))
            else {
                report.notes.push(format!("the definition of `{}` cannot be compared", entry.name));
                continue;
            };
            if let Some(what) = was.difference(&is) {
                let text = format!("`{}` is not what it was: {what}", entry.name);
                // Another version may say the same in other words.
                if same_server { report.problems.push(text) } else { report.notes.push(text) }
            }
        }
        Ok(())
    }

    /// Rows whose foreign key points nowhere: switching checks on again does not look for them.
    fn find_orphans(&mut self, watch: &dyn Watch, report: &mut CheckReport) -> Result<()> {
        let mut total = 0;
        for entry in self.schema.entries.iter().filter(|entry| entry.kind == Kind::Table) {
            let Some(table) = CreateTable::parse(&entry.sql) else { continue };
            for key in table.foreign_keys() {
                if watch.cancelled() {
                    return Err(DatabaseError::Cancelled);
                }
                let schema = key.schema.clone().unwrap_or_else(|| self.copy.schema());
                let pairs: Vec<(String, String)> = key
                    .columns
                    .iter()
                    .zip(&key.parent_columns)
                    .map(|(own, other)| (quote::identifier(own), quote::identifier(other)))
                    .collect();
                let on: Vec<String> =
                    pairs.iter().map(|(own, other)| format!("c.{own} = p.{other}")).collect();
                let set: Vec<String> =
                    pairs.iter().map(|(own, _)| format!("c.{own} IS NOT NULL")).collect();
                let sql = format!(
                    "SELECT COUNT(*) FROM {}.{} c WHERE {} AND NOT EXISTS \
                     (SELECT 1 FROM {}.{} p WHERE {})",
                    quote::identifier(&self.copy.schema()),
                    quote::identifier(&entry.name),
                    set.join(" AND "),
                    quote::identifier(&schema),
                    quote::identifier(&key.parent),
                    on.join(" AND ")
                );
                let found = self.copy.session.count("check the keys of", &entry.name, &sql)?;
                total += found;
                for _ in 0..found.min(NAMED.saturating_sub(report.violations.len()) as u64) {
                    report.violations.push(Violation {
                        table: entry.name.clone(),
                        rowid: None,
                        parent: key.parent.clone(),
                    });
                }
            }
        }
        report.foreign_key_violations = Some(total);
        Ok(())
    }

    fn read_back(&mut self, watch: &mut dyn Watch, report: &mut CheckReport) -> Result<()> {
        let access = self.copy.session.access().clone();
        let found = hashes::of_schema(&access, &self.copy.schema(), watch)?;
        for expected in expected(&self.catalog, &self.read) {
            let same = found.iter().find(|table| table.name == expected.name);
            if same.is_none_or(|table| (table.rows, &table.hash) != (expected.rows, &expected.hash))
            {
                report
                    .problems
                    .push(format!("the rows of `{}` are not those captured", expected.name));
            }
        }
        Ok(())
    }
}

impl crate::Staged for Staged {
    fn check(&mut self, options: &CheckOptions<'_>, watch: &mut dyn Watch) -> Result<CheckReport> {
        let mut report = CheckReport {
            problems: Vec::new(),
            notes: self.notes.clone(),
            counts: Vec::new(),
            foreign_key_violations: None,
            violations: Vec::new(),
        };
        self.count(options, &mut report)?;
        self.compare_definitions(&mut report)?;
        if options.full {
            self.find_orphans(watch, &mut report)?;
            self.read_back(watch, &mut report)?;
        }
        Ok(report)
    }

    fn content(&self) -> &str {
        &self.copy.facts.rows
    }

    fn switch(
        mut self: Box<Self>,
        options: SwitchOptions,
        watch: &mut dyn Watch,
    ) -> Result<crate::Switched> {
        let names = self.copy.names.clone();
        let Copy { session, facts, .. } = &mut self.copy;
        Work { session, names: &names, facts }.begin()?;
        // Until the live database is as it was, nothing may be thrown away.
        self.copy.keep();
        let Copy { session, facts, .. } = &mut self.copy;
        let mut work = Work { session, names: &names, facts };
        let error = match work.switch(options, watch) {
            Ok(switched) => return Ok(crate::Switched::Mysql(switched)),
            Err(error) => error,
        };
        // Where the way back fails, too, everything stays for `recover` to tell.
        if work.undo(options).is_ok() {
            self.copy.spare();
        }
        Err(error)
    }
}

/// The rows that the copy is to have.
fn expected(catalog: &Catalog, read: &BTreeMap<u32, RowSum>) -> Vec<TableHash> {
    let held = catalog.tables.iter().filter(|table| table.rows != Rows::Elsewhere);
    held.map(|table| {
        let sum = read.get(&table.id).copied().unwrap_or_default();
        TableHash {
            name: table.name.clone(),
            rows: Some(sum.rows),
            hash: Some(sum.hash()),
            note: None,
        }
    })
    .collect()
}
