"""One shell line, and what it cost."""

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LAUNCH = Path(__file__).with_name("launch.py")


class CommandFailed(Exception):
    """A line that was to succeed did not."""


@dataclass(frozen=True)
class Cost:
    """What one run cost.  `startup` and `engine` are Dalsegno's own account of its time, None for others.

    Seconds; bytes.  `memory` is the largest resident size of any one process of the line, as the kernel counts it.
    """

    wall: float
    cpu: float
    memory: int
    startup: float | None = None
    engine: float | None = None

    def as_json(self) -> dict[str, float | int | None]:
        return asdict(self)


def measure(line: str, environment: dict[str, str], log: Path) -> Cost:
    """Run `line` in a shell, with what it says going to the end of `log`; raise CommandFailed if it fails.

    What the disks still have to write of earlier work is waited for before the clock starts.
    """
    os.sync()
    with log.open("ab") as output:
        output.write(f"$ {line}\n".encode())
        output.flush()
        start = output.tell()
        answer, descriptor = os.pipe()
        try:
            subprocess.run(
                [sys.executable, "-I", "-S", LAUNCH, str(descriptor), line],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[descriptor],
                check=True,
            )
        finally:
            os.close(descriptor)
            with os.fdopen(answer) as told:
                figures = told.read().split()
    exit_code, wall, user, system, memory = figures
    with log.open("rb") as said:
        said.seek(start)
        text = said.read().decode(errors="replace")
    if exit_code != "0":
        raise CommandFailed(f"exit code {exit_code}: {line}\n{text[-2000:]}")
    startup, engine = reported(text)
    return Cost(
        wall=round(float(wall), 4),
        cpu=round(float(user) + float(system), 4),
        memory=int(memory),
        startup=startup,
        engine=engine,
    )


def reported(text: str) -> tuple[float | None, float | None]:
    """The sums of startup_seconds and engine_seconds of all reports in `text`, or None if it holds no report."""
    reports: list[dict[str, Any]] = []
    for line in text.splitlines():
        if line.startswith('{"event":"report"'):
            reports.append(json.loads(line))
    if not reports:
        return None, None
    return tuple(round(sum(report[key] for report in reports), 4) for key in ("startup_seconds", "engine_seconds"))


def run(arguments: list[str | Path], environment: dict[str, str] | None = None) -> str:
    """What `arguments` print; raise CommandFailed if they fail.  For what is not measured."""
    done = subprocess.run(
        arguments,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    text = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise CommandFailed(f"exit code {done.returncode}: {' '.join(map(str, arguments))}\n{text[-2000:]}")
    return text


def size_of(folder: Path) -> int:
    """Bytes of all regular files below `folder`."""
    return sum(
        entry.stat(follow_symlinks=False).st_size if entry.is_file(follow_symlinks=False) else size_of(Path(entry.path))
        for entry in os.scandir(folder)
        if not entry.is_symlink()
    )
