use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use super::entries::Runner;
use super::schedule::{EntryId, Schedule};
use crate::error::DatabaseError;
use crate::postgres::catalog::Entry;
use crate::postgres::connection::{Canceller, Session};
use crate::{Result, Watch};

/// How often a watch is asked while others work.
const BEAT: Duration = Duration::from_millis(50);

/// Sessions that build indexes and constraints while rows still come. Dropped, they are stopped on
/// the server and waited for.
pub(super) struct Builders {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    entries: HashMap<EntryId, Entry>,
    runner: Runner,
}

#[derive(Default)]
struct State {
    schedule: Schedule,
    stopped: bool,
    failed: Option<DatabaseError>,
    tokens: Vec<Canceller>,
}

impl Builders {
    /// Begins; `entries` are those of the schedule's steps.
    pub(super) fn start(
        sessions: Vec<Session>,
        schedule: Schedule,
        entries: HashMap<EntryId, Entry>,
        runner: Runner,
    ) -> Self {
        let tokens = sessions.iter().map(Session::canceller).collect();
        let state = Mutex::new(State { schedule, tokens, ..State::default() });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), entries, runner });
        let threads = sessions
            .into_iter()
            .map(|session| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.work(session))
            })
            .collect();
        Self { shared, threads }
    }

    /// The rows of a table are there.
    pub(super) fn table_loaded(&self, table: EntryId) {
        self.shared.lock().schedule.table_loaded(table);
        self.shared.changed.notify_all();
    }

    /// The first failure, once.
    pub(super) fn failure(&self) -> Result<()> {
        self.shared.lock().failed.take().map_or(Ok(()), Err)
    }

    /// After the last row: waits until everything that can be built is. Returns the entries that
    /// are to be run one by one.
    pub(super) fn finish(self, watch: &mut dyn Watch) -> Result<Vec<EntryId>> {
        let mut state = self.shared.lock();
        state.schedule.all_loaded();
        self.shared.changed.notify_all();
        loop {
            if let Some(error) = state.failed.take() {
                return Err(error);
            }
            if state.schedule.is_over() {
                return Ok(state.schedule.rest());
            }
            if watch.cancelled() {
                return Err(DatabaseError::Cancelled);
            }
            let waited = self.shared.changed.wait_timeout(state, BEAT);
            state = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }
}

impl Drop for Builders {
    fn drop(&mut self) {
        let tokens = {
            let mut state = self.shared.lock();
            state.stopped = true;
            std::mem::take(&mut state.tokens)
        };
        self.shared.changed.notify_all();
        // A stop that comes between two statements hits nothing; it is sent until all have ended.
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            tokens.iter().for_each(Canceller::cancel);
            std::thread::sleep(Duration::from_millis(20));
        }
        for thread in self.threads.drain(..) {
            // A panic in it was the failure of a step, which is reported as such.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn work(&self, mut session: Session) {
        let mut state = self.lock();
        loop {
            if state.stopped || state.failed.is_some() {
                break;
            }
            let Some(id) = state.schedule.start() else {
                if state.schedule.is_over() {
                    break;
                }
                let waited = self.changed.wait(state);
                state = waited.unwrap_or_else(std::sync::PoisonError::into_inner);
                continue;
            };
            drop(state);
            let done = match self.entries.get(&id) {
                Some(entry) => self.runner.run(&mut session, [entry]),
                None => Ok(()),
            };
            state = self.lock();
            state.schedule.finished(id);
            if let Err(error) = done {
                state.failed.get_or_insert(error);
            }
            self.changed.notify_all();
        }
        drop(state);
        self.changed.notify_all();
    }
}
