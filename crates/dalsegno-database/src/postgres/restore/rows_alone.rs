use std::collections::BTreeMap;
use std::io::Read;

use super::content::{Content, Known, Mark, digest_of_view};
use super::files::{self, data_part, drain, known};
use super::loader::{Taken, broken, columns, label};
use super::preflight::{self, refused};
use super::rows_staged::RowsStaged;
use super::session::{qualified, session};
use crate::error::DatabaseError;
use crate::postgres::catalog::{
    Catalog, Entry, LOAD_FILE, POST_FILE, PRE_FILE, ROWS_FILE, Rows, RowsTaken, SCHEMA_FILE,
    SEQUENCES_FILE, Schema, Table, TableKind,
};
use crate::postgres::connection::{Session, literal, quoted};
use crate::postgres::failure::refused as refused_by_server;
use crate::postgres::{Access, dump, program, survey};
use crate::{CATALOG_FILE, CapturedFile, Result, Watch};

/// How long the tables may be held by others before the restore gives up.
const LOCK_TIMEOUT: &str = "10s";

/// The way of a role that cannot make a database: the rows are replaced inside the live one, in one
/// transaction that nobody sees. The schema must be the same, and the old rows are not kept.
/// Dropped, it is undone.
pub(super) struct RowsAlone {
    access: Access,
    restore_id: String,
    catalog: Option<Catalog>,
    open: Option<Open>,
    rows: Option<Rows>,
}

struct Open {
    session: Session,
    transaction: i64,
    /// Statements that put back what stood in the way of the rows.
    put_back: Vec<String>,
    refreshes: Vec<Entry>,
    taken: BTreeMap<u32, Taken>,
    /// The table whose rows come, and the beginning of a row that was cut.
    rest: Option<(u32, Vec<u8>)>,
}

impl RowsAlone {
    pub(super) fn new(access: &Access, restore_id: &str) -> Self {
        let (access, restore_id) = (access.clone(), restore_id.to_owned());
        Self { access, restore_id, catalog: None, open: None, rows: None }
    }

    fn damaged(&self, problem: impl Into<String>) -> DatabaseError {
        DatabaseError::DamagedBackup { place: self.access.place(), problem: problem.into() }
    }

    fn open(&mut self, schema: &Schema, watch: &mut dyn Watch) -> Result<()> {
        let Some(catalog) = &self.catalog else {
            return Err(self.damaged(format!("`{SCHEMA_FILE}` comes before `{CATALOG_FILE}`")));
        };
        same_schema(&self.access, &schema.fingerprint(), watch)?;
        let mut session = session(&self.access, &self.access.database)?;
        session.run("set up a session", &files::settings(catalog))?;
        let (transaction, put_back) = session.attended(watch, |session| clear(session, catalog))?;
        let refreshes =
            schema.entries.iter().filter(|it| it.kind == "MATERIALIZED VIEW DATA").cloned();
        self.open = Some(Open {
            session,
            transaction,
            put_back,
            refreshes: refreshes.collect(),
            taken: BTreeMap::new(),
            rest: None,
        });
        Ok(())
    }

    fn part(
        &mut self,
        (id, part): (u32, u32),
        file: &CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let wrong = |problem: &str| DatabaseError::DamagedBackup {
            place: self.access.place(),
            problem: format!("`{}` {problem}", file.name),
        };
        let (Some(catalog), Some(open)) = (&self.catalog, &mut self.open) else {
            return Err(wrong("comes too early"));
        };
        let table = catalog.tables.iter().find(|table| table.id == id);
        let table = table.ok_or_else(|| wrong("is of no table"))?;
        let taken = open.taken.entry(id).or_default();
        if part != taken.parts + 1 || open.rest.as_ref().is_some_and(|(other, _)| *other != id) {
            return Err(wrong("is out of its order"));
        }
        taken.parts = part;
        let mut bytes = open.rest.take().map_or_else(Vec::new, |(_, rest)| rest);
        let begun = bytes.len();
        data.read_to_end(&mut bytes)
            .map_err(|source| DatabaseError::Unreadable { name: file.name.to_owned(), source })?;
        taken.sum.push(&bytes[begun..]);
        watch.bytes((bytes.len() - begun) as u64);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let rest = bytes.split_off(whole);
        open.rest = (!rest.is_empty()).then_some((id, rest));
        let place = self.access.place();
        let action = format!("load the rows of {}", label(table));
        let sql =
            format!("COPY {} {} FROM STDIN", qualified(&table.schema, &table.name), columns(table));
        taken.confirmed += open.session.attended(watch, |session| {
            let mut writer =
                session.client.copy_in(&sql).map_err(refused_by_server(&action, &place))?;
            if let Err(error) = std::io::Write::write_all(&mut writer, &bytes) {
                return Err(broken(error, &action, &place));
            }
            writer.finish().map_err(refused_by_server(&action, &place))
        })?;
        Ok(())
    }

