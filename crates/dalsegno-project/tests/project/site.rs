//! Small Django sites, written where a test wants them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use dalsegno_project::{Project, ProjectError, ProjectOptions};

/// An interpreter with Django: `DALSEGNO_TEST_PYTHON`, else the workspace's `.venv`.
pub(crate) fn python() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("DALSEGNO_TEST_PYTHON")
        .map_or_else(|| workspace.join(".venv/bin/python"), PathBuf::from);
    assert!(
        python.is_file(),
        "no Python with Django at {}: run `python3 -m venv .venv && .venv/bin/pip install django` \
        in the workspace, or set DALSEGNO_TEST_PYTHON",
        python.display()
    );
    python
}

/// Settings that every site begins with.
pub(crate) const SETTINGS: &str = r#"
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "test"
USE_TZ = True
TIME_ZONE = "Europe/Paris"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "shop"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
MEDIA_ROOT = BASE_DIR / "media"
MEDIA_URL = "/media/"
"#;

pub(crate) const MANAGE: &str = r#"#!/usr/bin/env python
import os
import sys


def main():
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shopsite.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
"#;

const MODELS: &str = r#"
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Author(models.Model):
    name = models.CharField(max_length=80, unique=True)
    mentor = models.ForeignKey("self", models.SET_NULL, null=True)


class Item(models.Model):
    author = models.ForeignKey(Author, models.CASCADE, db_column="writer")
    tags = models.ManyToManyField("Tag")
    price = models.DecimalField(max_digits=8, decimal_places=2)


class Book(Item):
    cover = models.FileField(upload_to="covers", null=True)


class Tag(models.Model):
    key = models.UUIDField(primary_key=True)
    content_type = models.ForeignKey(ContentType, models.PROTECT)
    object_id = models.PositiveIntegerField()
    thing = GenericForeignKey()


class Shelf(Author):
    class Meta:
        proxy = True
"#;

pub(crate) struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// A site with an app `shop`, its database missing; `more` goes to the end of its settings.
    pub(crate) fn new(more: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a folder for the site") };
        site.write("manage.py", MANAGE);
        site.write("shopsite/__init__.py", "");
        site.write("shopsite/settings.py", &format!("{SETTINGS}\n{more}\n"));
        site.write("shop/__init__.py", "");
        site.write("shop/models.py", MODELS);
        site
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("the site's folder")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a name below the site")).expect("a folder");
        fs::write(path, text).expect("a file of the site");
    }

    pub(crate) fn append_settings(&self, text: &str) {
        let path = self.folder.path().join("shopsite/settings.py");
        let settings = fs::read_to_string(&path).expect("the site's settings");
        fs::write(path, format!("{settings}\n{text}\n")).expect("a file of the site");
    }

    pub(crate) fn manage(&self, arguments: &[&str]) {
        let output = Command::new(python())
            .args(["-B", "manage.py"])
            .args(arguments)
            .current_dir(self.path())
            .output()
            .expect("manage.py to run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub(crate) fn options(&self) -> ProjectOptions {
        ProjectOptions { python: Some(python()), ..ProjectOptions::new(self.path()) }
    }

    pub(crate) fn load(&self) -> Result<Project, ProjectError> {
        Project::load(&self.options())
    }

    pub(crate) fn loaded(&self) -> Project {
        match self.load() {
            Ok(project) => project,
            Err(error) => panic!("{error}\n{}", error.details().unwrap_or_default()),
        }
    }

    pub(crate) fn failure(&self) -> ProjectError {
        self.load().expect_err("a site that does not load")
    }

    /// The text of the failure, with the site's folder as `SITE`.
    pub(crate) fn failure_text(&self) -> String {
        self.failure().to_string().replace(&self.path().display().to_string(), "SITE")
    }

    /// Every file of the site.
    pub(crate) fn files(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut open = vec![self.path()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).expect("a folder of the site") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    open.push(path.clone());
                }
                found.insert(path);
            }
        }
        found
    }
}

/// A limit short enough for a test of patience, long enough for Django to start.
pub(crate) const SHORT: Duration = Duration::from_secs(3);
