"""The descriptor: what the project is, secrets included."""

from __future__ import annotations

import os
import sys

from .databases import close_connections, probe_databases
from .migrations import described_migrations
from .models import app_models
from .settings import fixture_dirs, own_backups_app, settings_descriptor
from .start import start_warnings
from .storages import described_storages
from .values import Json


def describe(request: Json) -> Json:
    try:
        return descriptor(os.getcwd())
    finally:
        # A restore asks who has the database open: not us.
        close_connections()


def descriptor(base_dir: str) -> Json:
    """What the project is, secrets included; ``base_dir`` is the folder of its ``manage.py``.

    Opens no connection in this thread: each database is asked in a thread of its own.
    """
    import django
    from django.apps import apps
    from django.conf import settings

    warnings = list(start_warnings)
    probes = probe_databases()
    warnings += [warning for probe in probes.values() for warning in probe.warnings]
    databases = {alias: probe.description for alias, probe in probes.items()}
    migrations = described_migrations(databases, warnings)
    storages, files = described_storages(warnings)
    return {
        **settings_descriptor(base_dir),
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "django": django.get_version(),
        "time_zone": settings.TIME_ZONE,
        "use_tz": bool(settings.USE_TZ),
        "databases": databases,
        "migrations": migrations,
        "storages": storages,
        "media_root": os.path.abspath(settings.MEDIA_ROOT) if settings.MEDIA_ROOT else None,
        "media_url": str(settings.MEDIA_URL),
        "apps": [app_models(app, probes, files, warnings) for app in apps.get_app_configs()],
        "fixture_dirs": fixture_dirs(settings, apps),
        "auth_user_model": settings.AUTH_USER_MODEL,
        "installed_apps": [str(app) for app in settings.INSTALLED_APPS],
        "own_backups_app": own_backups_app(apps),
        "warnings": warnings,
    }
