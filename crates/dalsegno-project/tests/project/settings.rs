//! Settings and `manage.py` that print, raise, hang, lie elsewhere.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::site::{SHORT, Site, python};
use dalsegno_format::ErrorKind;
use dalsegno_project::{Origin, Project, ProjectOptions};

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
