"""The project that this process is, described for the engine."""

from __future__ import annotations

import os
import sys

from dalsegno import describe
from dalsegno.secret import Secret


def descriptor() -> Secret:
    """The descriptor of the project as this process has it set up: its settings, whatever changed
    them, and its databases. Holds passwords: for a pipe, not for a file, and not for
    an error's frames."""
    return Secret(describe.encoded(describe.descriptor(folder())))


def settings_descriptor() -> Secret:
    """A descriptor that the settings suffice for: no database is asked."""
    return Secret(describe.encoded(describe.settings_descriptor(folder())))


def folder() -> str:
    """The folder of ``manage.py``, with links resolved, as the engine's own start would have it.

    It is told by the script that was started, else found above the settings module; a site without
    one lies where its settings package does.
    """
    script = sys.argv[0] if sys.argv else ""
    if os.path.basename(script) == "manage.py" and os.path.isfile(script):
        return os.path.dirname(os.path.realpath(script))
    settings_file = _settings_file()
    if settings_file is None:
        return os.path.realpath(os.getcwd())
    above = os.path.dirname(settings_file)
    while True:
        if os.path.isfile(os.path.join(above, "manage.py")):
            return above
        if above == os.path.dirname(above):
            break
        above = os.path.dirname(above)
    return _package_root(settings_file)


def _settings_file() -> str | None:
    from django.conf import settings

    module = sys.modules.get(settings.SETTINGS_MODULE or "")
    path = getattr(module, "__file__", None)
    return os.path.realpath(path) if path else None


def _package_root(settings_file: str) -> str:
    """The folder that the package of the settings is imported from."""
    from django.conf import settings

    folder = os.path.dirname(settings_file)
    parts = str(settings.SETTINGS_MODULE).split(".")
    if os.path.basename(settings_file) == "__init__.py":
        parts.append("__init__")
    for _ in parts[1:]:
        folder = os.path.dirname(folder)
    return folder
