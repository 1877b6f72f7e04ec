"""Settings of the bookshop.  Everything that differs from one machine to the next comes from the environment:

DATABASE_URL      sqlite:////abs/path.db, postgres://user:pw@host:port/name, mysql://user:pw@host:port/name;
                  a socket goes in ?socket=/path.  Default: db.sqlite3 beside manage.py
MEDIA_ROOT        uploads, default media/ beside manage.py
INVOICES_ROOT     invoices, never served, default private/ beside manage.py
DJANGO_DEBUG      1 (default) or 0
DJANGO_SECRET_KEY, DJANGO_ALLOWED_HOSTS (comma separated)
"""

import os
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

BASE_DIR = Path(__file__).resolve().parent.parent


def database(url):
    """The DATABASES entry that a database URL stands for."""
    parts = urlsplit(url)
    engines = {
        "sqlite": "sqlite3",
        "postgres": "postgresql",
        "postgresql": "postgresql",
        "mysql": "mysql",
        "mariadb": "mysql",
    }
    if parts.scheme not in engines:
        raise ValueError(f"DATABASE_URL: unknown scheme `{parts.scheme}`, one of {', '.join(engines)} expected")
    engine = engines[parts.scheme]
    entry = {"ENGINE": f"django.db.backends.{engine}"}
    if engine == "sqlite3":
        # The fourth slash of sqlite:////abs/path.db belongs to the path.
        return entry | {"NAME": unquote(parts.path.replace("//", "/", 1))}
    entry |= {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parse_qs(parts.query).get("socket", [parts.hostname or ""])[0],
        "PORT": str(parts.port or ""),
    }
    if engine == "mysql":
        entry["OPTIONS"] = {"charset": "utf8mb4"}
        if uses_pymysql():
            # It would send a text in Latin-1.
            entry["PASSWORD"] = entry["PASSWORD"].encode()
    return entry


def uses_pymysql():
    """Whether PyMySQL stands in for mysqlclient, which has to be compiled."""
    try:
        import MySQLdb
    except ImportError:
        import pymysql

        pymysql.install_as_MySQLdb()
        return True
    return MySQLdb.__name__ == "pymysql"


DEBUG = os.environ.get("DJANGO_DEBUG", "1") == "1"
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "bookshop-on-your-own-machine-only")
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1").split(",")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "accounts",
    "books",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "bookshop.urls"
WSGI_APPLICATION = "bookshop.wsgi.application"

DATABASES = {"default": database(os.environ.get("DATABASE_URL", f"sqlite:///{BASE_DIR}/db.sqlite3"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "accounts.User"

LANGUAGE_CODE = "en"
TIME_ZONE = "Europe/Berlin"
USE_TZ = True

MEDIA_ROOT = os.environ.get("MEDIA_ROOT", str(BASE_DIR / "media"))
MEDIA_URL = "/media/"
STATIC_ROOT = str(BASE_DIR / "static_collected")
STATIC_URL = "/static/"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    "invoices": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {
            "location": os.environ.get("INVOICES_ROOT", str(BASE_DIR / "private")),
            # Nothing links to an invoice: the shop hands it out itself.
            "base_url": None,
        },
    },
}
FIXTURE_DIRS = [BASE_DIR / "fixtures"]
