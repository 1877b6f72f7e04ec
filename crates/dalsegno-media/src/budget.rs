//! A bound on the bytes that wait between threads.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes of small files that may be held at once.
const LIMIT: u64 = 16 << 20;

/// Counts bytes in use. A single item above the limit is let through when nothing else is held.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    closed: bool,
}

impl Budget {
    /// Waits for room; false when closed.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let full =
            |state: &mut State| !state.closed && state.used > 0 && state.used + bytes > LIMIT;
        let mut state =
            self.changed.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        state.used += bytes;
        !state.closed
    }

    pub(crate) fn give_back(&self, bytes: u64) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).used -= bytes;
        self.changed.notify_one();
    }

    /// Lets nobody wait any more.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        self.changed.notify_all();
    }
}
