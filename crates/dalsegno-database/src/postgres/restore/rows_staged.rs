use super::check;
use super::content::Content;
use super::session::session;
use crate::error::DatabaseError;
use crate::postgres::catalog::{Catalog, Rows};
use crate::postgres::connection::Session;
use crate::postgres::{Access, Switched, Way};
use crate::step::step;
use crate::{CheckOptions, CheckReport, Result, SwitchOptions, Watch};

/// New rows in a transaction that nobody sees yet. Dropped without a switch, it is undone.
pub(super) struct RowsStaged {
    access: Access,
    session: Session,
    content: Content,
    text: String,
    catalog: Catalog,
    rows: Rows,
    restore_id: String,
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is in the database.
    Committed,
    /// It never was.
    Undone,
    /// The server has not noticed yet that its client is gone.
    Open,
    /// The server does not remember.
    Forgotten,
}

impl RowsStaged {
    pub(super) fn new(
        access: &Access,
        restore_id: &str,
        session: Session,
        content: &Content,
        (catalog, rows): (Catalog, Rows),
    ) -> Self {
        let (access, restore_id) = (access.clone(), restore_id.to_owned());
        let (content, text) = (content.clone(), content.to_string());
        Self { access, session, content, text, catalog, rows, restore_id }
    }
}

/// What the live database's server says of a transaction by its number.
pub(super) fn fate(access: &Access, transaction: i64) -> Result<Fate> {
    let mut session = session(access, &access.database)?;
    let sql = "SELECT pg_catalog.txid_status($1)";
    let row = session.one("look for a transaction", sql, &[&transaction])?;
    Ok(match row.get::<_, Option<&str>>(0) {
        Some("committed") => Fate::Committed,
        Some("aborted") => Fate::Undone,
        Some(_) => Fate::Open,
        None => Fate::Forgotten,
    })
}

impl crate::Staged for RowsStaged {
    fn check(&mut self, options: &CheckOptions<'_>, watch: &mut dyn Watch) -> Result<CheckReport> {
        check::check(&mut self.session, &self.catalog, &self.rows, options, watch)
    }

    fn content(&self) -> &str {
        &self.text
    }

    fn switch(
        mut self: Box<Self>,
        _: SwitchOptions,
        watch: &mut dyn Watch,
    ) -> Result<crate::Switched> {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        step("rows replaced");
        let commit = "SET LOCAL synchronous_commit = on; COMMIT";
        if let Err(error) = self.session.run("commit the new rows", commit) {
            // An answer that is lost says nothing about what the server did.
            let super::content::Mark::Transaction(number) = self.content.mark else {
                return Err(error);
            };
            if !matches!(fate(&self.access, number), Ok(Fate::Committed)) {
                return Err(error);
            }
        }
        step("rows committed");
        Ok(crate::Switched::Postgresql(Switched {
            live: self.access.place(),
            restore_id: self.restore_id,
            way: Way::Rows,
            kept: None,
            content: self.text,
            refused_for_ms: 0,
        }))
    }
}
