//! A project, found, started and understood.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Map;

use crate::config_file;
use crate::descriptor::Descriptor;
use crate::discover::{Found, discover, no_project};
use crate::environment;
use crate::error::{ProjectError, Tried};
use crate::helper::{Helper, HelperOptions, MAX_FRAME, Start};
use crate::interpreter::{Interpreter, Surroundings, candidates};
use crate::scrub::scrub;
use crate::settings::BackupSettings;

/// Which project is meant, and how to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectOptions {
    /// `--project`: a folder with a `manage.py`, or with one sub-folder that has one.
    pub project_dir: Option<PathBuf>,
    /// `--config`: a configuration file that wins over everything else.
    pub config: Option<PathBuf>,
    /// `--python`: the only interpreter to try.
    pub python: Option<PathBuf>,
    /// `--settings`: the settings module, whatever `manage.py` says.
    pub settings_module: Option<String>,
    /// Where relative paths start, absolute, and where the project is looked for by default.
    pub working_dir: PathBuf,
    /// How long the project may take to start and describe itself.
    pub timeout: Duration,
}

impl ProjectOptions {
    /// How long a project may take by default.
    pub const TIMEOUT: Duration = Duration::from_secs(30);

    /// The project of a folder.
    pub fn new(working_dir: impl Into<PathBuf>) -> Self {
        Self {
            project_dir: None,
            config: None,
            python: None,
            settings_module: None,
            working_dir: working_dir.into(),
            timeout: Self::TIMEOUT,
        }
    }
}

/// A project that a verb works on.
#[derive(Debug, Clone)]
pub struct Project {
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// Its `BACKUP_*` settings.
    pub settings: BackupSettings,
    /// Who said it.
    pub origin: Origin,
    /// How long it took to find and start, in all.
    pub started_in: Duration,
}

/// Who described a project.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Origin {
    /// Its own Django.
    Django {
        /// The script, absolute.
        manage_py: PathBuf,
        /// The interpreter that ran it.
        interpreter: Interpreter,
        /// How long Django took to start and answer.
        startup: Duration,
        /// How to start a helper once more, for other verbs.
        helper: HelperOptions,
    },
    /// A configuration file.
    Config {
        /// The file, absolute.
        path: PathBuf,
    },
    /// `DATABASE_URL` and `MEDIA_ROOT`.
    Environment,
    /// The project's own Django, in the process that runs us.
    Caller,
}

impl Project {
    /// Finds the project and has it describe itself. `--config` wins over `manage.py`, that over
    /// `dalsegno.toml` beside it, that over the environment.
    ///
    /// The database need not be there. Nothing is written.
    pub fn load(options: &ProjectOptions) -> Result<Self, ProjectError> {
        let begun = Instant::now();
        let found = discover(
            options.project_dir.as_deref(),
            options.config.as_deref(),
            &options.working_dir,
        )?;
        let (descriptor, origin) = match found {
            Found::Django { manage_py, asked } => described(options, manage_py, &asked)?,
            Found::Config(path) => (config_file::read(&path)?, Origin::Config { path }),
            Found::Nothing(folder) => match environment::read(&folder)? {
                Some(descriptor) => (descriptor, Origin::Environment),
                None => return Err(no_project(folder)),
            },
        };
        let mut descriptor = descriptor;
        if descriptor.django.is_none() {
            environment::fill_in_settings(&mut descriptor.settings);
        }
        Self::understood(descriptor, origin, begun)
    }

    /// A project whose Django has described itself already: `source` holds one descriptor in JSON,
    /// at most [`MAX_FRAME`] bytes, and ends with it. Neither is anything looked for nor any
    /// interpreter started.
    pub fn given(source: impl Read) -> Result<Self, ProjectError> {
        let begun = Instant::now();
        let mut text = Vec::new();
        let read = source.take(MAX_FRAME as u64 + 1).read_to_end(&mut text);
        read.and_then(|length| {
            let fits = length <= MAX_FRAME;
            let large = || format!("it has more than {MAX_FRAME} bytes");
            if fits { Ok(()) } else { Err(io::Error::new(io::ErrorKind::FileTooLarge, large())) }
        })
        .map_err(|source| ProjectError::GivenUnreadable { source })?;
        let descriptor = serde_json::from_slice(&text)
            .map_err(|source| ProjectError::GivenDescriptor { source })?;
        Self::understood(descriptor, Origin::Caller, begun)
    }

