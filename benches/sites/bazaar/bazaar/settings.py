"""Settings of a shop of any size.  Everything that a measurement moves comes from the environment:

DATABASE_PATH       the database; default db.sqlite3 beside manage.py
MEDIA_ROOT          the media; default media/ beside manage.py
EXTRA_APPS          apps to install beside the site's own, divided by spaces
DBBACKUP_DIR        where django-dbbackup writes, if it is one of them
DBBACKUP_CONNECTOR  the class that it reads the database with; default: its own choice
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
SECRET_KEY = "for-measurements-only"
DEBUG = False
ALLOWED_HOSTS = ["localhost"]
ROOT_URLCONF = "bazaar.urls"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "trade",
    *os.environ.get("EXTRA_APPS", "").split(),
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE_PATH", str(BASE_DIR / "db.sqlite3")),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
MEDIA_ROOT = os.environ.get("MEDIA_ROOT", str(BASE_DIR / "media"))
MEDIA_URL = "/media/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
if os.environ.get("DBBACKUP_DIR"):
    STORAGES["dbbackup"] = {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": os.environ["DBBACKUP_DIR"]},
    }
    DBBACKUP_TMP_DIR = os.environ["DBBACKUP_DIR"]
    if os.environ.get("DBBACKUP_CONNECTOR"):
        DBBACKUP_CONNECTORS = {"default": {"CONNECTOR": os.environ["DBBACKUP_CONNECTOR"]}}
