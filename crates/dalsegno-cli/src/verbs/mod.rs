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
use dalsegno_engine::{
    Cancel, EngineError, Progress as _, Run, Site, SystemClock, find, interrupted,
};
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
    /// project's folders, and what is wrong with the project itself is told.
    fn backup(&self, wanted: &str) -> Result<PathBuf, EngineError> {
        let Some(site) = self.searched(wanted)? else { return find(&[], wanted) };
        self.tell_interrupted(&site);
        find(&site.folders(), wanted)
    }

    /// The same for what goes on to another program.
    fn backup_quietly(&self, wanted: &str) -> Result<PathBuf, EngineError> {
        let site = self.searched(wanted)?;
        find(&site.map(|site| site.folders()).unwrap_or_default(), wanted)
    }

    fn searched(&self, wanted: &str) -> Result<Option<Site>, EngineError> {
        let is_path =
            wanted.contains('/') || (wanted != "latest" && std::path::Path::new(wanted).exists());
        if is_path { Ok(None) } else { self.site().map(Some) }
    }

    /// A warning for each restore that was killed, by those who leave it as it is.
    fn tell_interrupted(&self, site: &Site) {
        let watcher = Watcher::new(self.face);
        for one in interrupted(site) {
            watcher.warn(&format!("{}. {}", one.text, one.hint));
        }
        watcher.finish();
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
