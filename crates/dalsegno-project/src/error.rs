//! What can go wrong before there is a descriptor.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use dalsegno_format::ErrorKind;

use crate::descriptor::SettingOrigin;

/// A failure to find, start or understand a project.
///
/// The text of an error fits one line and holds no secret; [`ProjectError::details`] is what the
/// site itself printed, for the operator's eyes only.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectError {
    /// A folder holds nothing that describes a project.
    #[error("no project in `{}`: no manage.py, no dalsegno.toml and no DATABASE_URL", folder.display())]
    NoProject {
        /// Where it was looked for.
        folder: PathBuf,
        /// A folder above that has a `manage.py`.
        above: Option<PathBuf>,
    },
    /// Several sub-folders hold a `manage.py`.
    #[error("`{}` holds several projects: {}", folder.display(), listed(found))]
    SeveralProjects {
        /// Where it was looked for.
        folder: PathBuf,
        /// The folders that have a `manage.py`.
        found: Vec<PathBuf>,
    },
    /// The given project is not there.
    #[error("the project folder `{}` cannot be used", path.display())]
    ProjectFolder {
        /// The path that was given.
        path: PathBuf,
        /// Why it cannot be entered.
        source: io::Error,
    },
    /// The path of a project is not UTF-8, which the helper conversation needs.
    #[error("the project folder `{}` has a name that is not UTF-8", path.display())]
    NotUtf8 {
        /// That folder.
        path: PathBuf,
    },
    /// A configuration file cannot be read.
    #[error("cannot read the configuration `{}`", path.display())]
    ConfigUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A configuration file says something that cannot be.
    #[error("the configuration `{}` is wrong: {reason}", path.display())]
    ConfigInvalid {
        /// The file.
        path: PathBuf,
        /// What is wrong where.
        reason: String,
    },
    /// A database URL that cannot be understood. The URL itself is not shown.
    #[error("{variable} is no database URL: {reason}")]
    DatabaseUrl {
        /// The variable or key that holds it.
        variable: String,
        /// What is wrong.
        reason: String,
    },
    /// It is not known how a database is reached.
    #[error("the {fact} of the database `{alias}` is not known{}", because(reason.as_deref()))]
    NotReachable {
        /// The alias.
        alias: String,
        /// What is missing: `server`, `host`, `port`, `user` or `name`.
        fact: &'static str,
        /// Why nobody could be asked.
        reason: Option<String>,
    },
    /// No interpreter has Django.
    #[error("no Python with Django was found for `{}`: tried {}", manage_py.display(), tried_list(tried))]
    NoInterpreter {
        /// The script it was looked for.
        manage_py: PathBuf,
        /// Every candidate in order.
        tried: Vec<Tried>,
    },
    /// The interpreter that was asked for cannot be used.
    #[error("`{}` cannot run the project: {reason}", interpreter.display())]
    Interpreter {
        /// What was given.
        interpreter: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The project's Django is too old.
    #[error("the project runs Django {version}, which is not supported")]
    DjangoTooOld {
        /// Its version.
        version: String,
    },
    /// The settings, an app or `manage.py` itself raised.
    #[error("the project `{}` does not start: {message}{}", manage_py.display(), place(file.as_ref(), *line))]
    Settings {
        /// The script that was run.
        manage_py: PathBuf,
        /// The exception, in one line.
        message: String,
        /// The innermost file of the project that it went through.
        file: Option<PathBuf>,
        /// The line in that file.
        line: Option<u32>,
        /// The module whose absence it was.
        missing_module: Option<Box<str>>,
        /// The traceback and what the site printed.
        details: Box<str>,
    },
    /// No answer came in time.
    #[error("the project `{}` did not answer `{verb}` within {} s", manage_py.display(), seconds(*limit))]
    TimedOut {
        /// The script that was run.
        manage_py: PathBuf,
        /// The question.
        verb: Box<str>,
        /// The time limit.
        limit: Duration,
        /// What the site printed.
        details: Box<str>,
    },
    /// The helper ended, or what it said was no answer.
    #[error("the helper of `{}` {reason}", manage_py.display())]
    HelperBroken {
        /// The script that was run.
        manage_py: PathBuf,
        /// What happened.
        reason: String,
        /// What the site printed.
        details: Box<str>,
    },
    /// The helper could not do what it was asked.
    #[error("the project `{}` cannot {verb}: {message}", manage_py.display())]
    VerbFailed {
        /// The script that was run.
        manage_py: PathBuf,
        /// The question.
        verb: Box<str>,
        /// The kind that the helper gave: `verb`, `unknown_verb`, `too_large`, …
        reason: Box<str>,
        /// The exception, in one line.
        message: String,
        /// The traceback and what the site printed.
        details: Box<str>,
    },
    /// The start was interrupted from the keyboard.
    #[error("the project `{}` was interrupted while it started", manage_py.display())]
    Interrupted {
        /// The script that was run.
        manage_py: PathBuf,
    },
    /// The helper described something this engine does not understand.
    #[error("the descriptor of `{}` is not understood", manage_py.display())]
    Descriptor {
        /// The script that was run.
        manage_py: PathBuf,
        /// Where it deviates.
        source: serde_json::Error,
    },
    /// The descriptor that the calling process hands over cannot be read.
    #[error("cannot read the descriptor that was handed over")]
    GivenUnreadable {
        /// Why.
        source: io::Error,
    },
    /// What the calling process handed over is no descriptor.
    #[error("the descriptor that was handed over is not understood")]
    GivenDescriptor {
        /// Where it deviates; holds no value of it.
        source: serde_json::Error,
    },
    /// A `BACKUP_*` value that cannot be.
    #[error("{name} ({origin}) is `{value}`, but must be {expected}")]
    BadSetting {
        /// The name of the setting or variable.
        name: String,
        /// Where the value came from.
        origin: SettingOrigin,
        /// The value; masked where it is secret.
        value: String,
        /// What it must be.
        expected: String,
    },
}

