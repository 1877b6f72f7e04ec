#!/usr/bin/env python3
"""Dalsegno and its peers side by side: the same work on the same data, in turns.

    run.py --dalsegno target/release/dalsegno [--rounds 5] [--scale 1] [--only TEXT] ...

It leaves <date>-<name>.json and .md in the folder of the results.  Everything else lies in one folder, --data: what is
backed up (made at the first run, and kept), what the tools write, and their log.  The work is removed at the end.

Exit codes: 0 measured, and every copy was right; 1 something failed, or, with --check, a target was missed; 2 usage.
"""

import argparse
import os
import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Any

from measuring import report
from measuring.cases import LINES, Tools, cases, prepare_archives
from measuring.command import CommandFailed
from measuring.data import Data, ready
from measuring.machine import machine
from measuring.proof import NotEqual
from measuring.rounds import Work, run_round

ROOT = Path(__file__).resolve().parent.parent
PEERS = ["bash", "cp", "tar", "pigz", "zstd", "sqlite3", "sync"]


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    # What the caller's shell is set up for must not say what is measured.
    for name in list(os.environ):
        if name.startswith("BACKUP_") or name in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE", "TAR_OPTIONS", "GZIP"):
            del os.environ[name]
    try:
        return measured(options)
    except (CommandFailed, NotEqual) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 1


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dalsegno", type=Path, required=True, metavar="FILE", help="the binary; a release build")
    parser.add_argument("--rounds", type=int, default=5, help="that count; one more comes before them (5)")
    parser.add_argument("--scale", type=float, default=1.0, help="1: media of 1.5 GB, a database of 727 MB")
    parser.add_argument("--only", action="append", metavar="TEXT", help="lines with this in their name; repeats")
    parser.add_argument("--data", type=Path, default=ROOT / "target" / "bench", metavar="DIR")
    parser.add_argument("--results", type=Path, default=ROOT / "benches" / "results", metavar="DIR")
    parser.add_argument("--name", help="of the results, after the date")
    parser.add_argument("--door", choices=["native", "manage"], default="native", help="of the small site's commands")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args(arguments)
    if options.rounds < 1 or options.scale <= 0:
        parser.error("--rounds must be at least 1, and --scale more than 0")
    if missing := [name for name in PEERS if not shutil.which(name)]:
        parser.error(f"not on PATH: {', '.join(missing)}; run: sh xtask/setup.sh bench")
    if not os.access(options.dalsegno, os.X_OK):
        parser.error(f"{options.dalsegno} is not a program; run: cargo build --release -p dalsegno-cli")
    options.lines = [line for line in LINES if not options.only or any(text in line.name for text in options.only)]
    if not options.lines:
        parser.error("no line has that in its name: " + "; ".join(line.name for line in LINES))
    return options


def measured(options: argparse.Namespace) -> int:
    folder = options.data.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    data = ready(folder, options.scale)
    require_space(folder, data, options.rounds)
    tools = Tools(options.dalsegno.absolute(), Path(sys.executable), options.door)
    environment = tools.environment(data)
    work = Work(folder / "work")
    archive = work.root / "archives"
    if any(line.ours == "restore media" for line in options.lines):
        prepare_archives(archive, environment)
    wanted = {name for line in options.lines for name in (line.ours, line.peer)}
    chosen = [case for case in cases(data, tools, archive) if case.name in wanted]
    log = folder / "commands.log"
    log.write_bytes(b"")
    found: dict[str, Any] = {
        "date": date.today().isoformat(),
        "scale": options.scale,
        "rounds": options.rounds,
        "door": options.door,
        "load": round(os.getloadavg()[0], 2),
        "machine": machine(tools, folder),
        "data": data.facts,
        "commands": {case.name: case.line for case in chosen},
        "runs": {case.name: [] for case in chosen},
    }
    for number in range(options.rounds + 1):
        for name, cost in run_round(number, chosen, environment, work, log).items():
            if number > 0:
                found["runs"][name].append(cost)
    found |= report.summary(found["runs"], options.lines, options.scale)
    written = report.write(options.results, result_name(options), without_paths(found, archive))
    work.remove()
    print("\n".join(["", *report.line_table(found["lines"]), "", *(f"written: {path}" for path in written)]))
    return int(options.check and not all(line["met"] is not False for line in found["lines"]))


def require_space(folder: Path, data: Data, rounds: int) -> None:
    """Restored trees pile up until the end, two in each round and some more in the first; other output does not."""
    media, database = data.facts["media_bytes"], data.facts["database_bytes"]
    needed = media * (2 * rounds + 12) + database * 6
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise CommandFailed(
            f"{folder} has {free / 1e9:.1f} GB free, and the run needs {needed / 1e9:.1f} GB:"
            " name another folder with --data, or ask for fewer --rounds or a smaller --scale"
        )


def result_name(options: argparse.Namespace) -> str:
    scale = "" if options.scale == 1 else f"-scale-{options.scale:g}"
    return f"{date.today().isoformat()}-{options.name or 'peers' + scale}"


def without_paths(found: dict[str, Any], archive: Path) -> dict[str, Any]:
    """What lies where on this machine is of no use to others."""
    lines = {name: line.replace(str(archive), "$ARCHIVES") for name, line in found["commands"].items()}
    return {**found, "commands": lines}


if __name__ == "__main__":
    sys.exit(main())
