//! One file for each group of verbs: arguments to a request, a report to text and JSON.

mod backup;
mod describe;
mod list;
mod look;
mod restore;
mod undo;
mod verify;

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory;
use dalsegno_engine::{
    Cancel, EngineError, Progress as _, Run, Site, SystemClock, find, interrupted,
};
use dalsegno_format::ErrorKind;
use dalsegno_project::helper::MAX_FRAME;
use dalsegno_project::{Origin, Project, ProjectError, ProjectOptions};

use crate::args::{Cli, Global, Verb};
use crate::caller::Caller;
use crate::face::Face;
use crate::sheet::duration;
use crate::watch::Watcher;

/// What every verb is given.
pub(crate) struct Invocation {
    pub(crate) global: Global,
    pub(crate) face: Face,
    pub(crate) cancel: Cancel,
    caller: Option<Caller>,
    /// The descriptor that `--descriptor-fd` held: a pipe is read once.
    handed_over: OnceCell<Vec<u8>>,
}

impl Invocation {
    pub(crate) fn new(global: Global, face: Face, cancel: Cancel, caller: Option<Caller>) -> Self {
        Self { global, face, cancel, caller, handed_over: OnceCell::new() }
    }

    /// Asks for the word `yes`, on the terminal or through the caller.
    fn confirm(&self, question: &str, what: &str) -> Result<(), EngineError> {
        match &self.caller {
            Some(caller) => caller.confirm(&self.face.shown(question), what),
            None => self.face.confirm(question, what, &self.cancel),
        }
    }

    /// The project as it was handed over: the length of a descriptor in four bytes, big-endian,
    /// and the descriptor. The end of the pipe is not waited for: a process that the caller forked
    /// meanwhile may hold it open.
    fn given(&self, descriptor: u32) -> Result<Project, ProjectError> {
        if self.handed_over.get().is_none() {
            // Opened by its name: taking a number for a descriptor would be unsafe code.
            let text = File::open(format!("/dev/fd/{descriptor}"))
                .and_then(framed)
                .map_err(|source| ProjectError::GivenUnreadable { source })?;
            let _ = self.handed_over.set(text);
        }
        Project::given(self.handed_over.get().map_or(&[][..], Vec::as_slice))
    }

    /// Takes the project that was handed over, or finds it and has it describe itself.
    fn site(&self) -> Result<Site, EngineError> {
        if let Some(descriptor) = self.global.descriptor_fd {
            return Ok(Site::new(self.given(descriptor)?));
        }
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

/// What follows its length in `source`.
fn framed(mut source: impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    source.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length) as usize;
    if length > MAX_FRAME {
        let large = format!("it has more than {MAX_FRAME} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, large));
    }
    let mut text = Vec::new();
    if source.take(length as u64).read_to_end(&mut text)? < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text)
}

/// How long a verb took, and how long the project took to start where it was started for it.
fn timing(took: Duration, project: &Project) -> String {
    match project.origin {
        Origin::Caller => format!("in {}", duration(took)),
        _ => format!(
            "in {} (start-up of the project {})",
            duration(took),
            duration(project.started_in)
        ),
    }
}

/// 0, or 3 for something that finished, but not all of it.
fn finished(complete: bool) -> ExitCode {
    if complete { ExitCode::SUCCESS } else { ExitCode::from(ErrorKind::Partial.exit_code()) }
}
