//! The copy takes the place of the live tables; and the way back, as long as the switch is not over.

use super::catalog::Kind;
use super::connection::Session;
use super::content::content;
use super::copy::remove;
use super::journal::{Contents, Facts, Phase};
use super::names::{Names, Role};
use super::renaming::{Move, rename};
use super::step::step;
use super::switched::Switched;
use super::{fitness, live_objects, maker, quote};
use crate::{Quiet, Result, SwitchOptions, Watch};

/// One switch: what the journal says, and whom it is done with.
pub(super) struct Work<'w> {
    pub(super) session: &'w mut Session,
    pub(super) names: &'w Names,
    pub(super) facts: &'w mut Facts,
}

impl Work<'_> {
    /// From the first line in the journal to the last. On an error the caller is to call
    /// [`Work::undo`].
    pub(super) fn switch(&mut self, options: SwitchOptions, watch: &dyn Watch) -> Result<Switched> {
        self.session.create_schema(&self.names.of(Role::Old), &self.facts.old.defaults)?;
        if !self.facts.existed {
            self.session.create_schema(self.names.live(), &self.facts.new.defaults)?;
        }
        let access = self.session.access().clone();
        let (live, coming) = (self.names.live(), &self.facts.new.tables);
        maker::take_off(&access, live, &self.facts.old.objects, coming)?;
        step("mysql-taken-off");
        self.exchange(options, watch)?;
        step("mysql-renamed");
        self.complete()
    }

    /// Looks at what is live, and writes the first line.
    pub(super) fn begin(&mut self) -> Result<()> {
        let live = self.names.live();
        fitness::check_references(self.session, live)?;
        self.facts.existed = self.session.has_schema(live)?;
        self.facts.old = contents(self.session, live)?;
        self.facts.enter(Phase::Switching, self.session, self.names)?;
        step("mysql-switching");
        Ok(())
    }

    /// What follows the renaming; may be run again after being killed.
    pub(super) fn complete(&mut self) -> Result<Switched> {
        let live = self.names.live().to_owned();
        let after = self.facts.after.clone();
        for sql in &after {
            self.session.run("set a default in", &live, sql)?;
        }
        self.set_defaults(Side::New)?;
        let (old, new) = (&self.facts.old.objects, &self.facts.new.objects);
        maker::settle(self.session, &live, old, new)?;
        step("mysql-settled");
        let objects = maker::digest(&live_objects::read(self.session, &live)?);
        self.facts.content = Some(content(&self.facts.rows, &objects));
        self.facts.enter(Phase::Switched, self.session, self.names)?;
        step("mysql-switched");
        self.tidy()?;
        Ok(self.record())
    }

    /// Removes what a switch does not need any more.
    pub(super) fn tidy(&mut self) -> Result<()> {
        self.session.drop_schema(&self.names.of(Role::New))?;
        if !self.facts.existed {
            self.session.drop_schema(&self.names.of(Role::Old))?;
            self.session.drop_schema(&self.names.of(Role::Log))?;
        }
        Ok(())
    }

    /// The record of a switch that took place.
    pub(super) fn record(&self) -> Switched {
        let old = self.names.of(Role::Old);
        Switched {
            live: self.session.place(),
            restore_id: self.facts.restore_id.clone(),
            way: self.facts.way(),
            kept: self.facts.existed.then(|| self.session.place_of(&old)),
            content: self.facts.content.clone().unwrap_or_default(),
        }
    }

    /// Everything as it was before, from wherever the switch has come; the copy is whole again.
    /// May be run again after being killed.
    pub(super) fn undo(&mut self, options: SwitchOptions) -> Result<()> {
        let live = self.names.live().to_owned();
        if self.is_renamed()? {
            let access = self.session.access().clone();
            maker::take_off(&access, &live, &self.facts.new.objects, &self.facts.old.tables)?;
            let moves = vec![
                Move::new(&live, &self.names.of(Role::New), &self.facts.new.tables),
                Move::new(&self.names.of(Role::Old), &live, &self.facts.old.tables),
            ];
            rename(self.session, options.lock_timeout, &Quiet, &mut |_| Ok(moves.clone()))?;
        }
        if self.facts.existed {
            self.set_defaults(Side::Old)?;
            maker::settle(self.session, &live, &self.facts.new.objects, &self.facts.old.objects)?;
        } else {
            drop_if_empty(self.session, &live)?;
        }
        drop_if_empty(self.session, &self.names.of(Role::Old))?;
        self.facts.enter(Phase::Staging, self.session, self.names)
    }

    /// Whether the one `RENAME TABLE` of the switch took place.
    pub(super) fn is_renamed(&mut self) -> Result<bool> {
        let staged = self.session.tables_of(&self.names.of(Role::New))?;
        if !self.facts.new.tables.is_empty() {
            return Ok(!self.facts.new.tables.iter().any(|table| staged.contains(table)));
        }
        let old = self.session.tables_of(&self.names.of(Role::Old))?;
        Ok(self.facts.old.tables.iter().any(|table| old.contains(table)))
    }

    /// Undoes a switch that was cut off, and throws its copy away.
    pub(super) fn undo_and_remove(&mut self, options: SwitchOptions) -> Result<()> {
        self.undo(options)?;
        remove(self.session, self.names)
    }

    fn exchange(&mut self, options: SwitchOptions, watch: &dyn Watch) -> Result<()> {
        let (live, new, old) =
            (self.names.live(), self.names.of(Role::New), self.names.of(Role::Old));
        let (facts, names) = (&mut *self.facts, self.names);
        rename(self.session, options.lock_timeout, watch, &mut |session| {
            // The site may make and drop tables until the last moment.
            let there = session.tables_of(live)?;
            if there != facts.old.tables {
                facts.old.tables = there;
                facts.write(session, names)?;
            }
            Ok(vec![
                Move::new(live, &old, &facts.old.tables),
                Move::new(&new, live, &facts.new.tables),
            ])
        })
    }

    fn set_defaults(&mut self, side: Side) -> Result<()> {
        let wanted = match side {
            Side::New => &self.facts.new.defaults,
            Side::Old => &self.facts.old.defaults,
        };
        set_defaults(self.session, self.names.live(), wanted)
    }
}

#[derive(Clone, Copy)]
enum Side {
    New,
    Old,
}

/// Gives a schema its options, if it has others.
pub(super) fn set_defaults(
    session: &mut Session,
    schema: &str,
    wanted: &super::journal::Defaults,
) -> Result<()> {
    let clause = wanted.clause();
    let now = session.defaults_of(schema)?;
    if clause.is_empty() || now.as_ref() == Some(wanted) {
        return Ok(());
    }
    let sql = format!("ALTER DATABASE {}{clause}", quote::identifier(schema));
    session.run("set the options of", schema, &sql)
}

/// What is in a schema now; nothing, if it is not there.
pub(super) fn contents(session: &mut Session, schema: &str) -> Result<Contents> {
    let Some(defaults) = session.defaults_of(schema)? else { return Ok(Contents::default()) };
    let tables = session.tables_of(schema)?;
    let objects = live_objects::read(session, schema)?;
    Ok(Contents { tables, objects, defaults })
}

/// Removes a schema that a restore made, unless it holds tables.
pub(super) fn drop_if_empty(session: &mut Session, schema: &str) -> Result<()> {
    if session.tables_of(schema)?.is_empty() { session.drop_schema(schema) } else { Ok(()) }
}

/// Whether objects of this kind are among them.
pub(super) fn has(contents: &Contents, kind: Kind) -> bool {
    contents.objects.iter().any(|entry| entry.kind == kind)
}
