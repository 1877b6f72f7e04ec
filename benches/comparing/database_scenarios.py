"""What becomes of a database: lost, changed, in use, damaged on the way, killed on the way back."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from comparing.media_scenarios import flip, later_than
from comparing.outcome import IDENTICAL, Outcome, bad, good
from comparing.shop import (
    LATE,
    LATER,
    MANY_ROWS,
    NEEDLE,
    ROWS,
    SOME_ROWS,
    Facts,
    Shops,
    compared,
    execute,
    facts,
    holder,
)
from comparing.site import Done, Site, memory_floor
from comparing.tools import DATABASE_TOOLS, Tool

Run = Callable[[Tool, Path, Shops], Outcome | None]
# In the write-ahead log, and only there, while the connection that wrote them is open.
LATE_ROWS = f"""
BEGIN;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {LATE})
INSERT INTO trade_label (id, text) SELECT 100000 + i, 'late ' || i FROM n;
COMMIT;
"""


@dataclass(frozen=True)
class Row:
    """One line of a table: what happens, and the function that makes it happen with one tool in a new folder."""

    name: str
    run: Run
    quick: bool = True


def rows() -> list[Row]:
    return [
        Row("database lost, restored into nothing", lost),
        Row("database changed since, restored over it", changed),
        Row("moments with microseconds", microseconds),
        Row("tables, views, triggers that are no models", foreign),
        Row(f"{LATE:,} rows still in the write-ahead log when backed up", written_ahead),
        Row("restored over a WAL database that a process has open", over_open),
        Row("a transaction that reads during the restore", read_meanwhile),
        Row("one bit turned over in the backup", flipped),
        Row("the backup cut in half", cut),
        Row("the restore killed half-way", killed, quick=False),
        Row("memory that a backup takes", memory, quick=False),
    ]


def told(outcome: Outcome, done: Done) -> Outcome:
    """The loss with the exit code: 0 means that nobody will look."""
    if outcome.good and done.exit == 0:
        return outcome
    return bad(f"{outcome.text}, {done.how}")


def lost(tool: Tool, root: Path, shops: Shops) -> Outcome:
    site = shops.site(root)
    before = facts(site.database)
    site.must(tool.backup)
    site.database.unlink()
    site.must(tool.into_nothing)
    done = site.run(tool.restore)
    return told(compared(before, facts(site.database)), done)


def changed(tool: Tool, root: Path, shops: Shops) -> Outcome:
    site, before = changed_since(tool, root, shops)
    done = site.run(tool.restore)
    return told(compared(before, facts(site.database)), done)


def changed_since(tool: Tool, root: Path, shops: Shops) -> tuple[Site, Facts]:
    """A site that was backed up and has gone on, and what it held when it was backed up."""
    site = shops.site(root)
    before = facts(site.database)
    site.must(tool.backup)
    execute(site.database, LATER)
    return site, before


def microseconds(tool: Tool, root: Path, shops: Shops) -> Outcome:
    def placed(site: Site) -> list[str]:
        with closing(sqlite3.connect(site.database)) as database:
            return [moment for (moment,) in database.execute("SELECT placed FROM trade_order ORDER BY number")]

    site = shops.site(root)
    before = placed(site)
    site.must(tool.backup)
    execute(site.database, "UPDATE trade_order SET placed = '2000-01-01 00:00:00'")
    done = site.run(tool.restore)
    after = placed(site)
    if before == after:
        return told(IDENTICAL, done)
    # A whole second is written without a fraction.
    cut_short = [f"{moment[:23]}000".removesuffix(".000000") for moment in before]
    return told(bad("cut to milliseconds" if after == cut_short else "not all restored"), done)


def foreign(tool: Tool, root: Path, shops: Shops) -> Outcome:
    site = shops.site(root)
    site.must(tool.backup)
    site.database.unlink()
    site.must(tool.into_nothing)
    done = site.run(tool.restore)
    with closing(sqlite3.connect(site.database)) as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        kept = {"ledger", "open_orders", "kept"} & names
        entries = database.execute("SELECT count(*) FROM ledger").fetchone()[0] if "ledger" in kept else 0
    if len(kept) == 3 and entries == 2:
        return told(IDENTICAL, done)
    return told(bad("lost" if not kept else "some lost"), done)


def written_ahead(tool: Tool, root: Path, shops: Shops) -> Outcome:
    site = shops.site(root)
    with holder(site.database, LATE_ROWS):
        before = labels(site.database)
        site.must(tool.backup)
    for path in root.glob("db.sqlite3*"):
        path.unlink()
    site.must(tool.into_nothing)
    done = site.run(tool.restore)
    after = labels(site.database)
    return told(IDENTICAL if after == before else bad(f"{before - after:,} of them lost"), done)


def labels(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("SELECT count(*) FROM trade_label").fetchone()[0])


def over_open(tool: Tool, root: Path, shops: Shops) -> Outcome:
    """What a new process sees then, and what there is when the old one has gone."""
    site = shops.site(root)
    before = facts(site.database)
    site.must(tool.backup)
    with holder(site.database, f"{LATE_ROWS} {LATER}"):
        live = facts(site.database)
        done = site.run(tool.restore)
        found = facts(site.database)
    last = facts(site.database)
    if last.error or found.error:
        return told(bad("the database is malformed"), done)
    if last == live and found == live:
        outcome = bad("nothing restored")
        return good(f"refused, {done.how}") if done.exit else told(outcome, done)
    if last != found:
        return told(bad("other rows when the process has gone"), done)
    return told(compared(before, last), done)


def read_meanwhile(tool: Tool, root: Path, shops: Shops) -> Outcome:
    """A report that began before the restore goes on after it: it has to see one state, whichever."""
    site = shops.site(root)
    execute(site.database, "PRAGMA journal_mode=wal")
    site.must(tool.backup)
    execute(site.database, LATER)
    count = "SELECT count(*) FROM trade_item"
    with closing(sqlite3.connect(site.database)) as database:
        (expected,) = database.execute(count).fetchone()
    with holder(site.database, "PRAGMA cache_size=2; BEGIN; SELECT count(*) FROM trade_buyer;", count) as report:
        done = site.run(tool.restore)
        seen = report.ask()
    if seen == str(expected):
        return good("sees one state") if done.exit == 0 else good(f"sees one state; refused, {done.how}")
    return told(bad("fails: the database is malformed" if seen.startswith("error") else "sees two states"), done)


def flipped(tool: Tool, root: Path, shops: Shops) -> Outcome:
    site, _ = changed_since(tool, root, shops)
    archive = tool.archive_in(site.out)
    assert archive is not None
    flip(archive, archive.read_bytes().index(NEEDLE.encode()) + 10)
    return after_damage(site, tool, "restores a wrong row")


def cut(tool: Tool, root: Path, shops: Shops) -> Outcome:
    site, _ = changed_since(tool, root, shops)
    archive = tool.archive_in(site.out)
    assert archive is not None
    with archive.open("r+b") as file:
        file.truncate(archive.stat().st_size // 2)
    return after_damage(site, tool, "restores what is left")


def after_damage(site: Site, tool: Tool, unnoticed: str) -> Outcome:
    live = facts(site.database)
    done = site.run(tool.restore)
    left = facts(site.database)
    if done.exit != 0 and left == live:
        return good(f"refused, site untouched, {done.how}")
    if left.error:
        return bad(f"the database {left.error}, {done.how}")
    if done.exit == 0:
        return bad("nothing restored, exit 0" if left == live else f"{unnoticed}, exit 0")
    return bad(f"rows lost, {done.how}" if left.rows < live.rows else f"stops half-way, {done.how}")


def killed(tool: Tool, root: Path, shops: Shops) -> Outcome:
    """When the database is seen to have changed, and, where that was harmless, at seven other moments.

    Harmless is what was there before, and what a restore leaves that is not killed, whatever that has lost.
    """
    rows = MANY_ROWS if tool.whole_file else SOME_ROWS
    site = shops.site(root / "whole", rows)
    site.must(tool.backup)
    execute(site.database, LATER)
    harmless = [facts(site.database)]
    began = time.monotonic()
    done = site.run(tool.restore)
    took = time.monotonic() - began
    if done.exit != 0:
        return bad(f"fails without a kill too, {done.how}")
    harmless.append(facts(site.database))
    kills = 0
    # A copy of the file takes milliseconds, in which a busy machine may not look.
    for number, after in enumerate([None, None, None, *(took * i / 8 for i in range(1, 8))]):
        site = shops.site(root / str(number), rows)
        site.must(tool.backup)
        execute(site.database, LATER)
        now = first_change(site.database) if after is None else later_than(after)
        if not site.killed_when(tool.restore, now):
            continue
        kills += 1
        if facts(site.database) not in harmless:
            # Malformed, or with rows of both: that depends on the moment.
            return bad("torn")
    if not kills:
        raise RuntimeError(f"{tool.name} was always quicker than the kill")
    return good("old or new")


def first_change(path: Path) -> Callable[[float], bool]:
    before = mark(path)
    return lambda _: mark(path) != before


def mark(path: Path) -> tuple[int, int]:
    """Something that is another when the file was written or replaced."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


def memory(tool: Tool, root: Path, shops: Shops) -> Outcome | None:
    """Beside what a small database takes: does it grow with the database?"""
    if not tool.whole_file:
        return None
    small, large = shops.site(root / "small", ROWS), shops.site(root / "large", MANY_ROWS)
    peaks = []
    for site in (small, large):
        done = site.run(tool.backup)
        assert done.exit == 0, done.text
        peaks.append(max(done.memory, memory_floor()))
    grown = (peaks[1] - peaks[0]) / large.database.stat().st_size
    if grown < 0.25:
        return good("does not grow")
    return bad("grows with the database")


TOOLS = DATABASE_TOOLS
