"""Every case once in each round, in turn; the first round does not count."""

import os
import shutil
from pathlib import Path
from typing import Any

from measuring.cases import Case
from measuring.command import measure, size_of


class Work:
    """The folder in which cases write.

    Files that are made just after a mass removal cost ext4 several times as much, so trees of many files are renamed
    aside, and removed when everything has been measured; so is what an interrupted run left.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.aside = root.with_name(root.name + "-aside")
        self.aside.mkdir(parents=True, exist_ok=True)
        if root.exists():
            self.set_aside(root)
        root.mkdir()

    def set_aside(self, folder: Path) -> None:
        """Rename it to a name that nothing has; single files in it are only large, and go at once."""
        for entry in folder.iterdir():
            if entry.is_file() and not entry.is_symlink():
                entry.unlink()
        number = sum(1 for _ in self.aside.iterdir())
        folder.rename(self.aside / f"{number}-{os.getpid()}")

    def remove(self) -> None:
        shutil.rmtree(self.root)
        shutil.rmtree(self.aside)


def run_round(number: int, cases: list[Case], environment: dict[str, str], work: Work, log: Path) -> dict[str, Any]:
    """The costs of each case in one round, by name.  Odd rounds go backwards: no case profits from its place."""
    costs: dict[str, Any] = {}
    for case in cases if number % 2 == 0 else reversed(cases):
        out = work.root / f"{number}-{'-'.join(case.name.split())}".replace("|", "to")
        out.mkdir()
        if case.prepare:
            case.prepare(out)
        before = size_of(out)
        cost = measure(case.line, {**environment, **case.environment, "OUT": str(out)}, log)
        costs[case.name] = {
            "round": number,
            **cost.as_json(),
            "bytes": size_of(out) - before,
            "load": round(os.getloadavg()[0], 2),
        }
        print(
            f"  round {number}  {case.name:16} {cost.wall:8.2f} s wall {cost.cpu:8.2f} s CPU"
            f" {cost.memory / 2**20:6.0f} MiB  {costs[case.name]['bytes'] / 1e6:9.1f} MB",
            flush=True,
        )
        if case.proof:
            case.proof(out)
        if number == 0 and case.proof_once:
            case.proof_once(out)
        if case.many_files or number == 0:
            work.set_aside(out)
        else:
            shutil.rmtree(out)
    return costs
