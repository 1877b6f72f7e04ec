//! The `dalsegno` binary: arguments in, one verb of the engine, a report out.
//!
//! No decision about backups is made here.

mod args;
mod caller;
mod face;
mod printable;
mod sheet;
mod verbs;
mod watch;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use dalsegno_engine::{Cancel, EngineError, outcome};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::args::Cli;
use crate::caller::Caller;
use crate::face::Face;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let face = Face::new(&cli.global);
    let cancel = Cancel::default();
    if let Err(error) = listen(&cancel, face.client()) {
        face.error(&EngineError::io(
            "listen for signals of",
            std::path::Path::new("this process"),
            error,
        ));
        return ExitCode::FAILURE;
    }
    let caller = face.client().then(|| Caller::listen(cancel.clone()));
    let invocation = verbs::Invocation::new(cli.global, face, cancel, caller);
    match verbs::run(&invocation, cli.verb) {
        Ok(code) => code,
        Err(error) => {
            face.error(&error);
            ExitCode::from(outcome(error.kind()).exit_code)
        }
    }
}

/// The first signal asks the run to stop and leave nothing half done; the second ends it at once.
///
/// Behind a caller only a second SIGINT does that, which a person has typed: who ends a whole group
/// of processes sends us a SIGTERM, and the caller passes its own on.
fn listen(cancel: &Cancel, behind_caller: bool) -> std::io::Result<()> {
    // Not the flag of `cancel`, which is set for other reasons too.
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        if signal == SIGINT || !behind_caller {
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&signalled))?;
            signal_hook::flag::register(signal, Arc::clone(&signalled))?;
        }
        signal_hook::flag::register(signal, cancel.flag())?;
    }
    Ok(())
}
