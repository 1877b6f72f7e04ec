"""The verbs of the program as functions, with typed results and one exception for each outcome."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Callable, Dict

from dalsegno import child, options
from dalsegno.binary import find_binary
from dalsegno.errors import EXIT_CODES, BackupError, CancelledError, PartialError, UsageError
from dalsegno.printable import one_line
from dalsegno.reports import BackupReport, Event, RestoreReport, event
from dalsegno.secret import Secret

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from dalsegno.options import BackupOptions, Path, RestoreOptions

Json = Dict[str, Any]
Listener = Callable[[Event], None]


class Client:
    """Runs the program for one project.

    The project is found from the working folder, or named: ``project`` is the folder of its
    ``manage.py``, ``config`` a ``dalsegno.toml``, ``python`` the interpreter to describe it with.
    A process that is the project itself gives its ``descriptor`` instead: JSON, in a ``Secret``.

    A call blocks until the program has ended, and leaves no process behind. SIGINT, SIGTERM and
    SIGHUP are passed on to the program, which undoes what it began; the call then raises
    :class:`CancelledError`. Undoing may take long, and is waited for without limit. A signal that
    comes too late changes nothing: the report is returned.
    """

    def __init__(
        self,
        *,
        project: Path | None = None,
        config: Path | None = None,
        python: Path | None = None,
        descriptor: Secret | None = None,
        binary: Path | None = None,
    ) -> None:
        self._binary = os.fspath(binary) if binary is not None else find_binary()
        self._descriptor = descriptor
        self._where = [
            f"--{name}={os.fspath(value)}"
            for name, value in (("project", project), ("config", config), ("python", python))
            if value is not None
        ]

    def backup(self, *, listener: Listener | None = None, **keywords: Unpack[BackupOptions]) -> BackupReport:
        """Backs the project up. A partial backup raises :class:`PartialError` with its report."""
        words = options.arguments("backup", options.BACKUP, keywords)
        return BackupReport.read(self.run("backup", *words, hear=_told(listener)))

    def restore(
        self,
        source: Path,
        *,
        confirm: child.Ask | None = None,
        listener: Listener | None = None,
        **keywords: Unpack[RestoreOptions],
    ) -> RestoreReport:
        """Restores an id, a unique prefix of one, a name, ``latest``, or a path.

        Without ``force`` it asks ``confirm``, which gets the plan as a text, and goes on when that
        returns True; without both it raises :class:`RefusedError`.
        """
        words = options.arguments("restore", options.RESTORE, keywords)
        words += ["--", os.fspath(source)]
        return RestoreReport.read(self.run("restore", *words, hear=_told(listener), ask=confirm))

    def run(
        self,
        verb: str,
        *words: str,
        hear: child.Hear | None = None,
        ask: child.Ask | None = None,
        terminal: bool = False,
        seconds: float | None = None,
    ) -> Json:
        """Any verb with its words, as on the command line; returns its report.

        ``hear`` is given every line but questions, as JSON, the report among them. With
        ``terminal`` the program draws its progress on this process's standard error. ``seconds``
        is for verbs that change nothing: the program is killed when it takes longer.
        """
        command = [self._binary, *self._where, "--format=client", verb, *words]
        ended = child.run(
            command,
            descriptor=self._descriptor,
            hear=hear or (lambda line: None),
            ask=ask or (lambda question: None),
            terminal=terminal,
            seconds=seconds,
        )
        if ended.late:
            raise BackupError(f"the program `{self._binary}` did not answer within {seconds:g} seconds")
        return _report(verb, ended)


def _told(listener: Listener | None) -> child.Hear:
    def hear(line: Json) -> None:
        heard = event(line)
        if listener is not None and heard is not None:
            listener(heard)

    return hear


def _report(verb: str, ended: child.Ended) -> Json:
    line = ended.last or {}
    code = ended.exit_code
    if code < 0:
        raise _killed(verb, -code, ended.stderr)
    if line.get("event") == "error":
        raise EXIT_CODES.get(code, BackupError)(line["message"], hint=line.get("hint"), causes=line.get("causes", ()))
    if line.get("event") == "report":
        if code == PartialError.exit_code:
            raise _partial(verb, line)
        # Some verbs answer and fail: `verify` of a damaged backup, `doctor` of a sick site.
        if code in (0, *EXIT_CODES):
            return line
    if code == UsageError.exit_code:
        raise UsageError(_first_line(ended.stderr) or f"`{verb}` was called in a wrong way")
    if code == CancelledError.exit_code:
        raise CancelledError("cancelled")
    said = ended.stderr.strip()
    raise BackupError(
        f"`{verb}` ended with exit code {code} and without a report", causes=said.splitlines()[-5:] if said else ()
    )


def _partial(verb: str, line: Json) -> PartialError:
    if verb == "backup":
        backup = BackupReport.read(line)
        return PartialError(
            f"backup {backup.name} is partial: `{backup.path}`",
            hint="Mend what is named and back up again; `latest` passes over a partial backup.",
            causes=[one_line(problem) for problem in backup.problems],
            report=backup,
        )
    if verb == "restore":
        restore = RestoreReport.read(line)
        return PartialError(
            "the restore finished, but not all of it: what failed is as it was",
            hint=f"Mend what is named and restore again, or undo it with `dalsegno rollback {restore.id}`.",
            causes=[one_line(failure) for failure in restore.failures],
            report=restore,
        )
    return PartialError(f"`{verb}` finished, but not all of it", report=line)


def _killed(verb: str, number: int, said: str) -> BackupError:
    names: list[str] = [each.name for each in signal.Signals if each == number]
    name = names[0] if names else f"signal {number}"
    return BackupError(
        f"the program was ended by {name} during `{verb}`",
        hint="See whether the system ran out of memory; the next restore, rollback or discard finishes or undoes what "
        "was begun.",
        causes=said.strip().splitlines()[-5:],
    )


def _first_line(said: str) -> str:
    """What the program says of a wrong call, without its advice to read the help."""
    lines = [line.strip() for line in said.splitlines()]
    told = " ".join(line for line in lines[: lines.index("") if "" in lines else None] if line)
    return told[len("error: ") :] if told.startswith("error: ") else told
