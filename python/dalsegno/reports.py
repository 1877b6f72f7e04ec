"""What a verb tells: events while it works, and a report at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Union

Json = Dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """A new stage begins; ``total`` is the bytes it will handle, where they are known."""

    name: str
    total: int | None
    #: Both, for people.
    text: str


@dataclass(frozen=True)
class Progress:
    """So many bytes of the stage are done. Told at most twice a second."""

    done: int
    total: int | None


@dataclass(frozen=True)
class Warning:
    """Something to read while the work goes on."""

    text: str


Event = Union[Stage, Progress, Warning]


def event(line: Json) -> Event | None:
    """The event of a line; None for lines of another kind."""
    kind = line.get("event")
    if kind == "stage":
        name = str(line["stage"])
        return Stage(name, line.get("total"), str(line.get("text", name)))
    if kind == "progress":
        return Progress(line["done"], line.get("total"))
    if kind == "warning":
        return Warning(line["text"])
    return None


@dataclass(frozen=True)
class BackupReport:
    """A backup that was made."""

    id: str
    name: str
    path: str
    form: str
    outcome: str
    stored_bytes: int
    engine_seconds: float
    #: As the format document describes it: ``metadata`` and ``completion``.
    manifest: Json = field(repr=False)
    #: What earlier restores, killed in their midst, were brought to an end before it.
    recovered: tuple[str, ...] = ()
    #: The report for people, as the command line prints it.
    text: str = field(repr=False, default="")

    @property
    def complete(self) -> bool:
        return self.outcome == "complete"

    @property
    def problems(self) -> list[str]:
        """What could not be captured, each with its reason."""
        listed = self.manifest.get("completion", {}).get("problems", [])
        return [f"{problem['subject']}: {problem['reason']}" for problem in listed]

    @classmethod
    def read(cls, line: Json) -> BackupReport:
        return cls(
            id=line["id"],
            name=line["name"],
            path=line["path"],
            form=line["form"],
            outcome=line["outcome"],
            stored_bytes=line["stored_bytes"],
            engine_seconds=line["engine_seconds"],
            manifest=line["manifest"],
            recovered=tuple(line.get("recovered", ())),
            text=line.get("text", ""),
        )


@dataclass(frozen=True)
class RestoreReport:
    """A restore that was made, or of a dry run what one would do."""

    #: What would change or was changed: databases, storages, fixtures, notes.
    plan: Json = field(repr=False)
    dry_run: bool
    #: Id of the restore, for ``dalsegno rollback`` and ``dalsegno discard``.
    id: str
    #: Id of the backup.
    backup: str
    #: ``switched`` after a restore; None after a dry run.
    state: str | None
    complete: bool
    #: The archive of what was there before.
    pre_backup: str | None
    warnings: tuple[str, ...]
    failures: tuple[str, ...]
    engine_seconds: float
    #: The report for people, as the command line prints it.
    text: str = field(repr=False, default="")

    @classmethod
    def read(cls, line: Json) -> RestoreReport:
        plan = line["plan"]
        return cls(
            plan=plan,
            dry_run=bool(line.get("dry_run", False)),
            id=plan["restore"],
            backup=plan["backup"],
            state=line.get("state"),
            complete=bool(line.get("complete", True)),
            pre_backup=line.get("pre_backup"),
            warnings=tuple(line.get("warnings", ())),
            failures=tuple(line.get("failures", ())),
            engine_seconds=line.get("engine_seconds", 0.0),
            text=line.get("text", ""),
        )
