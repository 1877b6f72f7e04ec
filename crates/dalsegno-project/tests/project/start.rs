//! How projects start, and all the ways in which they do not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::site::{MANAGE, SHORT, Site, python};
use dalsegno_format::ErrorKind;
use dalsegno_project::{
    Helper, HelperOptions, Interpreter, Origin, Project, ProjectError, ProjectOptions,
};
use serde_json::Map;

#[test]
fn settings_that_print_and_play_with_streams() {
    let site = Site::new(
        r#"
import io, os, sys, threading, time
print("x" * 200_000)
os.write(1, b"\x00\x00\x00\x02{}")
sys.stdout = sys.stderr = sys.__stdout__ = io.StringIO()
null = os.open(os.devnull, os.O_RDWR)
for number in (0, 1, 2, *range(3, 50)):
    os.dup2(null, number)
if os.fork() == 0:
    time.sleep(8)
    os._exit(0)
threading.Thread(target=time.sleep, args=(600,)).start()
import atexit
atexit.register(time.sleep, 600)
"#,
    );
    let begun = Instant::now();
    assert_eq!(site.loaded().descriptor.project.name, "shopsite");
    assert!(begun.elapsed() < Duration::from_secs(8), "threads and forks do not hold up the end");
}

#[test]
fn manage_py_does_its_own_set_up() {
    let site = Site::new("BACKUP_CHUNK_SIZE = 5");
    site.write(".env", "BACKUP_RETENTION_DAYS=9\nDJANGO_SETTINGS_MODULE=settings.live\n");
    site.write("conf/settings/__init__.py", "");
    site.write("conf/settings/live.py", "from shopsite.settings import *\nBACKUP_CHUNK_SIZE = 7\n");
    site.write(
        "manage.py",
        r#"
import os, sys
from pathlib import Path

here = Path(__file__).resolve().parent
for line in (here / ".env").read_text().splitlines():
    name, _, value = line.partition("=")
    os.environ.setdefault(name, value)
sys.path.insert(0, str(here / "conf"))

if __name__ == "__main__":
    from django.core.management import ManagementUtility

    assert sys.argv[1:] == ["check"], sys.argv
    try:
        ManagementUtility(sys.argv).execute()
    finally:
        (here / "ran_on").touch()
"#,
    );
    let project = site.loaded();
    let module = project.descriptor.project.settings_module.as_deref();
    assert_eq!(module, Some("settings.live"));
    assert_eq!(project.settings.chunk_size, 7);
    assert_eq!(project.settings.retention_days, Some(9));
    assert!(!site.path().join("ran_on").exists(), "what follows the call of Django is not run");

    let mut options = site.options();
    options.settings_module = Some("shopsite.settings".to_owned());
    // The script asserts on its arguments, which now hold --settings as well.
    let error = Project::load(&options).unwrap_err();
    assert!(error.to_string().contains("'--settings=shopsite.settings'"), "{error}");
}

#[test]
fn another_settings_module() {
    let site = Site::new("BACKUP_CHUNK_SIZE = 5");
    site.write("shopsite/other.py", "from .settings import *\nBACKUP_CHUNK_SIZE = 6\n");
    let mut options = site.options();
    options.settings_module = Some("shopsite.other".to_owned());
    let project = Project::load(&options).unwrap();
    assert_eq!(project.settings.chunk_size, 6);
    assert_eq!(project.descriptor.project.settings_module.as_deref(), Some("shopsite.other"));
}

#[test]
fn a_project_in_a_sub_folder() {
    let site = Site::new("");
    let root = tempfile::tempdir().unwrap();
    let inner = root.path().join("src");
    fs::rename(site.path(), &inner).unwrap();
    std::os::unix::fs::symlink(
        python().parent().unwrap().parent().unwrap(),
        root.path().join(".venv"),
    )
    .unwrap();
    for project_dir in [None, Some(inner.clone()), Some(PathBuf::from("src/manage.py"))] {
        let options = ProjectOptions {
            project_dir,
            python: Some(".venv/bin/python".into()),
            ..ProjectOptions::new(root.path())
        };
        let project = Project::load(&options).unwrap();
        assert_eq!(project.descriptor.project.base_dir, inner.canonicalize().unwrap());
        let Origin::Django { manage_py, startup, .. } = &project.origin else {
            panic!("{:?}", project.origin)
        };
        assert_eq!(manage_py, &inner.join("manage.py"));
        assert!(*startup <= project.started_in);
    }
}

