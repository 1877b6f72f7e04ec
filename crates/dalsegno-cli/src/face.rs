//! How the command line speaks: text for people, JSON lines for programs.

use std::fmt::Write as _;
use std::io::{self, BufRead, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use dalsegno_engine::{Cancel, EngineError};
use serde_json::{Value, json};

use crate::args::{Format, Global};
use crate::printable::printable;

/// How often a question looks whether the run was cancelled by a signal.
pub(crate) const POLL: Duration = Duration::from_millis(50);

/// The voice of one invocation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Face {
    pub(crate) format: Format,
    pub(crate) quiet: bool,
    pub(crate) verbose: u8,
}

impl Face {
    pub(crate) fn new(global: &Global) -> Self {
        Self { format: global.format, quiet: global.quiet, verbose: global.verbose }
    }

    pub(crate) fn json(self) -> bool {
        self.format != Format::Text
    }

    /// Whether a program that shows our texts to people reads the lines.
    pub(crate) fn client(self) -> bool {
        self.format == Format::Client
    }

    /// A text as it goes into a JSON line: a client prints it to people as it is, others want it whole.
    pub(crate) fn shown(self, text: &str) -> String {
        if self.client() { printable(text).into_owned() } else { text.to_owned() }
    }

    /// The outcome of a verb: its report as the last JSON line, or its text.
    pub(crate) fn report(self, verb: &str, report: Value, text: &str) {
        if self.json() {
            let mut line = json!({ "event": "report", "verb": verb });
            if let (Some(line), Value::Object(report)) = (line.as_object_mut(), report) {
                line.extend(report);
                if self.client() {
                    line.insert("text".to_owned(), Value::from(self.shown(text)));
                }
            }
            say(&format!("{line}\n"));
        } else if !self.quiet {
            say(&printable(text));
        }
    }

    /// Output that was asked for and is the point of the verb: not silenced by `--quiet`.
    pub(crate) fn answer(self, verb: &str, report: Value, text: &str) {
        Self { quiet: false, ..self }.report(verb, report, text);
    }

    /// What went wrong, the causes, and the next thing to do.
    pub(crate) fn error(self, error: &EngineError) {
        let causes = causes(error);
        if self.json() {
            let row = dalsegno_engine::outcome(error.kind());
            let line = json!({
                "event": "error",
                "kind": error.kind().name(),
                "exit_code": row.exit_code,
                "message": self.shown(&error.to_string()),
                "causes": causes.iter().map(|cause| self.shown(cause)).collect::<Vec<_>>(),
                "hint": error.hint().map(|hint| self.shown(&hint)),
            });
            say(&format!("{line}\n"));
            return;
        }
        let mut text = format!("error: {error}\n");
        for cause in causes {
            let _ = writeln!(text, "  because: {cause}");
        }
        if let Some(hint) = error.hint() {
            let _ = writeln!(text, "hint: {hint}");
        }
        complain(&text);
    }

    /// Asks for the word `yes`; anything else declines. Without a terminal nobody can be asked.
    pub(crate) fn confirm(
        self,
        question: &str,
        what: &str,
        cancel: &Cancel,
    ) -> Result<(), EngineError> {
        if self.json() || !io::stdin().is_terminal() {
            return Err(EngineError::Consent { what: what.to_owned() });
        }
        let mut err = io::stderr().lock();
        let _ = write!(err, "{}\nType `yes` to go on [no]: ", printable(question));
        let _ = err.flush();
        // A signal does not interrupt reading, and who asks must not wait for the next line.
        let (sender, answers) = mpsc::channel();
        thread::spawn(move || {
            let mut answer = String::new();
            let _ = io::stdin().lock().read_line(&mut answer);
            let _ = sender.send(answer);
        });
        loop {
            if cancel.requested() {
                let _ = writeln!(err);
                return Err(EngineError::Cancelled);
            }
            return match answers.recv_timeout(POLL).as_deref().map(str::trim) {
                Ok("yes") => Ok(()),
                Err(RecvTimeoutError::Timeout) => continue,
                Ok(_) | Err(RecvTimeoutError::Disconnected) => {
                    Err(EngineError::Declined { what: what.to_owned() })
                }
            };
        }
    }
}

/// The chain below an error's own words, without repetitions.
fn causes(error: &EngineError) -> Vec<String> {
    let mut said = error.to_string();
    let mut causes = Vec::new();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !said.contains(&text) {
            causes.push(text.clone());
            said.push_str(&text);
        }
        next = cause.source();
    }
    causes
}

/// Writes text for people to standard error.
pub(crate) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(printable(text).as_bytes());
}

/// Writes to standard output; `false` when nobody reads it any more. That never ends the work: a
/// restore goes on, and its exit code tells what became of it.
pub(crate) fn say(text: &str) -> bool {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok()
}
