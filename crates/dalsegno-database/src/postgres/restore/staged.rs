use super::beside::Beside;
use super::check;
use super::content::{Content, reading};
use super::exchange::exchange;
use super::names::{Names, Role};
use super::preflight;
use super::session::{maintenance, other};
use super::staging::Made;
use crate::error::DatabaseError;
use crate::postgres::catalog::{Catalog, Rows};
use crate::postgres::{Access, Switched, Way};
use crate::{CheckOptions, CheckReport, Result, SwitchOptions, Watch};

/// A whole database beside the live one. Dropped without a switch, it is removed.
pub(super) struct Staged {
    access: Access,
    names: Names,
    made: Made,
    content: Content,
    text: String,
    catalog: Catalog,
    rows: Rows,
}

impl Staged {
    pub(super) fn new(
        access: &Access,
        names: &Names,
        made: Made,
        content: &Content,
        catalog: Catalog,
        rows: Rows,
    ) -> Self {
        let (access, names) = (access.clone(), names.clone());
        let (content, text) = (content.clone(), content.to_string());
        Self { access, names, made, content, text, catalog, rows }
    }
}

impl crate::Staged for Staged {
    fn check(&mut self, options: &CheckOptions<'_>, watch: &mut dyn Watch) -> Result<CheckReport> {
        let mut session = reading(&self.access, &self.names.of(Role::New))?;
        check::check(&mut session, &self.catalog, &self.rows, options, watch)
    }

    fn content(&self) -> &str {
        &self.text
    }

    fn switch(
        self: Box<Self>,
        options: SwitchOptions,
        watch: &mut dyn Watch,
    ) -> Result<crate::Switched> {
        let mut server = maintenance(&self.access)?;
        preflight::unbound(&mut server, &self.access)?;
        let found = Beside::look(&mut server, &self.names)?;
        drop(server);
        let live = self.access.place();
        let (new, old) = (self.names.of(Role::New), self.names.of(Role::Old));
        if !self.content.is_of(found.new) {
            let problem = format!("the database `{new}` is not the one that was made");
            return Err(DatabaseError::DamagedBackup { place: live, problem });
        }
        if found.old.is_some() {
            return Err(DatabaseError::PlaceTaken { place: other(&live, &old) });
        }
        let mut moves = vec![(new, self.names.live.clone())];
        if found.live.is_some() {
            moves.insert(0, (self.names.live.clone(), old.clone()));
        }
        let refused = exchange(&self.access, &moves, options.lock_timeout, watch)?;
        self.made.keep();
        let kept = found.live.map(|_| other(&live, &old));
        Ok(crate::Switched::Postgresql(Switched {
            way: if kept.is_some() { Way::Rename } else { Way::Create },
            live,
            restore_id: self.names.restore_id.clone(),
            kept,
            content: self.text,
            refused_for_ms: u64::try_from(refused.as_millis()).unwrap_or(u64::MAX),
        }))
    }
}