    fn sequences(&mut self, text: &str, watch: &mut dyn Watch) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Err(self.damaged(format!("`{SEQUENCES_FILE}` comes too early")));
        };
        open.session.attended(watch, |session| {
            // A position is outside of transactions, unless the sequence is new in this one.
            let names = survey::sequences(session)?;
            for (schema, name) in names {
                let name = qualified(&schema, &name);
                session.run(
                    format_args!("restart the sequence {name}"),
                    &format!("ALTER SEQUENCE {name} RESTART"),
                )?;
            }
            session.run("set the sequences", text)
        })
    }
}

/// Refuses a live database whose schema is not that of the backup.
pub(super) fn same_schema(access: &Access, fingerprint: &str, watch: &dyn Watch) -> Result<()> {
    let mut session = session(access, &access.database)?;
    let program = program::find("pg_dump", access, session.server)?;
    let populated = survey::populated(&mut session)?;
    let live = dump::dump(&program, access, None, &populated, &|| watch.cancelled())?;
    if live.fingerprint() == fingerprint {
        return Ok(());
    }
    Err(refused(
        &access.place(),
        "its schema is not that of the backup, and this role may not make a new database"
            .to_owned(),
        "Let the role own the database and create others (`CREATEDB`), or bring the schema to \
         that of the backup (`migrate`)."
            .to_owned(),
    ))
}