/// One interpreter that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The program.
    pub interpreter: PathBuf,
    /// Why it came to be tried: `VIRTUAL_ENV`, `.venv`, `shebang of manage.py`, …
    pub origin: String,
    /// Why it was not taken.
    pub reason: String,
}

impl ProjectError {
    /// The row of the outcome table.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoProject { .. }
            | Self::SeveralProjects { .. }
            | Self::ProjectFolder { .. }
            | Self::NotUtf8 { .. }
            | Self::ConfigUnreadable { .. }
            | Self::ConfigInvalid { .. }
            | Self::DatabaseUrl { .. }
            | Self::GivenUnreadable { .. }
            | Self::GivenDescriptor { .. }
            | Self::BadSetting { .. } => ErrorKind::Usage,
            Self::Interrupted { .. } => ErrorKind::Cancelled,
            Self::NotReachable { .. }
            | Self::NoInterpreter { .. }
            | Self::Interpreter { .. }
            | Self::DjangoTooOld { .. }
            | Self::Settings { .. }
            | Self::TimedOut { .. }
            | Self::HelperBroken { .. }
            | Self::VerbFailed { .. }
            | Self::Descriptor { .. } => ErrorKind::Failed,
        }
    }

    /// The next thing to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoProject { above: Some(above), .. } => format!(
                "There is a manage.py in `{0}`: run there, or give `--project {0}`.",
                above.display()
            ),
            Self::NoProject { .. } => {
                "Run it in the folder of manage.py, or give `--project DIR`; \
                without Python, write a dalsegno.toml or set DATABASE_URL and MEDIA_ROOT."
                    .to_owned()
            }
            Self::SeveralProjects { found, .. } => {
                let first = found.first().map_or_else(|| "DIR".into(), |f| f.display().to_string());
                format!("Choose one, as in `--project {first}`.")
            }
            Self::ProjectFolder { .. } => {
                "Give `--project` the folder that holds manage.py.".to_owned()
            }
            Self::NotUtf8 { .. } => {
                "Reach the project by a path in UTF-8, for example a bind mount.".to_owned()
            }
            Self::ConfigUnreadable { .. } => {
                "Check the path given to `--config` and its permissions.".to_owned()
            }
            Self::ConfigInvalid { .. } => "Correct the file; the guide lists its keys.".to_owned(),
            Self::DatabaseUrl { .. } => "Write it as `sqlite:////absolute/path.db` or \
                `postgres://user:password@host:5432/name`, with special characters \
                percent-encoded."
                .to_owned(),
            Self::NotReachable { .. } => "Start the server, or write down its host, port, user \
                and name where the project's settings or its configuration name the database."
                .to_owned(),
            Self::NoInterpreter { .. } | Self::Interpreter { .. } => {
                "Give the interpreter of the project, as in `--python /path/to/venv/bin/python`."
                    .to_owned()
            }
            Self::DjangoTooOld { .. } => "Django 4.0 or newer is needed; without it, write a \
                dalsegno.toml that names the database and the media folder."
                .to_owned(),
            Self::Settings { manage_py, missing_module, message, .. } => {
                settings_hint(manage_py, missing_module.as_deref(), message)
            }
            Self::TimedOut { manage_py, .. } => format!(
                "See what holds up `python manage.py check` in `{}`.",
                manage_py.parent().unwrap_or(manage_py).display()
            ),
            Self::HelperBroken { manage_py, .. } => format!(
                "See whether `python manage.py check` works in `{}`; if manage.py starts another \
                interpreter, name that one with `--python`.",
                manage_py.parent().unwrap_or(manage_py).display()
            ),
            Self::GivenUnreadable { .. } | Self::GivenDescriptor { .. } => {
                "Only the Python package `dalsegno` hands a descriptor over; install the binary \
                and the package in the same version."
                    .to_owned()
            }
            Self::BadSetting { name, .. } => {
                format!("Correct {name} in the settings or the environment.")
            }
            Self::VerbFailed { .. } | Self::Interrupted { .. } | Self::Descriptor { .. } => {
                return None;
            }
        })
    }

    /// What the site printed and where it failed: many lines, not free of secrets.
    pub fn details(&self) -> Option<&str> {
        match self {
            Self::Settings { details, .. }
            | Self::TimedOut { details, .. }
            | Self::HelperBroken { details, .. }
            | Self::VerbFailed { details, .. } => Some(&**details).filter(|text| !text.is_empty()),
            _ => None,
        }
    }
}