#[test]
fn settings_that_raise() {
    let cases = [
        (
            "import os\nTOKEN = os.environ['SHOP_TOKEN_NOT_SET']",
            "the project `SITE/manage.py` does not start: KeyError: 'SHOP_TOKEN_NOT_SET' \
             (`SITE/shopsite/settings.py`, line 14)",
            "If the settings read 'SHOP_TOKEN_NOT_SET' from the environment, set it as the site's \
             own service does.",
        ),
        (
            "import no_such_thing.at_all",
            "the project `SITE/manage.py` does not start: ModuleNotFoundError: No module named \
             'no_such_thing' (`SITE/shopsite/settings.py`, line 13)",
            "Install `no_such_thing` for the interpreter that was used, or name another with \
             `--python`; `dalsegno describe` must work where `python manage.py check` does.",
        ),
        (
            "raise SystemExit('set SHOP_ENV first')",
            "the project `SITE/manage.py` does not start: SystemExit: set SHOP_ENV first \
             (`SITE/shopsite/settings.py`, line 13)",
            "Make `python manage.py check` work in `SITE` first.",
        ),
        (
            "from django.core.exceptions import ImproperlyConfigured\n\
             raise ImproperlyConfigured('two\\n  lines')",
            "the project `SITE/manage.py` does not start: ImproperlyConfigured: two lines \
             (`SITE/shopsite/settings.py`, line 14)",
            "Make `python manage.py check` work in `SITE` first.",
        ),
    ];
    for (code, text, hint) in cases {
        let site = Site::new(&format!("print('before it raised'); {code}"));
        let error = site.failure();
        let folder = site.path().display().to_string();
        assert_eq!(error.to_string().replace(&folder, "SITE"), text);
        assert_eq!(error.hint().unwrap().replace(&folder, "SITE"), hint);
        assert_eq!(error.kind(), ErrorKind::Failed);
        let details = error.details().unwrap();
        assert!(details.starts_with("Traceback (most recent call last):"), "{details}");
        assert!(details.contains("settings.py\", line"), "{details}");
        assert!(details.ends_with("The site printed:\nbefore it raised"), "{details}");
        assert!(!details.contains("dalsegno") && !details.contains("runpy"), "{details}");
    }
}

#[test]
fn code_that_does_not_parse_and_scripts_that_leave() {
    let site = Site::new("");
    site.write("shop/models.py", "class Book(:\n    pass\n");
    let text = site.failure_text();
    assert!(text.contains("does not start: SyntaxError: "), "{text}");
    assert!(text.ends_with("(`SITE/shop/models.py`, line 1)"), "{text}");

    let site = Site::new("");
    site.write("manage.py", "import sys\nprint('not here')\nsys.exit(4)\n");
    let error = site.failure();
    let text = "does not start: it exited with status 4 (`SITE/manage.py`, line 3)";
    assert_eq!(site.failure_text(), format!("the project `SITE/manage.py` {text}"));
    assert!(error.details().unwrap().ends_with("The site printed:\nnot here"));

    let site = Site::new("");
    site.write("manage.py", "import os\nos._exit(3)\n");
    assert_eq!(
        site.failure_text(),
        "the helper of `SITE/manage.py` ended before it answered `describe`: exit status 3"
    );

    let site = Site::new("");
    site.write("manage.py", "");
    let text = site.failure_text();
    assert!(text.contains("ImproperlyConfigured: Requested setting INSTALLED_APPS"), "{text}");
}

#[test]
fn an_app_that_asks_the_missing_database_when_it_starts() {
    let site = Site::new("");
    site.write(
        "shop/apps.py",
        r#"
from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        self.get_model("Author").objects.count()
"#,
    );
    let before = site.files();
    let descriptor = site.loaded().descriptor;
    assert_eq!(site.files(), before, "no empty database is made");
    assert_eq!(
        descriptor.warnings,
        ["the site did not start completely, an AppConfig.ready() raised OperationalError: the \
          database file does not exist"]
    );
    assert!(descriptor.model("shop.Author").is_some());

    site.write(
        "shop/apps.py",
        "from django.apps import AppConfig\nclass ShopConfig(AppConfig):\n    \
        name = 'shop'\n    def ready(self):\n        1 / 0\n",
    );
    let text = site.failure_text();
    let expected =
        "does not start: ZeroDivisionError: division by zero (`SITE/shop/apps.py`, line 5)";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn settings_that_hang() {
    let site = Site::new("print('waiting', flush=True)\nimport time\ntime.sleep(600)");
    let mut options = site.options();
    options.timeout = SHORT;
    let begun = Instant::now();
    let error = Project::load(&options).unwrap_err();
    assert!(begun.elapsed() < SHORT * 4);
    let text = error.to_string().replace(&site.path().display().to_string(), "SITE");
    assert_eq!(text, "the project `SITE/manage.py` did not answer `describe` within 3 s");
    assert_eq!(error.details(), Some("The site printed:\nwaiting"));
    assert!(error.hint().unwrap().starts_with("See what holds up `python manage.py check`"));
}

fn helper(site: &Site) -> Helper {
    let options = HelperOptions {
        interpreter: python(),
        manage_py: site.path().join("manage.py"),
        settings_module: None,
        timeout: Duration::from_secs(30),
    };
    Helper::start(options).unwrap()
}

#[test]
fn a_conversation_goes_on_after_an_error() {
    let site = Site::new("");
    let mut helper = helper(&site);
    assert!(helper.hello().django.is_some());
    let error = helper.request("conjure", Map::new()).unwrap_err();
    let ProjectError::VerbFailed { reason, message, .. } = &error else { panic!("{error:?}") };
    assert_eq!(&**reason, "unknown_verb");
    assert_eq!(message, "this helper knows no verb `conjure`");
    for _ in 0..2 {
        let answer = helper.request("describe", Map::new()).unwrap();
        assert_eq!(answer["project"]["name"], "shopsite");
    }
}

#[test]
fn a_helper_that_fails_stays_failed() {
    let site = Site::new("1 / 0");
    let mut helper = helper(&site);
    for _ in 0..2 {
        let error = helper.request("describe", Map::new()).unwrap_err();
        assert!(matches!(error, ProjectError::Settings { .. }), "{error:?}");
    }
}

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

fn elsewhere(folder: &Path, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "start::load_in_this_environment", "--ignored", "--nocapture"])
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
