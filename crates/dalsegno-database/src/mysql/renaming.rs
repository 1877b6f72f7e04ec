//! Tables change schema: all of them in one statement, or none.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use super::connection::Session;
use super::quote;
use crate::{DatabaseError, Holder, Result, Watch};

/// How long one attempt waits. Whoever comes meanwhile waits behind it, so it is short.
const ATTEMPT: Duration = Duration::from_secs(1);
/// How long those who waited behind it have the tables for themselves.
const PAUSE: Duration = Duration::from_millis(200);
/// Errors that go away: a lock that others hold, a deadlock, a table of this name that is there now.
const PASSING: [u16; 3] = [1205, 1213, 1050];
/// What a session may be shown to be busy with.
const SHOWN: usize = 60;

/// Tables that go from one schema to another.
#[derive(Debug, Clone)]
pub(super) struct Move {
    from: String,
    to: String,
    tables: Vec<String>,
}

impl Move {
    /// These tables.
    pub(super) fn new(from: &str, to: &str, tables: &[String]) -> Self {
        Self { from: from.to_owned(), to: to.to_owned(), tables: tables.to_vec() }
    }
}

/// The statement; `None` if nothing moves.
fn statement(moves: &[Move]) -> Option<String> {
    let mut sql = String::new();
    for Move { from, to, tables } in moves {
        let (from, to) = (quote::identifier(from), quote::identifier(to));
        for table in tables {
            let table = quote::identifier(table);
            let comma = if sql.is_empty() { "RENAME TABLE " } else { ", " };
            // Writing to a text cannot fail.
            let _ = write!(sql, "{comma}{from}.{table} TO {to}.{table}");
        }
    }
    (!sql.is_empty()).then_some(sql)
}

/// Moves all tables at once, waiting in short attempts for those who hold locks on them. `moves`
/// says anew before each attempt what is to move. An error means that nothing moved.
pub(super) fn rename(
    session: &mut Session,
    timeout: Duration,
    watch: &dyn Watch,
    moves: &mut dyn FnMut(&mut Session) -> Result<Vec<Move>>,
) -> Result<()> {
    let until = Instant::now() + timeout;
    let live = session.database().to_owned();
    session.wait_for_locks(ATTEMPT)?;
    loop {
        if watch.cancelled() {
            return Err(DatabaseError::Cancelled);
        }
        let Some(sql) = statement(&moves(session)?) else { return Ok(()) };
        match session.attempt(&sql) {
            Ok(()) => return Ok(()),
            Err(mysql::Error::MySqlError(error)) if PASSING.contains(&error.code) => {
                if Instant::now() >= until {
                    if error.code == 1050 {
                        let error = mysql::Error::MySqlError(error);
                        return Err(session.failed("rename the tables of", &live, &error));
                    }
                    let holders = holders(session, &live);
                    let place = session.place();
                    return Err(DatabaseError::Locked { action: "switch", place, holders });
                }
            }
            Err(error) => return Err(session.failed("rename the tables of", &live, &error)),
        }
        thread::sleep(PAUSE);
    }
}

/// Sessions that are in the way: those with an open transaction where the account may see these,
/// else all that use the database. Empty where none can be seen.
pub(super) fn holders(session: &mut Session, live: &str) -> Vec<Holder> {
    let here = quote::text(live);
    let columns = format!("p.ID, p.USER, p.HOST, p.TIME, LEFT(p.INFO, {SHOWN})");
    let open = format!(
        "SELECT {columns} FROM information_schema.PROCESSLIST p \
         JOIN information_schema.INNODB_TRX t ON t.trx_mysql_thread_id = p.ID \
         WHERE p.ID <> CONNECTION_ID() AND p.DB = {here} ORDER BY p.TIME DESC LIMIT 10"
    );
    let all = format!(
        "SELECT {columns} FROM information_schema.PROCESSLIST p \
         WHERE p.ID <> CONNECTION_ID() AND p.DB = {here} ORDER BY p.TIME DESC LIMIT 10"
    );
    let found = match session.ask("list the sessions on", live, &open) {
        Ok(rows) if !rows.is_empty() => Ok(rows),
        _ => session.ask("list the sessions on", live, &all),
    };
    // Who it is only completes an error that is being told.
    let rows = found.unwrap_or_default();
    rows.iter()
        .filter_map(|row| {
            let doing = row.maybe(4).map_or_else(|| "idle".to_owned(), |sql| printable(&sql));
            let (user, host, time) = (row.text(1), row.text(2), row.text(3));
            let command = format!("session of {user}@{host}, {time} s: {doing}");
            Some(Holder { pid: row.number(0)?, command })
        })
        .collect()
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_moves_in_one_statement_and_names_are_quoted() {
        let (old, new) = (["a".to_owned()], ["a".to_owned(), "b`c".to_owned()]);
        let moves = [Move::new("live", "old", &old), Move::new("new", "live", &new)];
        assert_eq!(
            statement(&moves).unwrap(),
            "RENAME TABLE `live`.`a` TO `old`.`a`, `new`.`a` TO `live`.`a`, \
             `new`.`b``c` TO `live`.`b``c`"
        );
        assert_eq!(statement(&[Move::new("a", "b", &[])]), None);
    }
}
