"""What can come of a verb, as exceptions: the Python column of the engine's one outcome table.

Every exception is a :class:`BackupError`, which is also what a failure without a kind of its own
raises. The classes and their exit codes are those of ``engine/outcome.rs``.
"""

from __future__ import annotations

from typing import Any, Sequence


class BackupError(Exception):
    """A verb failed. ``str()`` is all of it: the message, its causes, the hint."""

    #: What the command line ends with.
    exit_code = 1
    #: The name in JSON reports.
    kind = "failed"

    def __init__(
        self, message: str, *, hint: str | None = None, causes: Sequence[str] = (), report: Any = None
    ) -> None:
        super().__init__(message)
        #: What was attempted on which object, in one line.
        self.message = message
        #: The next thing to do, a full sentence.
        self.hint = hint
        #: What led to it, the nearest cause first.
        self.causes = tuple(causes)
        #: What was done all the same; only :class:`PartialError` has one.
        self.report = report

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  because: {cause}" for cause in self.causes]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(BackupError):
    """The request itself is wrong: an option, a setting, a project that cannot be found."""

    exit_code = 2
    kind = "usage"


class PartialError(BackupError):
    """It finished, but not all of it; ``report`` tells what."""

    exit_code = 3
    kind = "partial"


class NotFoundError(BackupError):
    """No such backup or restore."""

    exit_code = 10
    kind = "not_found"


class LockedError(BackupError):
    """Somebody else holds what is needed."""

    exit_code = 11
    kind = "locked"


class WrongKeyError(BackupError):
    """Wrong key or passphrase."""

    exit_code = 12
    kind = "wrong_key"


class RefusedError(BackupError):
    """Refused, since it would endanger data, or nobody said yes."""

    exit_code = 13
    kind = "refused"


class DamagedError(BackupError):
    """The backup is damaged."""

    exit_code = 20
    kind = "damaged"


class CancelledError(BackupError):
    """Cancelled by a signal; nothing is left half done."""

    exit_code = 130
    kind = "cancelled"


class BinaryNotFoundError(BackupError):
    """The ``dalsegno`` program is not where the wheel puts it, nor on ``PATH``."""


#: The exception of each exit code.
EXIT_CODES: dict[int, type[BackupError]] = {
    error.exit_code: error
    for error in (
        BackupError,
        UsageError,
        PartialError,
        NotFoundError,
        LockedError,
        WrongKeyError,
        RefusedError,
        DamagedError,
        CancelledError,
    )
}
