use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::connection::Session;
use crate::{DatabaseError, Result, Watch};

/// How soon a cancel is seen.
const LOOK: Duration = Duration::from_millis(50);
/// A statement that begins just after the kill is killed by the next one.
const AGAIN: Duration = Duration::from_millis(500);

/// Does work on the server that can be cancelled at any time: the statement that is running is
/// then stopped on the server, too.
pub(super) fn attended<T: Send>(
    session: &mut Session,
    watch: &mut dyn Watch,
    work: impl FnOnce(&mut Session) -> Result<T> + Send,
) -> Result<T> {
    let killer = session.killer();
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            // Nobody takes the result of work that panicked before it.
            let _ = sender.send(work(session));
        });
        let mut killed: Option<Instant> = None;
        loop {
            match receiver.recv_timeout(LOOK) {
                Ok(result) if killed.is_some() => {
                    return match result {
                        Ok(_) | Err(DatabaseError::Mysql(_)) => Err(DatabaseError::Cancelled),
                        Err(other) => Err(other),
                    };
                }
                Ok(result) => return result,
                // The scope hands on the panic.
                Err(RecvTimeoutError::Disconnected) => return Err(DatabaseError::Cancelled),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if watch.cancelled() && killed.is_none_or(|when| when.elapsed() > AGAIN) {
                killed = Some(Instant::now());
                // Without a second connection the statement runs to its own end.
                let _ = killer.stop_statement();
            }
        }
    })
}
