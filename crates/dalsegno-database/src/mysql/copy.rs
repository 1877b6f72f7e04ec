//! The schemas of one restore, while it may still be thrown away.

use super::connection::Session;
use super::journal::{Defaults, Facts};
use super::names::{Names, Role};
use crate::{DatabaseError, Result};

/// A copy that is being made, or waits for its switch. Dropped while it is armed, it is removed.
#[derive(Debug)]
pub(super) struct Copy {
    /// The session that makes it.
    pub(super) session: Session,
    /// The names of its schemas.
    pub(super) names: Names,
    /// What the journal says.
    pub(super) facts: Facts,
    armed: bool,
}

impl Copy {
    /// Begins one: the journal, then the schema. Refused where this restore left anything.
    pub(super) fn begin(
        mut session: Session,
        names: Names,
        restore_id: &str,
        defaults: &Defaults,
    ) -> Result<Self> {
        for role in [Role::Log, Role::New, Role::Old, Role::Present] {
            let schema = names.of(role);
            if session.has_schema(&schema)? {
                return Err(DatabaseError::Exists { path: session.path_of(&schema) });
            }
        }
        let facts = Facts::new(restore_id);
        let mut copy = Self { session, names, facts, armed: true };
        copy.facts.existed = copy.session.has_schema(copy.names.live())?;
        copy.facts.new.defaults = defaults.clone();
        copy.facts.create(&mut copy.session, &copy.names)?;
        copy.session.create_schema(&copy.names.of(Role::New), defaults)?;
        Ok(copy)
    }

    /// The schema with the copy.
    pub(super) fn schema(&self) -> String {
        self.names.of(Role::New)
    }

    /// The error of a copy that is not what was announced.
    pub(super) fn damaged(&self, problem: impl Into<String>) -> DatabaseError {
        DatabaseError::Damaged {
            path: self.session.path_of(&self.schema()),
            problem: problem.into(),
        }
    }

    /// From now on it is not thrown away: the live database may depend on it.
    pub(super) fn keep(&mut self) {
        self.armed = false;
    }

    /// It may be thrown away again.
    pub(super) fn spare(&mut self) {
        self.armed = true;
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // Best effort: what stays is found as a leftover. The journal goes last.
        if remove(&mut self.session, &self.names).is_err()
            && let Ok(mut again) = Session::for_restore(self.session.access())
        {
            let _ = remove(&mut again, &self.names);
        }
    }
}

/// Removes a copy and its journal, which goes last.
pub(super) fn remove(session: &mut Session, names: &Names) -> Result<()> {
    session.drop_schema(&names.of(Role::New))?;
    session.drop_schema(&names.of(Role::Log))
}
