//! Where projects are described from variables, and from `dalsegno.toml`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::site::{MANAGE, Site, python};
use dalsegno_format::ErrorKind;
use dalsegno_project::{Interpreter, Origin, Project, ProjectOptions};

/// Loads the project of `DALSEGNO_TEST_FOLDER` as a process of its own would, and prints it.
#[test]
#[ignore = "the other half of tests that need an environment of their own"]
fn load_in_this_environment() {
    let folder = PathBuf::from(std::env::var_os("DALSEGNO_TEST_FOLDER").unwrap());
    match Project::load(&ProjectOptions::new(folder)) {
        Ok(Project { descriptor, origin, .. }) => {
            if let Origin::Django { interpreter: Interpreter { program, origin }, .. } = &origin {
                println!("INTERPRETER {} {origin}", program.display());
            }
            println!("ORIGIN {}", format!("{origin:?}").split([' ', '{']).next().unwrap());
            println!("DESCRIPTOR {}", descriptor.masked_json());
        }
        Err(error) => println!("ERROR {error}\nKIND {:?}\nHINT {:?}", error.kind(), error.hint()),
    }
}

pub(crate) fn elsewhere(folder: &Path, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "environment::load_in_this_environment", "--ignored", "--nocapture"])
        .env_clear()
        .env("DALSEGNO_TEST_FOLDER", folder)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.replace(&folder.display().to_string(), "SITE")
}

#[test]
fn the_settings_module_of_the_environment() {
    let site = Site::new("");
    site.write("shopsite/other.py", "from .settings import *\n");
    site.write(
        "manage.py",
        &MANAGE.replace("/usr/bin/env python", &python().display().to_string()),
    );
    let text = elsewhere(&site.path(), &[("DJANGO_SETTINGS_MODULE", "shopsite.other")]);
    assert!(text.contains("\"settings_module\":\"shopsite.other\""), "{text}");
    // In a bare environment too.
    let text = elsewhere(&site.path(), &[]);
    assert!(text.contains("\"settings_module\":\"shopsite.settings\""), "{text}");
}

#[test]
fn projects_without_python() {
    let folder = tempfile::tempdir().unwrap();
    let url = ("DATABASE_URL", "postgres://u:hunter2@h/shop");
    let text = elsewhere(folder.path(), &[]);
    assert!(
        text.contains(
            "ERROR no project in `SITE`: no manage.py, no dalsegno.toml and no DATABASE_URL\n\
            KIND Usage\nHINT Some(\"Run it in the folder of manage.py"
        ),
        "{text}"
    );
    let text = elsewhere(folder.path(), &[url, ("MEDIA_ROOT", "m"), ("BACKUP_DIR", "/b")]);
    assert!(text.contains("ORIGIN Environment") && text.contains("\"media_root\":\"SITE/m\""));
    assert!(
        text.contains("\"BACKUP_DIR\":{\"origin\":\"environment\",\"value\":\"/b\"}"),
        "{text}"
    );
    assert!(text.contains("\"password\":\"***\"") && !text.contains("hunter2"), "{text}");

    fs::write(folder.path().join("dalsegno.toml"), "[databases.default]\nurl = 'sqlite:///x.db'\n")
        .unwrap();
    let text = elsewhere(folder.path(), &[url]);
    assert!(text.contains("ORIGIN Config") && text.contains("\"name\":\"SITE/x.db\""), "{text}");
}

#[test]
fn a_configuration_wins_when_it_is_named() {
    let site = Site::new("1 / 0");
    site.write(
        "by-hand.toml",
        "[databases.default]\nurl = 'sqlite:///x.db'\n[settings]\nBACKUP_DIR = 'b'",
    );
    let mut options = site.options();
    options.config = Some("by-hand.toml".into());
    let project = Project::load(&options).unwrap();
    assert_eq!(project.settings.dir, site.path().join("b"));
    assert!(matches!(&project.origin, Origin::Config { path } if path.ends_with("by-hand.toml")));
    options.config = Some("missing.toml".into());
    let error = Project::load(&options).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the configuration `"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn a_bad_setting_is_named() {
    let site = Site::new("BACKUP_RETENTION_DAYS = 'often'");
    assert_eq!(
        site.failure_text(),
        "BACKUP_RETENTION_DAYS (Django setting) is `often`, but must be a whole number from 1"
    );
    assert_eq!(site.failure().kind(), ErrorKind::Usage);
}
