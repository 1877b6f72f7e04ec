"""Backup and restore for Django projects, from Python.

    from dalsegno import Client

    report = Client(project="/srv/bookshop").backup(name="before-upgrade")
    print(report.path)

The engine is a program of its own, which this package finds and runs; it never works inside this
process, where a second copy of SQLite would drop the first one's locks. Nothing here needs Django.
"""

from __future__ import annotations

from dalsegno.binary import find_binary
from dalsegno.client import Client
from dalsegno.errors import (
    BackupError,
    BinaryNotFoundError,
    CancelledError,
    DamagedError,
    LockedError,
    NotFoundError,
    PartialError,
    RefusedError,
    UsageError,
    WrongKeyError,
)
from dalsegno.reports import BackupReport, Event, Progress, RestoreReport, Stage, Warning

__all__ = [
    "BackupError",
    "BackupReport",
    "BinaryNotFoundError",
    "CancelledError",
    "Client",
    "DamagedError",
    "Event",
    "LockedError",
    "NotFoundError",
    "PartialError",
    "Progress",
    "RefusedError",
    "RestoreReport",
    "Stage",
    "UsageError",
    "Warning",
    "WrongKeyError",
    "__version__",
    "find_binary",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("dalsegno")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
