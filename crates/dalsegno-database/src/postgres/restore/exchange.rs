use std::thread;
use std::time::{Duration, Instant};

use postgres::error::SqlState;

use super::rights::sessions_of;
use super::session::maintenance;
use crate::error::DatabaseError;
use crate::postgres::Access;
use crate::postgres::connection::{Session, quoted};
use crate::postgres::failure::refused;
use crate::step::step;
use crate::{Result, Watch};

/// Pause between two looks at who is still connected.
const GLANCE: Duration = Duration::from_millis(5);
/// Pause after a failed attempt.
const PAUSE: Duration = Duration::from_millis(100);

/// One database and the name it is to have.
pub(super) type Move = (String, String);

/// Gives databases new names, all in one transaction and in this order. Whoever is connected to
/// one of them is disconnected. Returns for how long clients were refused.
///
/// The first rename locks the database's entry, so that new clients wait at the door while those
/// inside are sent out; the server itself then waits for the last one. Nothing is left behind by a
/// death at any instant: there is no flag that would have to be taken back.
pub(super) fn exchange(
    access: &Access,
    moves: &[Move],
    lock_timeout: Duration,
    watch: &mut dyn Watch,
) -> Result<Duration> {
    let until = Instant::now() + lock_timeout;
    loop {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        let mut renaming = maintenance(access)?;
        let mut ending = maintenance(access)?;
        let begun = Instant::now();
        let Err(error) = attempt(&mut renaming, &mut ending, moves) else {
            return Ok(begun.elapsed());
        };
        // An answer that is lost says nothing about what the server did.
        if took_place(access, moves) {
            return Ok(begun.elapsed());
        }
        let is = |state: &SqlState| error.code() == Some(state);
        let busy = is(&SqlState::OBJECT_IN_USE) || is(&SqlState::LOCK_NOT_AVAILABLE);
        if busy && Instant::now() < until {
            thread::sleep(PAUSE);
            continue;
        }
        if busy || is(&SqlState::INSUFFICIENT_PRIVILEGE) {
            let mut holders = Vec::new();
            for (from, _) in moves {
                holders.extend(sessions_of(&mut ending, from)?);
            }
            if busy || !holders.is_empty() {
                let place = access.place();
                return Err(DatabaseError::Locked { action: "give a new name to", place, holders });
            }
        }
        return Err(refused("give a new name to a database", &access.place())(error));
    }
}

/// Whether the names are as they should be after all.
fn took_place(access: &Access, moves: &[Move]) -> bool {
    let names = |server: &mut Session| {
        let sql = "SELECT datname::text FROM pg_catalog.pg_database";
        server.rows("list the databases", sql, &[])
    };
    let Ok(rows) = maintenance(access).and_then(|mut server| names(&mut server)) else {
        return false;
    };
    let there: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let taken = |name: &String| moves.iter().any(|(_, to)| to == name);
    moves.iter().all(|(from, to)| there.contains(to) && (taken(from) || !there.contains(from)))
}

fn attempt(
    renaming: &mut Session,
    ending: &mut Session,
    moves: &[Move],
) -> std::result::Result<(), postgres::Error> {
    let from: Vec<&str> = moves.iter().map(|(from, _)| from.as_str()).collect();
    let canceller = renaming.canceller();
    thread::scope(|scope| {
        let work = scope.spawn(|| rename(renaming, moves));
        let mut barred = None;
        while !work.is_finished() {
            if barred.is_none()
                && let Err(error) = end_sessions(ending, &from)
            {
                barred = Some(error);
                canceller.cancel();
            }
            thread::sleep(GLANCE);
        }
        let renamed = work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        match (renamed, barred) {
            (Ok(()), _) => Ok(()),
            (Err(_), Some(barred)) => Err(barred),
            (Err(error), None) => Err(error),
        }
    })
}

fn rename(server: &mut Session, moves: &[Move]) -> std::result::Result<(), postgres::Error> {
    let server = &mut server.client;
    server.batch_execute("SET lock_timeout = '2s'; SET synchronous_commit = on")?;
    server.batch_execute("BEGIN")?;
    for (from, to) in moves {
        server.batch_execute(&format!(
            "ALTER DATABASE {} RENAME TO {}",
            quoted(from),
            quoted(to)
        ))?;
        step("rename");
    }
    server.batch_execute("COMMIT")?;
    step("renamed");
    Ok(())
}

/// The server's own workers leave when the rename asks them to.
fn end_sessions(
    server: &mut Session,
    databases: &[&str],
) -> std::result::Result<(), postgres::Error> {
    let ended = server.client.execute(
        "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity \
         WHERE datname::text = ANY ($1::text[]) AND pid <> pg_catalog.pg_backend_pid() \
         AND coalesce(backend_type, 'client backend') = 'client backend'",
        &[&databases],
    )?;
    if ended > 0 {
        step("sessions ended");
    }
    Ok(())
}