    /// How to start a helper of this project, with the interpreter and the settings that described
    /// it; `None` where no Django did, or none that can be started again: without a `manage.py`.
    pub fn helper(&self) -> Option<HelperOptions> {
        match &self.origin {
            Origin::Django { helper, .. } => Some(helper.clone()),
            Origin::Caller => {
                let identity = &self.descriptor.project;
                let manage_py = identity.base_dir.join("manage.py");
                manage_py.to_str()?;
                Some(HelperOptions {
                    interpreter: identity.executable.clone()?,
                    settings_module: identity.settings_module.clone(),
                    timeout: ProjectOptions::TIMEOUT,
                    manage_py: Some(manage_py).filter(|script| script.is_file())?,
                })
            }
            _ => None,
        }
    }

    fn understood(
        mut descriptor: Descriptor,
        origin: Origin,
        begun: Instant,
    ) -> Result<Self, ProjectError> {
        scrub(&mut descriptor);
        let settings = BackupSettings::from_descriptor(&descriptor)?;
        Ok(Self { descriptor, settings, origin, started_in: begun.elapsed() })
    }
}

/// The descriptor that the project's Django gives.
fn described(
    options: &ProjectOptions,
    manage_py: PathBuf,
    asked: &Path,
) -> Result<(Descriptor, Origin), ProjectError> {
    if manage_py.to_str().is_none() {
        let path = manage_py.parent().unwrap_or(&manage_py).to_owned();
        return Err(ProjectError::NotUtf8 { path });
    }
    let (interpreter, mut helper, helper_options, begun) = started(options, &manage_py, asked)?;
    let answer = helper.request("describe", Map::new())?;
    let startup = begun.elapsed();
    let descriptor = serde_json::from_value(answer)
        .map_err(|source| ProjectError::Descriptor { manage_py: manage_py.clone(), source })?;
    let origin = Origin::Django { manage_py, interpreter, startup, helper: helper_options };
    Ok((descriptor, origin))
}

/// The first interpreter that has Django, running.
fn started(
    options: &ProjectOptions,
    manage_py: &Path,
    asked: &Path,
) -> Result<(Interpreter, Helper, HelperOptions, Instant), ProjectError> {
    let virtual_env = std::env::var_os("VIRTUAL_ENV");
    let search_path = std::env::var_os("PATH");
    let surroundings =
        Surroundings { virtual_env: virtual_env.as_deref(), search_path: search_path.as_deref() };
    let all = candidates(
        options.python.as_deref(),
        manage_py,
        asked,
        &options.working_dir,
        &surroundings,
    );
    let mut tried = Vec::new();
    for candidate in all {
        let mut reject = |interpreter: Interpreter, reason: String| {
            let Interpreter { program, origin } = interpreter;
            tried.push(Tried { interpreter: program, origin, reason });
        };
        let interpreter = match candidate {
            Ok(interpreter) => interpreter,
            Err(missing) => {
                reject(missing, "not found".to_owned());
                continue;
            }
        };
        let helper_options = HelperOptions {
            interpreter: interpreter.program.clone(),
            manage_py: manage_py.to_owned(),
            settings_module: options.settings_module.clone(),
            timeout: options.timeout,
        };
        let begun = Instant::now();
        match Helper::attempt(helper_options.clone())? {
            Start::Ready(helper) => return Ok((interpreter, *helper, helper_options, begun)),
            Start::Unusable(reason) => reject(interpreter, reason),
        }
    }
    match (options.python.is_some(), tried.pop()) {
        (true, Some(Tried { interpreter, reason, .. })) => {
            Err(ProjectError::Interpreter { interpreter, reason })
        }
        (_, last) => {
            tried.extend(last);
            Err(ProjectError::NoInterpreter { manage_py: manage_py.to_owned(), tried })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_without_end_is_not_read_without_end() {
        let error = Project::given(io::repeat(b' ')).unwrap_err();
        assert!(matches!(error, ProjectError::GivenUnreadable { .. }), "{error}");
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_given_descriptor_has_settings_and_no_start() {
        let text = r#"{"descriptor_version": 1, "project": {"name": "shop", "base_dir": "/srv/shop"},
            "django": "5.2", "settings": {"BACKUP_DIR": {"origin": "setting", "value": "kept"}}}"#;
        let project = Project::given(text.as_bytes()).unwrap();
        assert!(matches!(project.origin, Origin::Caller));
        assert_eq!(project.settings.dir, Path::new("/srv/shop/kept"));
        assert_eq!(project.settings.root, Path::new("/srv/shop/backups_data"));
    }
}