fn settings_hint(manage_py: &std::path::Path, missing: Option<&str>, message: &str) -> String {
    let folder = manage_py.parent().unwrap_or(manage_py).display();
    if let Some(module) = missing {
        return format!(
            "Install `{module}` for the interpreter that was used, or name another with \
            `--python`; `dalsegno describe` must work where `python manage.py check` does."
        );
    }
    if let Some(variable) = message.strip_prefix("KeyError: ") {
        return format!(
            "If the settings read {variable} from the environment, set it as the site's own \
            service does."
        );
    }
    format!("Make `python manage.py check` work in `{folder}` first.")
}

fn place(file: Option<&PathBuf>, line: Option<u32>) -> String {
    match (file, line) {
        (Some(file), Some(line)) => format!(" (`{}`, line {line})", file.display()),
        (Some(file), None) => format!(" (`{}`)", file.display()),
        _ => String::new(),
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

fn listed(paths: &[PathBuf]) -> String {
    let names: Vec<_> = paths.iter().map(|path| format!("`{}`", path.display())).collect();
    names.join(", ")
}

fn tried_list(tried: &[Tried]) -> String {
    let each: Vec<_> = tried.iter().map(ToString::to_string).collect();
    each.join("; ")
}

fn seconds(limit: Duration) -> String {
    if limit.subsec_nanos() == 0 {
        limit.as_secs().to_string()
    } else {
        format!("{:.1}", limit.as_secs_f64())
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}): {}", self.interpreter.display(), self.origin, self.reason)
    }
}
