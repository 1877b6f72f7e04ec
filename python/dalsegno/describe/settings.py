"""What the settings alone tell: name, place, ``BACKUP_*``, folders of fixtures."""

from __future__ import annotations

import os
import sys
from typing import Any

from .values import Json, absolute_path, plain


def settings_descriptor(base_dir: str) -> Json:
    """A descriptor of name, place and ``BACKUP_*`` settings alone: no database is asked."""
    from django.conf import settings

    return {
        "descriptor_version": 1,
        "project": {
            "name": _project_name(settings.SETTINGS_MODULE, base_dir),
            "base_dir": base_dir,
            "settings_module": settings.SETTINGS_MODULE,
            "executable": sys.executable or None,
        },
        "settings": _backup_settings(settings),
    }


def _project_name(settings_module: str | None, base_dir: str) -> str:
    package = str(settings_module or "").split(".")[0]
    says_nothing = ("", "app", "backend", "conf", "config", "core", "project", "settings", "src")
    if package in says_nothing:
        return os.path.basename(base_dir) or "project"
    return package


def own_backups_app(apps: Any) -> str | None:
    """The folder of an app labelled ``backups`` that is not ours."""
    for app in apps.get_app_configs():
        if app.label == "backups" and not getattr(app, "is_dalsegno", False):
            return str(app.path)
    return None


def fixture_dirs(settings: Any, apps: Any) -> list[Json]:
    folders = [{"app": app.label, "path": os.path.join(app.path, "fixtures")} for app in apps.get_app_configs()]
    folders += [{"app": None, "path": absolute_path(folder)} for folder in settings.FIXTURE_DIRS]
    return [folder for folder in folders if os.path.isdir(folder["path"])]


def _backup_settings(settings: Any) -> Json:
    found: Json = {}
    for name in dir(settings):
        if name.startswith("BACKUP_") and name.isupper():
            found[name] = {"origin": "setting", "value": plain(getattr(settings, name))}
    for name, value in os.environ.items():
        if name.startswith("BACKUP_") and name not in found:
            found[name] = {"origin": "environment", "value": value}
    return found
