"""Setting Django up as ``manage.py`` would, up to its call of a command."""

from __future__ import annotations

import os
import sys
from typing import Any, Callable

from .ending import to_the_end
from .errors import HelperError, sentence
from .sqlite_names import sqlite_file
from .values import Json


def put_project_on_path() -> None:
    # What the interpreter does for `python manage.py`: the real folder of the script comes first,
    # unless it was told not to (-P, PYTHONSAFEPATH).
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.dirname(os.path.realpath("manage.py")))


def enter_project(settings_module: str | None, converse: Callable[[HelperError | None], None]) -> None:
    """Run manage.py up to its call of Django, and ``converse`` from inside that call.

    So everything manage.py does first (.env loaders, paths, patches) is done, in its own frame.
    """
    import runpy

    from django.core import management as django_management

    management: Any = django_management
    sys.argv = ["manage.py", "check"]
    if settings_module:
        sys.argv.append("--settings=" + settings_module)

    called_from_line = management.execute_from_command_line
    execute = management.ManagementUtility.execute

    def in_project(failure: HelperError | None = None) -> None:
        management.execute_from_command_line = called_from_line
        management.ManagementUtility.execute = execute
        sys.argv[0] = "manage.py"
        converse(failure or _set_up(settings_module))

    def from_line(argv: list[str] | None = None) -> None:
        to_the_end(in_project)

    def from_utility(self: Any) -> None:
        to_the_end(in_project)

    management.execute_from_command_line = from_line
    management.ManagementUtility.execute = from_utility
    failure = None
    try:
        runpy.run_path(os.path.abspath("manage.py"), run_name="__main__")
    except BrokenPipeError:
        raise
    except BaseException as error:
        failure = HelperError("manage_py", sentence(error), error)
    in_project(failure)


# What had to be left aside for the site to start; part of the descriptor.
start_warnings: list[str] = []


def _set_up(settings_module: str | None) -> HelperError | None:
    """``django.setup()`` as a management command does it; the failure, if there is one."""
    try:
        if settings_module:
            os.environ["DJANGO_SETTINGS_MODULE"] = settings_module

        import django
        from django.apps import apps
        from django.conf import settings
        from django.db import Error as DatabaseError

        settings.INSTALLED_APPS  # noqa: B018  (loads the settings)
        _never_create_sqlite_files()
        try:
            django.setup()
        except (DatabaseError, OSError) as error:
            # An AppConfig.ready() that asks a dead database. The models are known by then, and a
            # site in ruins must still be described.
            if not apps.models_ready:
                raise
            start_warnings.append(f"the site did not start completely, an AppConfig.ready() raised {sentence(error)}")
    except BaseException as error:
        return HelperError("settings", sentence(error), error)
    return None


def _never_create_sqlite_files() -> None:
    """Make connections to a missing SQLite file fail, where SQLite would create an empty one."""
    try:
        from django.db.backends.sqlite3 import base as sqlite_backend
    except Exception:
        return
    base: Any = sqlite_backend
    connect = base.DatabaseWrapper.get_new_connection

    def get_new_connection(self: Any, conn_params: Json) -> Any:
        path = sqlite_file(str(conn_params.get("database")))
        if path is not None and not os.path.exists(path):
            raise base.Database.OperationalError("the database file does not exist")
        return connect(self, conn_params)

    base.DatabaseWrapper.get_new_connection = get_new_connection
