//! The same switch, reversed.

use super::connection::Session;
use super::content::{content, rows_digest};
use super::journal::{Contents, Facts, Phase};
use super::maker::{self, Maker};
use super::names::{Names, Role};
use super::renaming::{Move, rename};
use super::step::step;
use super::switch::{Work, contents, drop_if_empty, set_defaults};
use super::switched::Switched;
use super::{Access, fitness, hashes, live_objects};
use crate::{DatabaseError, Quiet, Result, RollbackOptions, RolledBack, SwitchOptions, Watch};

/// Whether the live database holds anything else than `expected`; reads it whole.
pub(super) fn is_written(
    access: &Access,
    names: &Names,
    expected: &str,
    watch: &mut dyn Watch,
) -> Result<bool> {
    let mut session = Session::for_restore(access)?;
    if !session.has_schema(names.live())? {
        return Ok(true);
    }
    let objects = maker::digest(&live_objects::read(&mut session, names.live())?);
    let rows = rows_digest(&hashes::of_schema(access, names.live(), watch)?);
    Ok(content(&rows, &objects) != expected)
}

/// Puts the old tables back; may be run again after being killed.
pub(super) fn rollback(
    access: &Access,
    names: &Names,
    switched: &Switched,
    options: RollbackOptions,
    watch: &mut dyn Watch,
) -> Result<RolledBack> {
    let mut session = Session::for_restore(access)?;
    let found = Facts::read(&mut session, names)?;
    let journaled = found.is_some();
    let mut facts = match found {
        Some(facts) => facts,
        None if switched.kept.is_none() => created(switched),
        None => return Err(missing(&session, names)),
    };
    if facts.phase == Phase::Switching {
        // The record says that it is over: only its last lines are missing.
        let mut work = Work { session: &mut session, names, facts: &mut facts };
        if !work.is_renamed()? {
            return Err(missing(&session, names));
        }
        work.complete()?;
    }
    if facts.phase == Phase::Switched {
        if !options.force && is_written(access, names, &switched.content, watch)? {
            return Err(DatabaseError::ChangedSince { place: session.place() });
        }
        begin(&mut session, names, &mut facts, journaled)?;
    }
    let mut back = Back { session: &mut session, access, names, facts: &mut facts };
    if back.facts.phase == Phase::RollingBack {
        if !back.is_renamed()? {
            back.exchange(options, watch)?;
        }
        step("mysql-renamed-back");
        back.complete()?;
        step("mysql-settled-back");
        back.judge_present(&switched.content)?;
        back.facts.enter(Phase::RolledBack, back.session, names)?;
        step("mysql-rolled-back");
    }
    back.tidy()
}

/// What a switch knew that left no journal, since there was nothing to keep.
fn created(switched: &Switched) -> Facts {
    Facts {
        phase: Phase::Switched,
        existed: false,
        content: Some(switched.content.clone()),
        ..Facts::new(&switched.restore_id)
    }
}

fn missing(session: &Session, names: &Names) -> DatabaseError {
    DatabaseError::KeptMissing { place: session.place_of(&names.of(Role::Old)) }
}

/// Looks at everything, and writes the first line.
fn begin(session: &mut Session, names: &Names, facts: &mut Facts, journaled: bool) -> Result<()> {
    let old = session.tables_of(&names.of(Role::Old))?;
    let whole = facts.old.tables.iter().all(|table| old.contains(table));
    if !whole || (facts.existed && !session.has_schema(&names.of(Role::Old))?) {
        return Err(missing(session, names));
    }
    fitness::check_references(session, names.live())?;
    facts.present = contents(session, names.live())?;
    facts.phase = Phase::RollingBack;
    if journaled {
        facts.write(session, names)?;
    } else {
        facts.create(session, names)?;
    }
    step("mysql-rolling-back");
    Ok(())
}

struct Back<'b> {
    session: &'b mut Session,
    access: &'b Access,
    names: &'b Names,
    facts: &'b mut Facts,
}

