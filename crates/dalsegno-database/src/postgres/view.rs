//! One view of the database: every table locked against change, then a snapshot that others can
//! take part in.
//!
//! A table that is emptied or rewritten between a snapshot and our lock reads as empty in that
//! snapshot, and no error tells. So the locks come first; then the list of tables is read again in
//! the snapshot, and a difference means to begin again.

use std::time::{Duration, Instant};

use super::connection::{Session, quoted};
use super::failure::{Cause, Failure};
use super::survey::{Lockable, lockables};
use crate::{DatabaseError, Result};

/// Tables locked by one statement.
const BATCH: usize = 200;
/// How often it is tried while tables come and go.
const TRIES: usize = 10;

/// Opens the view in `session`, which stays in its transaction; the name of its snapshot.
pub(super) fn open(session: &mut Session, lock_timeout: Duration) -> Result<String> {
    let deadline = Instant::now() + lock_timeout;
    let mut changed = Vec::new();
    for _ in 0..TRIES {
        let wanted = lockables(session)?;
        preflight(session, wanted.len())?;
        session.run("begin a transaction", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        match lock(session, &wanted, deadline) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => {
                session.run("end a transaction", "ROLLBACK")?;
                changed = vec![error.to_string()];
                continue;
            }
            Err(error) => {
                session.run("end a transaction", "ROLLBACK")?;
                return Err(blamed(session, error, &wanted));
            }
        }
        let snapshot =
            session.one("export a snapshot", "SELECT pg_catalog.pg_export_snapshot()", &[])?;
        let seen = lockables(session)?;
        if seen == wanted {
            return Ok(snapshot.get(0));
        }
        changed = differing(&wanted, &seen);
        session.run("end a transaction", "ROLLBACK")?;
    }
    Err(Failure::Blocked {
        action: "read a list of tables that stays the same".to_owned(),
        place: session.place().clone(),
        blockers: changed,
    }
    .into())
}

/// Takes part in the snapshot of another session of the same database.
pub(super) fn join(session: &mut Session, snapshot: &str) -> Result<()> {
    session.run(
        "take part in the snapshot",
        &format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '{snapshot}'"
        ),
    )
}

/// Whether the server has room for that many locks, in so far as nobody else takes them.
fn preflight(session: &mut Session, tables: usize) -> Result<()> {
    let row = session.one(
        "ask for the room for locks",
        "SELECT pg_catalog.current_setting('max_locks_per_transaction')::int8,
            pg_catalog.current_setting('max_connections')::int8
            + pg_catalog.current_setting('max_prepared_transactions')::int8",
        &[],
    )?;
    let (each, sessions): (i64, i64) = (row.get(0), row.get(1));
    let tables = i64::try_from(tables).unwrap_or(i64::MAX);
    // The server keeps some room more than it promises: up to that, it is tried.
    if tables <= each.saturating_mul(sessions) {
        return Ok(());
    }
    let needed = tables / sessions.max(1) + 1;
    Err(Failure::Refused {
        action: format!("lock {tables} tables"),
        place: session.place().clone(),
        cause: Cause::OutOfLocks,
        said: format!("`max_locks_per_transaction` is {each}, and {needed} is needed"),
    }
    .into())
}

fn lock(session: &mut Session, tables: &[Lockable], deadline: Instant) -> Result<()> {
    for batch in tables.chunks(BATCH) {
        let left = deadline.saturating_duration_since(Instant::now()).as_millis().max(1);
        let names: Vec<String> = batch
            .iter()
            .map(|table| format!("ONLY {}.{}", quoted(&table.schema), quoted(&table.name)))
            .collect();
        let sql = format!(
            "SET LOCAL lock_timeout = {left}; LOCK TABLE {} IN ACCESS SHARE MODE; \
             SET LOCAL lock_timeout = 0",
            names.join(", ")
        );
        session.run("lock the tables against change", &sql)?;
    }
    Ok(())
}

fn is_absent(error: &DatabaseError) -> bool {
    cause(error) == Some(Cause::Absent)
}

fn cause(error: &DatabaseError) -> Option<Cause> {
    match error {
        DatabaseError::Postgres(failure) => match &**failure {
            Failure::Refused { cause, .. } => Some(*cause),
            _ => None,
        },
        _ => None,
    }
}

/// The error with the names of those who are in the way.
fn blamed(session: &mut Session, error: DatabaseError, tables: &[Lockable]) -> DatabaseError {
    if cause(&error) != Some(Cause::LockTimeout) {
        return error;
    }
    let oids: Vec<u32> = tables.iter().map(|table| table.oid).collect();
    let sql = "SELECT DISTINCT pg_catalog.format('process %s of %s on %s (%s)', a.pid, a.usename,
            c.relname, pg_catalog.left(pg_catalog.regexp_replace(a.query, '\\s+', ' ', 'g'), 80))
         FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
         JOIN pg_catalog.pg_class c ON c.oid = l.relation
         WHERE l.mode = 'AccessExclusiveLock' AND l.pid <> pg_catalog.pg_backend_pid()
         AND l.relation = ANY($1) AND l.database = (SELECT oid FROM pg_catalog.pg_database
            WHERE datname = pg_catalog.current_database())
         ORDER BY 1";
    match session.rows("see who holds a lock", sql, &[&oids]) {
        Ok(rows) => Failure::Blocked {
            action: "lock the tables against change".to_owned(),
            place: session.place().clone(),
            blockers: rows.iter().map(|row| row.get(0)).collect(),
        }
        .into(),
        Err(other) => other,
    }
}

fn differing(wanted: &[Lockable], seen: &[Lockable]) -> Vec<String> {
    let gone = wanted.iter().filter(|table| !seen.contains(table));
    let new = seen.iter().filter(|table| !wanted.contains(table));
    gone.chain(new).map(|table| format!("`{}.{}`", table.schema, table.name)).collect()
}
