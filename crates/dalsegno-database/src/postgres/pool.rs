//! Connection pools that hand sessions of the server out by the transaction.
//!
//! A snapshot, a lock and a setting belong to a session of the server. Behind such a pool they
//! would be somebody else's a moment later, and our settings would reach the site.

use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use super::Access;
use super::connection::Session;
use super::failure::Failure;
use crate::Result;

/// How long a pool may take to find two sessions.
const PATIENCE: Duration = Duration::from_secs(20);
/// Rounds in which two clients take turns; pools give back the latest or the oldest session.
const ROUNDS: usize = 3;

/// Refuses an access that leads through such a pool. Changes no setting of any session.
pub(super) fn refuse(access: &Access) -> Result<()> {
    let (tell, found) = channel();
    let asked = access.clone();
    thread::spawn(move || {
        // Whoever asked may have lost patience.
        let _ = tell.send(wandering(&asked));
    });
    let evidence = match found.recv_timeout(PATIENCE) {
        Ok(wandering) => wandering?,
        Err(_) => Some("it does not give two sessions at once".to_owned()),
    };
    match evidence {
        None => Ok(()),
        Some(evidence) => Err(Failure::Pooled { place: access.place(), evidence }.into()),
    }
}

/// Whether one of two clients finds itself in another session of the server after a transaction.
fn wandering(access: &Access) -> Result<Option<String>> {
    let mut clients = [Session::log_in(access)?, Session::log_in(access)?];
    let first = [backend(&mut clients[0])?, backend(&mut clients[1])?];
    if first[0] == first[1] {
        let process = first[0];
        return Ok(Some(format!("process {process} of the server serves two connections at once")));
    }
    for _ in 0..ROUNDS {
        for client in &mut clients {
            client.run("begin a transaction", "BEGIN")?;
        }
        let inside = [backend(&mut clients[0])?, backend(&mut clients[1])?];
        for client in &mut clients {
            client.run("end a transaction", "COMMIT")?;
        }
        for (before, now) in first.iter().zip(inside) {
            if *before != now {
                return Ok(Some(format!(
                    "one connection was served by process {before} of the server, then by {now}"
                )));
            }
        }
    }
    Ok(None)
}

fn backend(client: &mut Session) -> Result<i32> {
    // The simple protocol: pools of some versions lose prepared statements.
    let action = "ask for the process of a session";
    let rows = client.simple(action, "SELECT pg_catalog.pg_backend_pid()")?;
    Ok(rows.first().and_then(|pid| pid.parse().ok()).unwrap_or_default())
}
