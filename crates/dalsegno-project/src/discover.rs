//! Which project is meant: its `manage.py`, its configuration, or the environment.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::ProjectError;

/// The file name of a hand-written description.
pub(crate) const CONFIG_NAME: &str = "dalsegno.toml";

/// What describes the project.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A Django project.
    Django {
        /// Its script, absolute.
        manage_py: PathBuf,
        /// Where it was looked for, if that is another folder: a virtual environment may lie
        /// there.
        asked: PathBuf,
    },
    /// A configuration file, absolute.
    Config(PathBuf),
    /// Nothing in the folder, absolute: the environment may still say it.
    Nothing(PathBuf),
}

/// Looks for the project: `config` wins, then a `manage.py` in `project` (else in the working
/// folder) or in the only sub-folder that has one, then a `dalsegno.toml` there.
pub(crate) fn discover(
    project: Option<&Path>,
    config: Option<&Path>,
    working_dir: &Path,
) -> Result<Found, ProjectError> {
    if let Some(config) = config {
        return Ok(Found::Config(working_dir.join(config)));
    }
    let folder = match project {
        Some(given) => project_folder(&working_dir.join(given))?,
        None => working_dir.to_owned(),
    };
    if folder.join("manage.py").is_file() {
        return Ok(Found::Django { manage_py: folder.join("manage.py"), asked: folder });
    }
    let mut below = projects_below(&folder)
        .map_err(|source| ProjectError::ProjectFolder { path: folder.clone(), source })?;
    match below.len() {
        0 => {}
        1 => {
            let manage_py = below.remove(0).join("manage.py");
            return Ok(Found::Django { manage_py, asked: folder });
        }
        _ => return Err(ProjectError::SeveralProjects { folder, found: below }),
    }
    if folder.join(CONFIG_NAME).is_file() {
        return Ok(Found::Config(folder.join(CONFIG_NAME)));
    }
    Ok(Found::Nothing(folder))
}

/// The error for a folder in which nothing was found.
pub(crate) fn no_project(folder: PathBuf) -> ProjectError {
    let above = folder
        .ancestors()
        .skip(1)
        .find(|ancestor| ancestor.join("manage.py").is_file())
        .map(Path::to_owned);
    ProjectError::NoProject { folder, above }
}

/// The folder meant by `--project`, which may also name `manage.py` itself.
fn project_folder(given: &Path) -> Result<PathBuf, ProjectError> {
    let failed = |source| ProjectError::ProjectFolder { path: given.to_owned(), source };
    let is_script = given.file_name().is_some_and(|name| name == "manage.py");
    if is_script && fs::metadata(given).map_err(failed)?.is_file() {
        return Ok(given.parent().unwrap_or(given).to_owned());
    }
    if !fs::metadata(given).map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::NotADirectory.into()));
    }
    Ok(given.to_owned())
}

/// Direct sub-folders that hold a `manage.py`, in order of names.
fn projects_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if !hidden && entry.path().join("manage.py").is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn what_wins() {
        let cases: [(&[&str], &str); 6] = [
            (&["manage.py", "dalsegno.toml", "sub/manage.py"], "manage.py"),
            (&["src/manage.py", "dalsegno.toml"], "src/manage.py"),
            (&["src/deep/manage.py", "dalsegno.toml"], "dalsegno.toml"),
            (&[".hidden/manage.py", "src/manage.py"], "src/manage.py"),
            (&["manage.py/none", "dalsegno.toml"], "dalsegno.toml"),
            (&["readme"], ""),
        ];
        for (files, expected) in cases {
            let folder = folder_with(files);
            let path = match discover(None, None, folder.path()).unwrap() {
                Found::Django { manage_py, asked } => {
                    assert_eq!(asked, folder.path());
                    manage_py
                }
                Found::Config(path) => path,
                Found::Nothing(path) => path.join(""),
            };
            assert_eq!(path, folder.path().join(expected), "{files:?}");
        }
    }

    #[test]
    fn what_is_given() {
        let folder = folder_with(&["a/manage.py", "b/manage.py", "c/other.toml"]);
        let at = |path: &str| folder.path().join(path);
        for given in ["a", "a/manage.py"] {
            let found = discover(Some(Path::new(given)), None, folder.path()).unwrap();
            assert_eq!(found, Found::Django { manage_py: at("a/manage.py"), asked: at("a") });
        }
        let config = discover(Some(&at("a")), Some(Path::new("c/other.toml")), folder.path());
        assert_eq!(config.unwrap(), Found::Config(at("c/other.toml")));
        let several = discover(None, None, folder.path()).unwrap_err();
        assert!(several.to_string().contains("holds several projects"), "{several}");
        assert_eq!(
            several.hint().unwrap(),
            format!("Choose one, as in `--project {}`.", at("a").display())
        );
        let missing = discover(Some(Path::new("nowhere")), None, folder.path()).unwrap_err();
        assert!(missing.to_string().ends_with("nowhere` cannot be used"), "{missing}");
        let file = discover(Some(Path::new("c/other.toml")), None, folder.path()).unwrap_err();
        assert!(matches!(file, ProjectError::ProjectFolder { .. }), "{file}");
        let hint = no_project(at("a")).hint().unwrap();
        assert!(hint.starts_with("Run it in the folder of manage.py"), "{hint}");
        let hint = no_project(at("a/deeper")).hint().unwrap();
        assert!(hint.contains(&at("a").display().to_string()), "{hint}");
    }
}
