//! One restore into a live database; and what restores left beside it.

use std::time::Duration;

use super::connection::Session;
use super::journal::{Facts, Phase};
use super::names::{Companion, Names, Role};
use super::staging::Staging;
use super::switch::{contents, has};
use super::switched::Switched;
use super::{Access, catalog, fitness, recovery, renaming, rollback};
use crate::{
    Captured, DatabaseError, Leftover, Place, Quiet, Recovered, Result, RollbackOptions,
    RolledBack, SwitchOptions, SwitchPlan, Watch,
};

/// A live database that one restore is to replace, there or not.
///
/// Everything the restore makes lies in schemas beside it, named after both: `<live>__dalsegno_`,
/// the end of the restore's id, and what it is.
#[derive(Debug, Clone)]
pub struct Target {
    access: Access,
    names: Names,
    restore_id: String,
}

impl Target {
    /// The live database, and a restore of this id: letters, digits, `-` and `_`.
    pub fn new(access: &Access, restore_id: &str) -> Result<Self> {
        let names = Names::new(&access.database, restore_id)?;
        Ok(Self { access: access.clone(), names, restore_id: restore_id.to_owned() })
    }
}

/// How a restore would be put in place. Refused where the account lacks a right for it, or where
/// another database depends on the tables themselves.
pub fn plan(access: &Access, _: &Captured, _: Duration) -> Result<SwitchPlan> {
    let mut session = Session::for_restore(access)?;
    let live = access.database.clone();
    let names = Names::new(&live, "plan")?;
    fitness::check_rights(&mut session, &names)?;
    fitness::check_references(&mut session, &live)?;
    let there = contents(&mut session, &live)?;
    let holders = renaming::holders(&mut session, &live);
    let mut notes = Vec::new();
    if has(&there, catalog::Kind::Trigger) {
        notes.push(
            "triggers keep tables in their database: for a moment around the switch, writes go \
             without them"
                .to_owned(),
        );
    }
    if !there.objects.is_empty() {
        notes.push(
            "views, routines, triggers and events are made again just after the tables were \
             switched; rights on single routines that differ are to be granted again"
                .to_owned(),
        );
    }
    let way = "tables in a new schema, all renamed at once".to_owned();
    Ok(SwitchPlan { way, keeps: true, notes, holders })
}

/// What restores left beside a live database, sorted.
pub fn leftovers(access: &Access) -> Result<Vec<Leftover>> {
    let mut session = Session::for_restore(access)?;
    let sql = "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME";
    let schemas = session.names("list the databases beside", &access.database, sql)?;
    let mut found = Vec::new();
    for schema in schemas {
        let Some(companion) = Companion::parse(&access.database, &schema) else { continue };
        found.push(Leftover {
            place: session.place_of(&schema),
            unfinished: is_unfinished(&mut session, access, &companion)?,
            restore_id: companion.id,
        });
    }
    Ok(found)
}

/// Removes a leftover that is unfinished; it may be gone already. One that keeps data is refused.
pub fn remove_leftover(access: &Access, left: &Leftover) -> Result<()> {
    let keeps = || DatabaseError::KeepsData { place: left.place.clone() };
    let Place::Server { database, .. } = &left.place else { return Err(keeps()) };
    let companion = Companion::parse(&access.database, database).ok_or_else(keeps)?;
    let mut session = Session::for_restore(access)?;
    if !session.has_schema(database)? {
        return Ok(());
    }
    // Not what it was said to be, but what it is now.
    if !left.unfinished || !is_unfinished(&mut session, access, &companion)? {
        return Err(keeps());
    }
    session.drop_schema(database)
}

/// Whether it is a copy that was being made, or its journal; one whose switch has begun keeps data.
fn is_unfinished(session: &mut Session, access: &Access, companion: &Companion) -> Result<bool> {
    if !matches!(companion.role, Role::New | Role::Log) {
        return Ok(false);
    }
    let names = Names::new(&access.database, &companion.id)?;
    let facts = Facts::read(session, &names)?;
    Ok(facts.is_none_or(|facts| facts.phase == Phase::Staging))
}

impl crate::Target for Target {
    fn begin(&self, _: &Captured) -> Result<Box<dyn crate::Staging>> {
        Ok(Box::new(Staging::new(&self.access, &self.names, &self.restore_id)))
    }

    fn recover(
        &self,
        begun: Option<&str>,
        existed: bool,
        lock_timeout: Duration,
    ) -> Result<Recovered> {
        let options = SwitchOptions { lock_timeout };
        recovery::recover(&self.access, &self.names, &self.restore_id, begun, existed, options)
    }

    fn holds(&self, switched: &crate::Switched) -> Result<bool> {
        let switched = own(switched)?;
        let mut session = Session::for_restore(&self.access)?;
        match Facts::read(&mut session, &self.names)? {
            Some(facts) => Ok(!matches!(facts.phase, Phase::Staging | Phase::RolledBack)),
            // Without a journal there was nothing to keep; a rollback then removes the database.
            None => Ok(switched.kept.is_none() && session.has_schema(self.names.live())?),
        }
    }

    fn written_since(&self, switched: &crate::Switched, _: Duration) -> Result<bool> {
        rollback::is_written(&self.access, &self.names, &own(switched)?.content, &mut Quiet)
    }

    fn rollback(
        &self,
        switched: &crate::Switched,
        options: RollbackOptions,
        watch: &mut dyn Watch,
    ) -> Result<RolledBack> {
        rollback::rollback(&self.access, &self.names, own(switched)?, options, watch)
    }

    fn discard(&self) -> Result<()> {
        let mut session = Session::for_restore(&self.access)?;
        let facts = Facts::read(&mut session, &self.names)?;
        if facts.is_some_and(|f| matches!(f.phase, Phase::Switching | Phase::RollingBack)) {
            let place = session.place_of(&self.names.of(Role::Old));
            return Err(DatabaseError::KeepsData { place });
        }
        for role in [Role::New, Role::Old, Role::Present, Role::Log] {
            session.drop_schema(&self.names.of(role))?;
        }
        Ok(())
    }
}

/// The record of a switch of this engine.
fn own(switched: &crate::Switched) -> Result<&Switched> {
    match switched {
        crate::Switched::Mysql(switched) => Ok(switched),
        other => Err(DatabaseError::OtherEngine { place: other.live() }),
    }
}
