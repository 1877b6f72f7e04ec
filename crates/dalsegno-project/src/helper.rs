//! The conversation with Django's Python.
//!
//! One process of the project's own interpreter, frames both ways, one question at a time; the
//! other side is `python/dalsegno/describe`, where the protocol is written down. The texts of that
//! package go through the pipe, so that no file is needed beside the site.
//!
//! Requests go to the child's standard input and answers come from its standard output, which the
//! child takes away from the site before any of the site's code runs; what the site prints is kept
//! apart and shown on failure only. So no descriptor is inherited that another thread's child
//! could catch, and `--python` may name a wrapper that passes its streams on.

mod frame;
mod output;
mod package;
mod process;

use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::error::ProjectError;
use frame::FrameError;
use process::Process;

pub use frame::MAX_FRAME;

/// The version of the conversation.
pub const PROTOCOL: u64 = 1;

const OLDEST_DJANGO: u32 = 4;

/// How long a wait for an answer goes on before somebody looks whether it was cancelled.
const GLANCE: Duration = Duration::from_millis(50);

/// Whether an answer is waited for any longer.
enum Patience {
    For(Duration),
    Over,
    Cancelled,
}

/// How to start a helper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperOptions {
    /// The interpreter, absolute.
    pub interpreter: PathBuf,
    /// The project's `manage.py`, absolute and in UTF-8; the helper works in its folder.
    pub manage_py: PathBuf,
    /// Settings module that wins over the one `manage.py` chooses.
    pub settings_module: Option<String>,
    /// How long each question, and the start, may take.
    pub timeout: Duration,
}

/// A running helper. Dropped, it ends.
#[derive(Debug)]
pub struct Helper {
    options: HelperOptions,
    process: Process,
    hello: Hello,
    asked: u64,
}

/// What an interpreter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hello {
    /// Always `dalsegno-helper`.
    #[serde(rename = "hello")]
    speaker: String,
    protocol: u64,
    /// Version of Python.
    pub python: String,
    /// Version of Django; `None` where it cannot be imported.
    pub django: Option<String>,
    /// Why it cannot.
    #[serde(default)]
    pub reason: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    id: Option<u64>,
    ok: Option<Value>,
    error: Option<AnsweredError>,
}

#[derive(Deserialize)]
struct AnsweredError {
    kind: String,
    message: String,
    #[serde(default)]
    traceback: Option<String>,
    #[serde(default)]
    file: Option<PathBuf>,
    #[serde(default)]
    line: Option<u32>,
    #[serde(default)]
    missing_module: Option<Box<str>>,
}

/// Whether an interpreter can be used, short of failures of the site.
pub(crate) enum Start {
    Ready(Box<Helper>),
    /// It is no Python, too old, or has no Django; why, in a few words.
    Unusable(String),
}

impl Helper {
    /// Starts the interpreter and, in it, the project. A failure of the project's settings is
    /// reported by the first question, which waits for the start to end.
    pub fn start(options: HelperOptions) -> Result<Self, ProjectError> {
        let interpreter = options.interpreter.clone();
        match Self::attempt(options)? {
            Start::Ready(helper) => Ok(*helper),
            Start::Unusable(reason) => Err(ProjectError::Interpreter { interpreter, reason }),
        }
    }

