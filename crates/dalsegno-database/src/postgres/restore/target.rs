use std::time::{Duration, Instant};

use super::beside::{Beside, drop_database};
use super::content::{Content, Known, Mark, digest, reading};
use super::exchange::exchange;
use super::names::{Names, Role};
use super::plan::rows_instead;
use super::preflight;
use super::rights::{Rights, sessions_of};
use super::rows_alone::RowsAlone;
use super::rows_staged::{Fate, fate};
use super::session::{maintenance, other};
use super::staging::Staging;
use crate::error::DatabaseError;
use crate::postgres::{Access, Switched, Way};
use crate::step::step;
use crate::{Captured, Recovered, Result, RollbackOptions, RolledBack, Watch};

/// Pause between two looks at a transaction.
const PAUSE: Duration = Duration::from_millis(100);

/// The place of the restore of this id into a database.
pub fn target(access: &Access, restore_id: &str) -> Result<Box<dyn crate::Target>> {
    Ok(Box::new(Target::new(access, restore_id)?))
}

/// One restore into one database.
#[derive(Debug, Clone)]
struct Target {
    access: Access,
    names: Names,
}

impl Target {
    fn new(access: &Access, restore_id: &str) -> Result<Self> {
        let names = Names::new(&access.database, restore_id)?;
        Ok(Self { access: access.clone(), names })
    }

    fn look(&self) -> Result<Beside> {
        Beside::look(&mut maintenance(&self.access)?, &self.names)
    }

    fn own<'s>(&self, switched: &'s crate::Switched) -> Result<&'s Switched> {
        match switched {
            crate::Switched::Postgresql(switched) if switched.live == self.access.place() => {
                Ok(switched)
            }
            other => Err(DatabaseError::OtherEngine { place: other.live() }),
        }
    }

    fn found(&self, content: String, kept: bool) -> Recovered {
        let live = self.access.place();
        let kept = kept.then(|| other(&live, &self.names.of(Role::Old)));
        Recovered::Switched(Box::new(crate::Switched::Postgresql(Switched {
            way: if kept.is_some() { Way::Rename } else { Way::Create },
            live,
            restore_id: self.names.restore_id.clone(),
            kept,
            content,
            refused_for_ms: 0,
        })))
    }

    /// The server knows what became of the transaction; one that it has forgotten is known by what
    /// it left.
    fn recover_rows(&self, number: i64, begun: &str, timeout: Duration) -> Result<Recovered> {
        let until = Instant::now() + timeout;
        let committed = loop {
            match fate(&self.access, number)? {
                Fate::Committed => break true,
                Fate::Undone => break false,
                Fate::Forgotten => {
                    let live = self.look()?.live;
                    break !self.is_other(&self.names.live, live, begun)?;
                }
                Fate::Open if Instant::now() < until => std::thread::sleep(PAUSE),
                Fate::Open => {
                    let place = self.access.place();
                    let holders = sessions_of(&mut maintenance(&self.access)?, &self.names.live)?;
                    return Err(DatabaseError::Locked { action: "recover", place, holders });
                }
            }
        };
        if !committed {
            return Ok(Recovered::Undone);
        }
        Ok(Recovered::Switched(Box::new(crate::Switched::Postgresql(Switched {
            live: self.access.place(),
            restore_id: self.names.restore_id.clone(),
            way: Way::Rows,
            kept: None,
            content: begun.to_owned(),
            refused_for_ms: 0,
        }))))
    }

    /// Whether a database, under whatever name, holds anything else than `content`.
    fn is_other(&self, database: &str, oid: Option<u32>, content: &str) -> Result<bool> {
        let Some(content) = Content::parse(content) else { return Ok(true) };
        if oid.is_none() || matches!(content.mark, Mark::Database(_)) && !content.is_of(oid) {
            return Ok(true);
        }
        let mut session = reading(&self.access, database)?;
        Ok(digest(&mut session, &Known::new())? != content.digest)
    }
}

impl crate::Target for Target {
    fn begin(&self, _: &Captured) -> Result<Box<dyn crate::Staging>> {
        let mut server = maintenance(&self.access)?;
        let rights = Rights::ask(&mut server, &self.names.live)?;
        if !rights.may_rename() {
            rows_instead(&self.access, &rights)?;
            return Ok(Box::new(RowsAlone::new(&self.access, &self.names.restore_id)));
        }
        Ok(Box::new(Staging::new(&self.access, &self.names, rights)))
    }

