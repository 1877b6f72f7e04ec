//! What every verb is given beside its request: who watches, who may stop it, what time it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dalsegno_format::BackupId;
use jiff::{Timestamp, Zoned, tz::TimeZone};

use crate::EngineError;

/// Who watches a run. Called from one thread at a time, often; must return at once.
pub trait Progress: Sync {
    /// A new stage begins: `backing up database default`, … with the bytes it will handle, when
    /// they are known.
    fn stage(&self, name: &str, total: Option<u64>);
    /// So many more bytes of this stage are done.
    fn advance(&self, bytes: u64);
    /// Something the operator should read while the work goes on.
    fn warn(&self, text: &str);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn warn(&self, _: &str) {}
}

/// A request to stop, polled per chunk. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks the run to stop at its next chunk.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to stop.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for a signal handler to set.
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}

/// Time and chance, so that tests can fix both.
pub trait Clock: Sync {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Ten bytes nobody can guess.
    fn random(&self) -> [u8; 10];
}

/// The machine's clock and the kernel's random numbers.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn random(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        getrandom::fill(&mut bytes).expect("the kernel gives random numbers");
        bytes
    }
}

/// The surroundings of one run of a verb.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// Who may stop it.
    pub cancel: &'a Cancel,
    /// Time and chance.
    pub clock: &'a dyn Clock,
}

impl Run<'_> {
    /// A new id.
    pub fn new_id(&self) -> BackupId {
        let millis = u64::try_from(self.clock.now().as_millisecond()).unwrap_or(0);
        BackupId::new(millis, self.clock.random())
    }

    /// Now in a project's time zone; UTC when the zone is unknown here.
    pub fn local_now(&self, zone: &str) -> Zoned {
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        self.clock.now().to_zoned(zone)
    }

    /// An error once the run was asked to stop.
    pub fn check_cancelled(&self) -> Result<(), EngineError> {
        if self.cancel.requested() { Err(EngineError::Cancelled) } else { Ok(()) }
    }
}

/// UTC, RFC 3339 with microseconds.
pub fn rfc3339(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}
