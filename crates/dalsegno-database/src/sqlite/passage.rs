//! Two threads over one database: one reads it, one hands its bytes to the sink.

use std::error::Error;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, Builder, Scope, ScopedJoinHandle};

use rusqlite::{Connection, ErrorCode, InterruptHandle};

use super::FILE_NAME;
use super::flow::{Flow, LOOK, Source};
use crate::{DatabaseError, FileSink, Result, Watch};

/// Lets `read` run in a thread of its own while `sink` takes what comes from `source`, which `read`
/// fills from the database at `path`.
///
/// `read` gives `None` when it ended because nobody wanted more. It looks at the stop it is given
/// once no more bytes can tell it so.
pub(super) fn beside<T: Send>(
    source: Source,
    (path, size): (&Path, u64),
    sink: &mut dyn FileSink,
    watch: &mut dyn Watch,
    read: impl FnOnce(&Stop) -> Result<Option<T>> + Send,
) -> Result<T> {
    let stop = &Stop::default();
    thread::scope(|scope| {
        let reader = Reader::start(scope, path, move || read(stop))?;
        let mut flow = Flow::new(source, size, watch);
        let stored = sink.file(FILE_NAME, size, &mut flow).map_err(in_sink);
        let (left, cancelled) = flow.finish();
        if cancelled || left > 0 || stored.is_err() {
            stop.set();
        }
        match reader.finish(stop, watch) {
            _ if cancelled => Err(DatabaseError::Cancelled),
            // The sink only saw that no more came.
            Err(error) if !matches!(error, DatabaseError::Cancelled) => Err(error),
            read => {
                stored?;
                if left > 0 {
                    let (name, taken) = (FILE_NAME.to_owned(), size - left);
                    return Err(DatabaseError::SinkShort { name, size, taken });
                }
                read?.ok_or(DatabaseError::Cancelled)
            }
        }
    })
}

/// Lets `work` on a copy of the database at `path` run in a thread of its own, so that the watch
/// can end it in the middle of a statement.
pub(super) fn watched<T: Send>(
    path: &Path,
    watch: &mut dyn Watch,
    work: impl FnOnce(&Stop) -> Result<T> + Send,
) -> Result<T> {
    let stop = &Stop::default();
    thread::scope(|scope| Reader::start(scope, path, move || work(stop))?.finish(stop, watch))
}

/// A thread that reads a database.
struct Reader<'s, T> {
    thread: ScopedJoinHandle<'s, Result<T>>,
    /// Nothing comes from it; it ends with the thread.
    ended: Receiver<()>,
}

impl<'s, T: Send + 's> Reader<'s, T> {
    fn start(
        scope: &'s Scope<'s, '_>,
        path: &Path,
        work: impl FnOnce() -> Result<T> + Send + 's,
    ) -> Result<Self> {
        let (alive, ended) = channel::<()>();
        let work = move || {
            let _alive = alive;
            work()
        };
        let thread = Builder::new()
            .spawn_scoped(scope, work)
            .map_err(DatabaseError::io("start a thread to read", path))?;
        Ok(Self { thread, ended })
    }

    /// Waits for its end.
    fn finish(self, stop: &Stop, watch: &mut dyn Watch) -> Result<T> {
        while let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(LOOK) {
            if stop.is_set() || watch.cancelled() {
                // Again and again: between two statements there is nothing to interrupt.
                stop.set();
            }
        }
        let result = self.thread.join().unwrap_or_else(|panic| resume_unwind(panic));
        result.map_err(|error| match error {
            DatabaseError::Sqlite { source, .. }
                if source.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
            {
                DatabaseError::Cancelled
            }
            error => error,
        })
    }
}

/// What a sink's error is to a capture.
pub(super) fn in_sink(source: Box<dyn Error + Send + Sync>) -> DatabaseError {
    DatabaseError::Sink { name: FILE_NAME.to_owned(), source }
}

/// Ends the work of another thread, the statement that it is in included.
#[derive(Default)]
pub(super) struct Stop {
    wanted: AtomicBool,
    statement: Mutex<Option<InterruptHandle>>,
}

impl Stop {
    /// Whether it has come.
    pub(super) fn is_set(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// From now on statements of `connection` are ended too.
    pub(super) fn interrupts(&self, connection: &Connection) {
        let handle = connection.get_interrupt_handle();
        *self.statement.lock().unwrap_or_else(PoisonError::into_inner) = Some(handle);
    }

    fn set(&self) {
        self.wanted.store(true, Ordering::Relaxed);
        let statement = self.statement.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = &*statement {
            handle.interrupt();
        }
    }
}

/// The watch of a thread that another one stops.
pub(super) struct Until<'a>(pub(super) &'a Stop);

impl Watch for Until<'_> {
    fn bytes(&mut self, _: u64) {}

    fn cancelled(&self) -> bool {
        self.0.is_set()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::sqlite::error::failed;

    /// Stops after a tenth of a second.
    struct Soon(Instant);

    impl Watch for Soon {
        fn bytes(&mut self, _: u64) {}

        fn cancelled(&self) -> bool {
            self.0.elapsed() > Duration::from_millis(100)
        }
    }

    #[test]
    fn a_statement_that_runs_for_minutes_is_cancelled_at_once() {
        let path = Path::new("db");
        let copy = Connection::open_in_memory().unwrap();
        let sql =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000000000)
                   SELECT count(*) FROM n";
        let start = Instant::now();
        let counted = watched(path, &mut Soon(start), move |stop| {
            stop.interrupts(&copy);
            copy.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(failed("count", path))
        });
        assert!(matches!(counted, Err(DatabaseError::Cancelled)), "{counted:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}