impl Back<'_> {
    fn exchange(&mut self, options: RollbackOptions, watch: &dyn Watch) -> Result<()> {
        match self.try_exchange(options, watch) {
            Ok(()) => Ok(()),
            Err(error) => {
                // As it was before; what cannot be put back now is put back by the next attempt.
                let live = self.names.live();
                let present = self.facts.present.objects.clone();
                if maker::settle(self.session, live, &[], &present).is_ok()
                    && drop_if_empty(self.session, &self.names.of(Role::Present)).is_ok()
                {
                    self.facts.enter(Phase::Switched, self.session, self.names)?;
                }
                Err(error)
            }
        }
    }

    fn try_exchange(&mut self, options: RollbackOptions, watch: &dyn Watch) -> Result<()> {
        let (live, old, present) =
            (self.names.live(), self.names.of(Role::Old), self.names.of(Role::Present));
        if !self.session.has_schema(&present)? {
            self.session.create_schema(&present, &self.facts.present.defaults)?;
        }
        if !self.session.has_schema(live)? {
            self.session.create_schema(live, &self.facts.old.defaults)?;
        }
        let objects = &self.facts.present.objects;
        maker::take_off(self.access, live, objects, &self.facts.old.tables)?;
        step("mysql-taken-off-back");
        let (facts, names) = (&mut *self.facts, self.names);
        rename(self.session, options.lock_timeout, watch, &mut |session| {
            let there = session.tables_of(live)?;
            if there != facts.present.tables {
                facts.present.tables = there;
                facts.write(session, names)?;
            }
            Ok(vec![
                Move::new(live, &present, &facts.present.tables),
                Move::new(&old, live, &facts.old.tables),
            ])
        })
    }

    /// Whether the one `RENAME TABLE` of the rollback took place.
    fn is_renamed(&mut self) -> Result<bool> {
        if !self.facts.old.tables.is_empty() {
            let old = self.session.tables_of(&self.names.of(Role::Old))?;
            return Ok(!self.facts.old.tables.iter().any(|table| old.contains(table)));
        }
        let present = self.session.tables_of(&self.names.of(Role::Present))?;
        Ok(self.facts.present.tables.iter().any(|table| present.contains(table)))
    }

    /// What follows the renaming.
    fn complete(&mut self) -> Result<()> {
        let live = self.names.live();
        if !self.facts.existed {
            return drop_if_empty(self.session, live);
        }
        set_defaults(self.session, live, &self.facts.old.defaults)?;
        let gone = [&*self.facts.present.objects, &*self.facts.new.objects].concat();
        maker::settle(self.session, live, &gone, &self.facts.old.objects)
    }

    /// What was taken out is dropped if it is nothing but what was restored; anything else, also
    /// what was written in the last moment, is kept as a complete database.
    fn judge_present(&mut self, restored: &str) -> Result<()> {
        let present = self.names.of(Role::Present);
        if !self.session.has_schema(&present)? {
            return Ok(());
        }
        let rows = rows_digest(&hashes::of_schema(self.access, &present, &mut Quiet)?);
        let Contents { objects, .. } = &self.facts.present;
        if content(&rows, &maker::digest(objects)) == restored {
            return self.session.drop_schema(&present);
        }
        // Texts that cannot be made there, such as those that name the live database, stay in the
        // journal, which goes with this schema.
        if let Ok(mut maker) = Maker::new(self.access, &present) {
            for entry in objects {
                let _ = maker.make(entry);
            }
        }
        Ok(())
    }

    fn tidy(&mut self) -> Result<RolledBack> {
        drop_if_empty(self.session, &self.names.of(Role::Old))?;
        self.session.drop_schema(&self.names.of(Role::New))?;
        let present = self.names.of(Role::Present);
        if self.session.has_schema(&present)? {
            return Ok(RolledBack { present: Some(self.session.place_of(&present)) });
        }
        self.session.drop_schema(&self.names.of(Role::Log))?;
        Ok(RolledBack { present: None })
    }
}

/// Finishes a rollback whose record is lost; what it took out is kept if it is not what was
/// restored.
pub(super) fn finish(
    access: &Access,
    names: &Names,
    facts: &Facts,
    options: SwitchOptions,
    record: &Switched,
) -> Result<()> {
    let force = facts.phase == Phase::RollingBack;
    let options = RollbackOptions { lock_timeout: options.lock_timeout, force };
    rollback(access, names, record, options, &mut Quiet).map(drop)
}
