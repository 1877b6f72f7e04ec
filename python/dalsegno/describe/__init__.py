"""The project's side of the helper conversation: Django describes itself to the engine.

The engine starts the project's own interpreter in the folder of ``manage.py`` and hands it the
texts of these modules, as the package ``dalsegno_describe``; nothing of it is installed in the
site and it imports nothing but Django and the standard library (Python 3.8+, Django 4.0+).
``main`` is called with two file descriptors that belong to the conversation alone, since settings
modules print.

A frame, in both directions, is four bytes of length (big-endian) and one JSON object in UTF-8.

* First comes ``{"hello": "dalsegno-helper", "protocol": 1, "python": "3.11.7",
  "django": "5.2.1"}``; ``django`` is null, with a ``reason``, where it cannot be imported, and
  then nothing follows.
* A request is ``{"id": 1, "verb": "describe", ...}``; its answer is ``{"id": 1, "ok": {...}}`` or
  ``{"id": 1, "error": {"kind", "message", "exception", "traceback", "file", "line"}}``.
* End of requests ends the process, whatever threads the site has started.

``describe`` answers at once. Rows of a database that the engine cannot speak to itself are asked
for, and handed over, some at a time: ``dump``, ``load`` and their steps (``rows``).

The Django app ``backups`` imports this package instead and asks ``descriptor`` in the site's own
process; then there is no conversation, and nothing of the site is touched.

``describe`` needs no database. Whatever a database alone can tell is null when it does not
answer, with the reason beside it, and a missing SQLite file is never created.
"""

from __future__ import annotations

from .conversation import encoded
from .descriptor import descriptor
from .helper import main
from .settings import own_backups_app, settings_descriptor

__all__ = ["descriptor", "encoded", "main", "own_backups_app", "settings_descriptor"]
