//! Points at which tests interfere.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

type Act = Box<dyn FnMut() + Send>;

static READING: Mutex<Option<HashMap<Vec<u8>, Act>>> = Mutex::new(None);

/// Runs `act` each time a file of this name was read and is about to be compared.
pub(crate) fn while_reading(name: &[u8], act: impl FnMut() + Send + 'static) {
    let mut acts = READING.lock().unwrap_or_else(PoisonError::into_inner);
    acts.get_or_insert_default().insert(name.to_vec(), Box::new(act));
}

pub(crate) fn reading(name: &[u8]) {
    let mut acts = READING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(act) = acts.as_mut().and_then(|acts| acts.get_mut(name)) {
        act();
    }
}

/// Paths whose exchange fails, whether what lies below them is meant, and how.
static EXCHANGE: Mutex<Vec<(PathBuf, bool, Errno)>> = Mutex::new(Vec::new());

/// Lets exchanges of `path` itself fail, or of what lies below it.
pub(crate) fn fail_exchange(path: &Path, below: bool, error: Errno) {
    let mut failing = EXCHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    failing.push((path.to_path_buf(), below, error));
}

pub(crate) fn exchange_error(path: &Path) -> Option<Errno> {
    let failing = EXCHANGE.lock().unwrap_or_else(PoisonError::into_inner);
    let meant = |at: &Path, below: bool| {
        if below { path != at && path.starts_with(at) } else { path == at }
    };
    failing.iter().find(|(at, below, _)| meant(at, *below)).map(|(.., error)| *error)
}

/// The variable that says before which step a process kills itself.
pub(crate) const KILL_AT: &str = "DALSEGNO_MEDIA_TEST_KILL_AT";

/// Counts steps; kills this process with SIGKILL at the one that the environment names.
pub(crate) fn step(_: &Path) {
    use std::sync::atomic::{AtomicU32, Ordering};
    static STEPS: AtomicU32 = AtomicU32::new(0);
    let Ok(at) = std::env::var(KILL_AT) else { return };
    if STEPS.fetch_add(1, Ordering::SeqCst) + 1 == at.parse::<u32>().expect("a number") {
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::KILL).expect("own process");
    }
}
