//! The instants at which tests kill the process: between two steps that a server remembers.
//!
//! Only builds with debug assertions have them; what is released holds none of this.

/// Ends the process at once, as a kill does, where `DALSEGNO_DIE_AT` says: at the step of this name,
/// or at the so many-th of all.
#[cfg(debug_assertions)]
pub(crate) fn step(name: &str) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static TAKEN: AtomicU64 = AtomicU64::new(0);
    let Ok(wanted) = std::env::var("DALSEGNO_DIE_AT") else { return };
    let taken = TAKEN.fetch_add(1, Ordering::Relaxed) + 1;
    if wanted == name || wanted.parse() == Ok(taken) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(crate) fn step(_: &str) {}