/// Opens the transaction and takes the old rows away, and what would stand in the way of new ones.
/// Returns its number and the statements that put the rest back.
fn clear(session: &mut Session, catalog: &Catalog) -> Result<(i64, Vec<String>)> {
    session.run("begin a transaction", "BEGIN")?;
    session.run("wait for locks", &format!("SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))?;
    let number = "SELECT pg_catalog.txid_current()";
    let transaction: i64 = session.one("begin a transaction", number, &[])?.get(0);
    let ours: Vec<&Table> =
        catalog.tables.iter().filter(|it| it.kind == TableKind::Table).collect();
    let whole = ours.iter().filter(|it| !matches!(it.rows, RowsTaken::Where(_)));
    let whole: Vec<String> =
        whole.map(|it| format!("ONLY {}", qualified(&it.schema, &it.name))).collect();
    if !whole.is_empty() {
        let sql = format!("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE", whole.join(", "));
        session.run("lock the tables", &sql)?;
    }
    let mut put_back = keys(session)?;
    put_back.extend(triggers(session)?);
    if !whole.is_empty() {
        session.run("empty the tables", &format!("TRUNCATE {}", whole.join(", ")))?;
    }
    for table in &ours {
        let RowsTaken::Where(condition) = &table.rows else { continue };
        let name = qualified(&table.schema, &table.name);
        let sql = format!("DELETE FROM ONLY {name} {condition}");
        session.run(format_args!("empty {name}"), &sql)?;
    }
    session.run("wait for locks", "SET LOCAL lock_timeout = 0")?;
    Ok((transaction, put_back))
}

/// Drops the foreign keys; returns what makes them again, and their comments.
fn keys(session: &mut Session) -> Result<Vec<String>> {
    let rows = session.rows(
        "list the foreign keys",
        "SELECT conrelid::regclass::text, conname::text, pg_catalog.pg_get_constraintdef(oid), \
         pg_catalog.obj_description(oid, 'pg_constraint') FROM pg_catalog.pg_constraint \
         WHERE contype = 'f' AND conparentid = 0 ORDER BY 1, 2",
        &[],
    )?;
    let mut again = Vec::new();
    for row in rows {
        let (table, name, text): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let name = quoted(&name);
        session.run(
            format_args!("take away the foreign key {name} of {table}"),
            &format!("ALTER TABLE {table} DROP CONSTRAINT {name}"),
        )?;
        again.push(format!("ALTER TABLE {table} ADD CONSTRAINT {name} {text}"));
        if let Some(comment) = row.get::<_, Option<String>>(3) {
            let comment = literal(&comment);
            again.push(format!("COMMENT ON CONSTRAINT {name} ON {table} IS {comment}"));
        }
    }
    Ok(again)
}

/// Disables the site's own triggers; returns what enables each as it was.
fn triggers(session: &mut Session) -> Result<Vec<String>> {
    let rows = session.rows(
        "list the triggers",
        "SELECT tgrelid::regclass::text, tgname::text, tgenabled::text \
         FROM pg_catalog.pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D' ORDER BY 1, 2",
        &[],
    )?;
    let mut again = Vec::new();
    for row in rows {
        let (table, name, state): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        let name = quoted(&name);
        session.run(
            format_args!("disable the trigger {name} of {table}"),
            &format!("ALTER TABLE ONLY {table} DISABLE TRIGGER {name}"),
        )?;
        let enable = match state.as_str() {
            "R" => "ENABLE REPLICA",
            "A" => "ENABLE ALWAYS",
            _ => "ENABLE",
        };
        again.push(format!("ALTER TABLE ONLY {table} {enable} TRIGGER {name}"));
    }
    Ok(again)
}

impl crate::Staging for RowsAlone {
    fn file(
        &mut self,
        file: CapturedFile<'_>,
        data: &mut dyn Read,
        watch: &mut dyn Watch,
    ) -> Result<()> {
        let place = self.access.place();
        if let Some(part) = data_part(file.name) {
            return self.part(part, &file, data, watch);
        }
        match file.name {
            CATALOG_FILE if self.catalog.is_none() => {
                let catalog: Catalog = files::parse(&file, data, &place)?;
                preflight::readable(&catalog, &place)?;
                self.catalog = Some(catalog);
                Ok(())
            }
            SCHEMA_FILE if self.open.is_none() => {
                self.open(&files::parse(&file, data, &place)?, watch)
            }
            PRE_FILE | LOAD_FILE | POST_FILE => drain(&file, data),
            SEQUENCES_FILE => self.sequences(&files::text(&file, data)?, watch),
            name if name.starts_with("5-large/") => Err(refused(
                &place,
                "the backup has large objects, which cannot be replaced beside the rows".to_owned(),
                "Let the role own the database and create others (`CREATEDB`).".to_owned(),
            )),
            ROWS_FILE if self.rows.is_none() => {
                let rows: Rows = files::parse(&file, data, &place)?;
                let (Some(catalog), Some(open)) = (&self.catalog, &self.open) else {
                    return Err(self.damaged(format!("`{ROWS_FILE}` comes too early")));
                };
                files::compare(catalog, &rows, &open.taken, 0)
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
        let mut open = self.open.take().ok_or_else(|| missing(SCHEMA_FILE))?;
        let Open { put_back, refreshes, .. } = &open;
        let known: Known = known(&catalog, &rows);
        let (again, views) = (put_back.clone(), refreshes.clone());
        let digest = open.session.attended(watch, |session| {
            for sql in &again {
                session.run("put back keys and triggers", sql)?;
            }
            for view in &views {
                session.run(format_args!("refresh `{}`", view.name), &view.sql)?;
            }
            digest_of_view(session, &known)
        })?;
        let content = Content { mark: Mark::Transaction(open.transaction), digest };
        Ok(Box::new(RowsStaged::new(
            &self.access,
            &self.restore_id,
            open.session,
            &content,
            (catalog, rows),
        )))
    }
}

#[cfg(test)]
mod tests;
