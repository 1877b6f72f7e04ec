//! Which interpreter is taken, and what is said of those that cannot be used.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::environment::elsewhere;
use crate::site::{Site, python};
use dalsegno_project::{Project, ProjectError};

/// A program in the place of an interpreter.
fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn interpreters_that_cannot_be_used() {
    let site = Site::new("");
    let real = python().display().to_string();
    let cases = [
        (format!("exec {real} -S \"$@\""), "No module named 'django'"),
        ("echo 'exec format trouble' >&2; exit 3".to_owned(), "exec format trouble"),
        ("exit 3".to_owned(), "it ended: exit status 3"),
        (
            "cat >/dev/null & printf '\\0dalsegno-helper\\0\\0\\0\\0\\002{}'".to_owned(),
            "it did not answer as a helper does",
        ),
    ];
    for (text, reason) in cases {
        let mut options = site.options();
        options.python = Some(script(&site.path(), "fake/python", &text));
        let error = Project::load(&options).unwrap_err();
        assert!(matches!(error, ProjectError::Interpreter { .. }), "{error:?}");
        let start = format!("`{}/fake/python` cannot run the project: ", site.path().display());
        let shown = error.to_string();
        assert!(shown.starts_with(&start) && shown.ends_with(reason), "{shown}");
        assert!(error.hint().unwrap().contains("--python"));
    }
    let mut options = site.options();
    options.python = Some("/no/such/python".into());
    let error = Project::load(&options).unwrap_err();
    assert_eq!(error.to_string(), "`/no/such/python` cannot run the project: not found");

    let mut options = site.options();
    options.python = Some(script(&site.path(), "fake/python", "exec sleep 600"));
    options.timeout = Duration::from_millis(300);
    let error = Project::load(&options).unwrap_err().to_string();
    assert!(error.ends_with("cannot run the project: it did not start within 300ms"), "{error}");
}

#[test]
fn an_interpreter_that_prints_first() {
    let site = Site::new("");
    let text = format!("echo 'Welcome to the shop'; exec {} \"$@\"", python().display());
    let mut options = site.options();
    options.python = Some(script(&site.path(), "fake/python", &text));
    assert_eq!(Project::load(&options).unwrap().descriptor.project.name, "shopsite");
}

#[test]
fn the_first_interpreter_with_django_is_taken() {
    let site = Site::new("");
    let real = python().display().to_string();
    script(&site.path(), ".venv/bin/python", &format!("exec {real} -S \"$@\""));
    script(&site.path(), "bin/python", &format!("exec {real} \"$@\""));
    let bin = site.path().join("bin").display().to_string();
    let text = elsewhere(&site.path(), &[("PATH", &bin), ("VIRTUAL_ENV", "/no/venv")]);
    assert!(text.contains("INTERPRETER SITE/bin/python shebang of manage.py\n"), "{text}");

    script(&site.path(), "bin/python", "exit 9");
    let text = elsewhere(&site.path(), &[("PATH", &bin), ("VIRTUAL_ENV", "/no/venv")]);
    let version = text.split("(.venv): Python ").nth(1).unwrap().split(',').next().unwrap();
    let expected = format!(
        "ERROR no Python with Django was found for `SITE/manage.py`: tried \
        `/no/venv/bin/python` (VIRTUAL_ENV): not found; \
        `SITE/.venv/bin/python` (.venv): Python {version}, ModuleNotFoundError: No module named \
        'django'; `SITE/venv/bin/python` (venv): not found; \
        `SITE/bin/python` (shebang of manage.py): it ended: exit status 9; \
        `python3` (PATH): not found\nKIND Failed\n"
    );
    assert!(text.contains(&expected), "{text}\n{expected}");
}
