"""A scratch site that tools back up and restore, and the processes that do it."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SITES = Path(__file__).resolve().parent.parent / "sites"
# Tools that wait for a lock for each row would go on for hours.
PATIENCE = 100.0


@dataclass(frozen=True)
class Done:
    """How a command ended.  `exit` is None if it was ended because it took too long."""

    exit: int | None
    text: str
    memory: int = 0

    @property
    def how(self) -> str:
        return "ended by force" if self.exit is None else f"exit {self.exit}"


@dataclass(frozen=True)
class Programs:
    """What is compared: the binary, and the interpreter that has Django and django-dbbackup."""

    dalsegno: Path
    python: Path


class Site:
    """A copy of `sites/bazaar` with a database, media, and a folder `out` for what tools write."""

    def __init__(self, root: Path, programs: Programs) -> None:
        self.root = root
        self.programs = programs
        self.code = root / "code"
        self.database = root / "db.sqlite3"
        self.media = root / "media"
        self.out = root / "out"
        root.mkdir(parents=True)
        self.out.mkdir()
        shutil.copytree(SITES / "bazaar", self.code, ignore=shutil.ignore_patterns("__pycache__"))

    def environment(self) -> dict[str, str]:
        """No name is left out by a rule: the others have none."""
        return {
            "DATABASE_PATH": str(self.database),
            "MEDIA_ROOT": str(self.media),
            "OUT": str(self.out),
            "DB": str(self.database),
            "MEDIA": str(self.media),
            "BACKUP_DIR": str(self.out),
            "BACKUP_ROOT": str(self.root / "backups_data"),
            "BACKUP_MEDIA_EXCLUDE": "",
            "DALSEGNO": str(self.programs.dalsegno),
            "PYTHON": str(self.programs.python),
            "CODE": str(self.code),
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, line: str) -> "subprocess.Popen[bytes]":
        """The shell line in a process group of its own, with its output in the file `said`."""
        with (self.root / "said").open("wb") as said:
            return subprocess.Popen(
                ["bash", "-e", "-o", "pipefail", "-c", line],
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, line: str) -> Done:
        process = self.start(line)
        until = time.monotonic() + PATIENCE
        while True:
            found, status, usage = os.wait4(process.pid, os.WNOHANG)
            if found:
                break
            if time.monotonic() > until:
                kill(process)
                return Done(None, self.said())
            time.sleep(0.005)
        process.returncode = os.waitstatus_to_exitcode(status)
        return Done(process.returncode, self.said(), usage.ru_maxrss * 1024)

    def must(self, line: str) -> None:
        """For what belongs to the scenery: raise if it fails."""
        done = self.run(line)
        if done.exit != 0:
            raise RuntimeError(f"{line}: {done.how}\n{done.text[-2000:]}")

    def killed_when(self, line: str, moment: Callable[[float], bool]) -> bool:
        """Run the line and kill it, and all it started, as soon as `moment`, given the seconds since it began, says so.

        False if it had ended before.
        """
        process = self.start(line)
        began = time.monotonic()
        while process.poll() is None:
            if moment(time.monotonic() - began) or time.monotonic() - began > PATIENCE:
                kill(process)
                return True
        return False

    def said(self) -> str:
        return (self.root / "said").read_bytes().decode(errors="replace")


def kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def memory_floor() -> int:
    """What a process that we start weighs at least, since it inherits our mark."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