    pub(crate) fn attempt(options: HelperOptions) -> Result<Start, ProjectError> {
        let configuration =
            json!({"protocol": PROTOCOL, "settings_module": options.settings_module});
        let folder = options.manage_py.parent().unwrap_or(&options.manage_py);
        let mut process = match Process::spawn(&options.interpreter, folder, &configuration) {
            Ok(process) => process,
            Err(error) => return Ok(Start::Unusable(format!("it cannot be run: {error}"))),
        };
        let unusable = |reason: String| Ok(Start::Unusable(reason));
        let frame = match process.answers().recv_timeout(options.timeout) {
            Ok(Ok(frame)) => frame,
            Err(RecvTimeoutError::Timeout) => {
                process.kill();
                return unusable(format!("it did not start within {:?}", options.timeout));
            }
            Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                let status = process.end();
                let last = process.output().last_line();
                return unusable(last.unwrap_or_else(|| format!("it ended: {status}")));
            }
        };
        let hello = match serde_json::from_value::<Hello>(frame) {
            Ok(hello) if hello.speaker == "dalsegno-helper" && hello.protocol == PROTOCOL => hello,
            _ => return unusable("it did not answer as a helper does".to_owned()),
        };
        let Some(version) = &hello.django else {
            let reason = hello.reason.unwrap_or_else(|| "Django cannot be imported".to_owned());
            return unusable(format!("Python {}, {reason}", hello.python));
        };
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_some_and(|major| major < OLDEST_DJANGO) {
            return Err(ProjectError::DjangoTooOld { version: version.clone() });
        }
        Ok(Start::Ready(Box::new(Self { options, process, hello, asked: 0 })))
    }

    /// What the interpreter said of itself.
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Asks `verb` with further members of the request, and waits for the answer.
    ///
    /// After [`ProjectError::TimedOut`] and [`ProjectError::HelperBroken`] the process is gone;
    /// other errors leave it ready for the next question.
    pub fn request(
        &mut self,
        verb: &str,
        parameters: Map<String, Value>,
    ) -> Result<Value, ProjectError> {
        let deadline = Instant::now() + self.options.timeout;
        self.exchange(verb, parameters, &|| match deadline.checked_duration_since(Instant::now()) {
            Some(left) => Patience::For(left),
            None => Patience::Over,
        })
    }

    /// Asks as [`Helper::request`] does, and waits without limit: a database may take its time.
    /// As soon as `cancelled` says so the process is killed, and with it ends whatever it had begun;
    /// the error is [`ProjectError::Interrupted`].
    pub fn ask(
        &mut self,
        verb: &str,
        parameters: Map<String, Value>,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<Value, ProjectError> {
        let wait = || if cancelled() { Patience::Cancelled } else { Patience::For(GLANCE) };
        self.exchange(verb, parameters, &wait)
    }

    fn exchange(
        &mut self,
        verb: &str,
        parameters: Map<String, Value>,
        patience: &dyn Fn() -> Patience,
    ) -> Result<Value, ProjectError> {
        self.asked += 1;
        let id = self.asked;
        let mut request = parameters;
        request.insert("id".to_owned(), Value::from(id));
        request.insert("verb".to_owned(), Value::from(verb));
        let frame = frame::encoded(&Value::Object(request))
            .map_err(|error| self.broken(format!("cannot be asked `{verb}`: {error}")))?;
        if !self.process.send(frame) {
            return Err(self.ended(verb));
        }
        let answered = loop {
            let wait = match patience() {
                Patience::For(wait) => wait,
                Patience::Over => {
                    self.process.kill();
                    return Err(ProjectError::TimedOut {
                        manage_py: self.options.manage_py.clone(),
                        verb: verb.into(),
                        limit: self.options.timeout,
                        details: self.printed(None).into(),
                    });
                }
                Patience::Cancelled => {
                    self.process.kill();
                    let manage_py = self.options.manage_py.clone();
                    return Err(ProjectError::Interrupted { manage_py });
                }
            };
            match self.process.answers().recv_timeout(wait) {
                Err(RecvTimeoutError::Timeout) => {}
                answered => break answered,
            }
        };
        let answer = match answered {
            Ok(Ok(answer)) => answer,
            Err(_) | Ok(Err(FrameError::Ended)) => {
                return Err(self.ended(verb));
            }
            Ok(Err(error)) => {
                self.process.kill();
                return Err(self.broken(format!("broke the protocol: {error}")));
            }
        };
        match serde_json::from_value::<Answer>(answer) {
            Ok(Answer { id: Some(of), ok: Some(value), error: None }) if of == id => Ok(value),
            Ok(Answer { id: Some(of), ok: None, error: Some(error) }) if of == id => {
                Err(self.answered(verb, error))
            }
            _ => {
                self.process.kill();
                Err(self.broken(format!("gave no proper answer to `{verb}`")))
            }
        }
    }

    fn answered(&self, verb: &str, error: AnsweredError) -> ProjectError {
        let manage_py = self.options.manage_py.clone();
        let details = self.printed(error.traceback.as_deref()).into();
        match error.kind.as_str() {
            "settings" | "manage_py" => ProjectError::Settings {
                manage_py,
                message: error.message,
                file: error.file,
                line: error.line,
                missing_module: error.missing_module,
                details,
            },
            "interrupted" => ProjectError::Interrupted { manage_py },
            _ => ProjectError::VerbFailed {
                manage_py,
                verb: verb.into(),
                reason: error.kind.into(),
                message: error.message,
                details,
            },
        }
    }

    fn ended(&mut self, verb: &str) -> ProjectError {
        let status = self.process.end();
        self.broken(format!("ended before it answered `{verb}`: {status}"))
    }

    fn broken(&self, reason: String) -> ProjectError {
        ProjectError::HelperBroken {
            manage_py: self.options.manage_py.clone(),
            reason,
            details: self.printed(None).into(),
        }
    }

    /// The traceback, then what the site printed.
    fn printed(&self, traceback: Option<&str>) -> String {
        let output = self.process.output().settled();
        let mut parts = Vec::new();
        if let Some(traceback) = traceback {
            parts.push(traceback.trim_end().to_owned());
        }
        if !output.trim().is_empty() {
            parts.push(format!("The site printed:\n{}", output.trim_end()));
        }
        parts.join("\n\n")
    }
}