    fn recover(
        &self,
        begun: Option<&str>,
        existed: bool,
        lock_timeout: Duration,
    ) -> Result<Recovered> {
        if let Some(Content { mark: Mark::Transaction(number), .. }) =
            begun.and_then(Content::parse)
        {
            return self.recover_rows(number, begun.unwrap_or_default(), lock_timeout);
        }
        let mut server = maintenance(&self.access)?;
        let found = Beside::look(&mut server, &self.names)?;
        let content = begun.and_then(Content::parse);
        if found.new.is_some() {
            drop_database(&mut server, &self.names.of(Role::New))?;
        }
        // Both names change in one transaction: where the old one is kept, the new one is live.
        if found.old.is_some() {
            return Ok(self.found(begun.unwrap_or_default().to_owned(), true));
        }
        let created = !existed && content.is_some_and(|content| content.is_of(found.live));
        Ok(match found.new {
            _ if created => self.found(begun.unwrap_or_default().to_owned(), false),
            Some(_) => Recovered::Undone,
            None => Recovered::Nothing,
        })
    }

    fn holds(&self, switched: &crate::Switched) -> Result<bool> {
        let switched = self.own(switched)?;
        let found = self.look()?;
        if switched.way == Way::Rows {
            return Ok(true);
        }
        let content = Content::parse(&switched.content);
        // The old one takes its name back in the transaction that takes the new one away.
        Ok(found.old.is_some()
            || content.is_some_and(|content| content.is_of(found.live))
            || (switched.kept.is_some() && found.live.is_none()))
    }

    fn written_since(&self, switched: &crate::Switched, _: Duration) -> Result<bool> {
        let switched = self.own(switched)?;
        let live = self.look()?.live;
        self.is_other(&self.names.live, live, &switched.content)
    }

    fn rollback(
        &self,
        switched: &crate::Switched,
        options: RollbackOptions,
        watch: &mut dyn Watch,
    ) -> Result<RolledBack> {
        let switched = self.own(switched)?;
        let mut server = maintenance(&self.access)?;
        let found = Beside::look(&mut server, &self.names)?;
        let place = self.access.place();
        if switched.way == Way::Rows {
            return Err(DatabaseError::KeptMissing { place });
        }
        if let (Some(kept), None) = (&switched.kept, found.old) {
            return Err(DatabaseError::KeptMissing { place: kept.clone() });
        }
        if !options.force && self.is_other(&self.names.live, found.live, &switched.content)? {
            return Err(DatabaseError::ChangedSince { place });
        }
        let (old, present) = (self.names.of(Role::Old), self.names.of(Role::Present));
        if found.present.is_some() {
            return Err(DatabaseError::PlaceTaken { place: other(&place, &present) });
        }
        if found.live.is_some() {
            preflight::unbound(&mut server, &self.access)?;
        }
        let mut moves = Vec::new();
        moves.extend(found.live.map(|_| (self.names.live.clone(), present.clone())));
        moves.extend(found.old.map(|_| (old, self.names.live.clone())));
        if !moves.is_empty() {
            exchange(&self.access, &moves, options.lock_timeout, watch)?;
        }
        if found.live.is_none() {
            return Ok(RolledBack { present: None });
        }
        // Nobody is connected to it any more: what it holds now, it held at the exchange. Where that
        // cannot be told, it may be something.
        let kept = other(&place, &present);
        if self.is_other(&present, found.live, &switched.content).unwrap_or(true) {
            return Ok(RolledBack { present: Some(kept) });
        }
        step("unchanged");
        // The old data are back; what cannot be removed is found by its name.
        let removed = drop_database(&mut server, &present);
        Ok(RolledBack { present: removed.is_err().then_some(kept) })
    }

    fn discard(&self) -> Result<()> {
        let mut server = maintenance(&self.access)?;
        for role in [Role::New, Role::Present, Role::Old] {
            drop_database(&mut server, &self.names.of(role))?;
            step("discarded");
        }
        Ok(())
    }
}
