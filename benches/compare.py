#!/usr/bin/env python3
"""Let the same accidents happen to Dalsegno and to its peers, and say what each lost.

    compare.py --dalsegno target/release/dalsegno             what happens now against what docs/compare.md tells
    compare.py --dalsegno target/release/dalsegno --write     rewrite the tables of the page

Whatever the page says, Dalsegno may lose nothing.  A peer that has become better or worse than the page says is told,
too: then run it with --write, read the difference, and correct the words around the tables.

Exit codes: 0 all as the page says; 1 something is otherwise; 2 usage.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from comparing import database_scenarios, media_scenarios, page
from comparing.outcome import Outcome
from comparing.shop import Shops
from comparing.site import Programs
from comparing.tools import Tool

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compare.md"
# For every run of the tests: some rows, with the tools that have most to tell in them.
SAMPLE = {
    ("times of files", "Dalsegno"),
    ("times of files", "mediabackup"),
    ("a symbolic link to nothing", "Dalsegno"),
    ("a symbolic link to nothing", "mediabackup"),
    ("the backup cut between two files", "Dalsegno"),
    ("the backup cut between two files", "tar"),
    ("500 rows still in the write-ahead log when backed up", "Dalsegno"),
    ("500 rows still in the write-ahead log when backed up", "SqliteCPConnector"),
    ("restored over a WAL database that a process has open", "Dalsegno"),
    ("restored over a WAL database that a process has open", "SqliteBackupConnector"),
}

T = TypeVar("T")
Attempt = tuple[str, Tool, Callable[[Path], Outcome | None]]


def main(arguments: list[str] | None = None) -> int:
    options = parsed(arguments)
    for name in list(os.environ):
        if name.startswith(("BACKUP_", "DBBACKUP_")) or name in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
            del os.environ[name]
    # Modes of copies must not depend on who runs this.
    os.umask(0o022)
    options.data.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="compare-", dir=options.data))
    try:
        return compared(options, scratch)
    finally:
        shutil.rmtree(scratch)


def parsed(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dalsegno", type=Path, required=True, metavar="FILE", help="the binary")
    parser.add_argument("--only", action="append", metavar="TEXT", help="rows with this in their name; repeats")
    parser.add_argument("--tool", action="append", metavar="TEXT", help="tools with this in their name; repeats")
    parser.add_argument("--sample", action="store_true", help="the few that every run of the tests asks")
    parser.add_argument("--write", action="store_true", help="write the tables into the page")
    parser.add_argument("--data", type=Path, default=ROOT / "target" / "compare", metavar="DIR")
    parser.add_argument("--page", type=Path, default=PAGE, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.write and (options.only or options.tool or options.sample):
        parser.error("--write is for the whole of the tables")
    return options


def attempts(scratch: Path, programs: Programs) -> dict[str, tuple[page.Table, list[Attempt]]]:
    """By the name of the table: what it looks like, and what fills it."""
    shops = Shops(scratch / "shops", programs)
    found = {
        "media": [
            (row.name, tool, bound(row.run, tool, programs))
            for row in media_scenarios.rows()
            for tool in media_scenarios.TOOLS
        ],
        "databases": [
            (row.name, tool, bound(row.run, tool, shops))
            for row in database_scenarios.rows()
            for tool in database_scenarios.TOOLS
        ],
    }
    return {name: (table_of(name, each), each) for name, each in found.items()}


def bound(run: Callable[[Tool, Path, T], Outcome | None], tool: Tool, scenery: T) -> Callable[[Path], Outcome | None]:
    return lambda root: run(tool, root, scenery)


def table_of(name: str, found: list[Attempt]) -> page.Table:
    rows = dict.fromkeys(row for row, _, _ in found)
    tools = dict.fromkeys(tool.name for _, tool, _ in found)
    return page.Table(name, [*rows], [*tools])


def compared(options: argparse.Namespace, scratch: Path) -> int:
    programs = Programs(options.dalsegno.absolute(), Path(sys.executable))
    text = options.page.read_text()
    otherwise: list[str] = []
    tables: dict[str, str] = {}
    asked = 0
    for name, (table, found) in attempts(scratch, programs).items():
        told = page.read(name, text)
        cells: page.Cells = {}
        for row, tool, attempt in found:
            if not chosen(options, row, tool):
                continue
            asked += 1
            began = time.monotonic()
            outcome = attempt(scratch / f"{asked}")
            cells[row, tool.name] = page.cell(outcome)
            print(f"{time.monotonic() - began:6.1f} s  {row}: {tool.name}: {cells[row, tool.name]}", flush=True)
            if tool.name == "Dalsegno" and not (outcome and outcome.good):
                otherwise.append(f"{row}: Dalsegno must lose nothing: {cells[row, tool.name]}")
            if not options.write and told.get((row, tool.name)) != cells[row, tool.name]:
                before = told.get((row, tool.name), "nothing")
                otherwise.append(f"{row}: {tool.name}: the page says {before}, now it is {cells[row, tool.name]}")
        tables[name] = table.written(cells)
    if not asked:
        print("compare.py: no row and tool have that in their names", file=sys.stderr)
        return 2
    if options.write:
        # Somebody may have corrected its words meanwhile.
        text = options.page.read_text()
        for name, written in tables.items():
            text = page.replaced(name, text, written)
        options.page.write_text(text)
        print(f"written: {options.page}")
    print("\n".join([*otherwise, f"{asked} outcomes, {len(otherwise)} otherwise than they should be"]))
    return int(bool(otherwise))


def chosen(options: argparse.Namespace, row: str, tool: Tool) -> bool:
    if options.sample:
        return (row, tool.name) in SAMPLE
    return (not options.only or any(text in row for text in options.only)) and (
        not options.tool or any(text in tool.name for text in options.tool)
    )


if __name__ == "__main__":
    sys.exit(main())
