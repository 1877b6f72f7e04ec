//! The instants at which tests kill the process: between two durable steps on the server.
//!
//! Only builds with debug assertions have them; what is released holds none of this.

/// Ends the process at once, as a kill does, where `DALSEGNO_DIE_AT` names this step.
#[cfg(debug_assertions)]
pub(super) fn step(name: &str) {
    if std::env::var("DALSEGNO_DIE_AT").is_ok_and(|wanted| wanted == name) {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(super) fn step(_: &str) {}
