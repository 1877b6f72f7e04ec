//! One file for each group of verbs: arguments to a request, a report to text and JSON.

mod backup;
mod describe;
mod list;
mod look;
mod restore;
mod undo;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;
use dalsegno_engine::{Cancel, EngineError, Run, Site, SystemClock, find};
use dalsegno_format::ErrorKind;
use dalsegno_project::{Project, ProjectOptions};

use crate::args::{Cli, Global, Verb};
use crate::face::Face;
use crate::watch::Watcher;

/// What every verb is given.
pub(crate) struct Invocation {
    pub(crate) global: Global,
    pub(crate) face: Face,
    pub(crate) cancel: Cancel,
}

impl Invocation {
    /// Finds the project and has it describe itself.
    fn site(&self) -> Result<Site, EngineError> {
        let working_dir = std::env::current_dir()
            .map_err(|e| EngineError::io("find", std::path::Path::new("."), e))?;
        let mut options = ProjectOptions::new(working_dir);
        options.project_dir.clone_from(&self.global.project);
        options.config.clone_from(&self.global.config);
        options.python.clone_from(&self.global.python);
        match Project::load(&options) {
            Ok(project) => Ok(Site::new(project)),
            Err(error) => {
                if self.face.verbose > 0
                    && !self.face.json()
                    && let Some(details) = error.details()
                {
                    use std::io::Write as _;
                    let _ = writeln!(std::io::stderr(), "{details}");
                }
                Err(error.into())
            }
        }
    }

    fn run<'a>(&'a self, watcher: &'a Watcher) -> Run<'a> {
        Run { progress: watcher, cancel: &self.cancel, clock: &SystemClock }
    }

    /// The backup that is meant. A path needs no project; anything else is looked up in the
    /// project's folders.
    fn backup(&self, wanted: &str) -> Result<PathBuf, EngineError> {
        if wanted.contains('/') || (wanted != "latest" && std::path::Path::new(wanted).exists()) {
            return find(&[], wanted);
        }
        find(&self.site()?.folders(), wanted)
    }
}

/// Runs a verb; the exit code is that of its outcome.
pub(crate) fn run(invocation: &Invocation, verb: Verb) -> Result<ExitCode, EngineError> {
    match verb {
        Verb::Backup(args) => backup::backup(invocation, args),
        Verb::Restore(args) => restore::restore(invocation, args),
        Verb::Verify(args) => verify::verify(invocation, &args),
        Verb::List(args) => list::list(invocation, &args),
        Verb::Show(args) => list::show(invocation, &args),
        Verb::Contents(args) => look::contents(invocation, &args),
        Verb::Get(args) => look::get(invocation, &args),
        Verb::Diff(args) => look::diff(invocation, &args),
        Verb::Rollback(args) => undo::rollback(invocation, &args),
        Verb::Discard(args) => undo::discard(invocation, &args),
        Verb::Delete(args) => undo::delete(invocation, &args),
        Verb::Describe => describe::describe(invocation),
        Verb::Doctor => describe::doctor(invocation),
        Verb::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "dalsegno", &mut script);
            crate::face::say(&String::from_utf8_lossy(&script));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// 0, or 3 for something that finished, but not all of it.
fn finished(complete: bool) -> ExitCode {
    if complete { ExitCode::SUCCESS } else { ExitCode::from(ErrorKind::Partial.exit_code()) }
}
