"""The shop whose database is lost and found: its states, and the comparison of any of them with what came back."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from comparing.outcome import IDENTICAL, Outcome, bad
from comparing.site import Programs, Site

PROVE = Path(__file__).resolve().parent.parent.parent / "examples" / "prove.py"
ROWS = 1_000
# Enough that a tool is still at it when the first change is seen: one that copies the file, one that goes row by row.
MANY_ROWS, SOME_ROWS = 150_000, 5_000
# Rows committed to the write-ahead log and not yet to the file.
LATE = 500
NEEDLE = "this sentence is looked for in the backup, and one bit of it is turned over "
# What Django knows nothing of: tables of other programs, views, triggers.
FOREIGN = f"""
CREATE TABLE ledger (day TEXT PRIMARY KEY, cents INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO ledger VALUES ('2024-01-01', 17), ('2024-01-02', -4);
CREATE VIEW open_orders AS SELECT number FROM trade_order WHERE state = 'open';
CREATE TRIGGER kept AFTER DELETE ON ledger BEGIN INSERT INTO ledger VALUES ('gone ' || OLD.day, OLD.cents); END;
UPDATE trade_order SET remark = '{NEEDLE * 3}' WHERE id = 7;
"""
# What happens to the site between backup and restore: rows go, come and change.
LATER = """
UPDATE trade_buyer SET credit = 0;
DELETE FROM trade_item WHERE id % 3 = 0;
INSERT INTO trade_label (id, text) VALUES (900001, 'new since then'), (900002, 'this too');
CREATE TABLE later (x);
"""


class Shops:
    """Filled databases, made once and copied for each scenario."""

    def __init__(self, root: Path, programs: Programs) -> None:
        self.root = root
        self.programs = programs

    def database(self, rows: int) -> Path:
        path = self.root / f"{rows}.sqlite3"
        if not path.exists():
            site = Site(self.root / f"made-{rows}", self.programs)
            site.must('"$PYTHON" "$CODE/manage.py" migrate --verbosity=0')
            site.must(f'"$PYTHON" "$CODE/manage.py" fill --rows {rows}')
            execute(site.database, FOREIGN)
            site.database.rename(path)
        return path

    def site(self, root: Path, rows: int = ROWS) -> Site:
        """A site with this database and no media."""
        site = Site(root, self.programs)
        site.media.mkdir()
        shutil.copyfile(self.database(rows), site.database)
        return site


def execute(path: Path, script: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)


@dataclass(frozen=True)
class Facts:
    """Of each table: rows and their hash.  `error` says why a database could not be read."""

    tables: dict[str, tuple[int, str]]
    error: str | None = None

    @property
    def rows(self) -> int:
        return sum(count for name, (count, _) in self.tables.items() if not name.startswith(("<", "sqlite_")))


def facts(path: Path) -> Facts:
    """Read in another process: closing a file here would drop the locks of connections that are open here."""
    if not path.exists():
        return Facts({}, "is not there")
    check = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('PRAGMA integrity_check').fetchone()[0])"
    checked = subprocess.run([sys.executable, "-c", check, path], capture_output=True, text=True, check=False)
    if checked.stdout.strip() != "ok":
        return Facts({}, "is malformed")
    done = subprocess.run([sys.executable, PROVE, "rows", path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Facts({}, "is malformed")
    lines = [line.split("\t") for line in done.stdout.splitlines()[:-1]]
    return Facts({name: (int(count), digest) for name, count, digest in lines})


def compared(before: Facts, after: Facts) -> Outcome:
    """What is worst: no database, fewer rows, more rows, other rows, another schema, other sequences."""
    if after.error:
        return bad(f"the database {after.error}")
    if before == after:
        return IDENTICAL
    names = before.tables.keys() | after.tables.keys()
    differ = {name for name in names if before.tables.get(name) != after.tables.get(name)}
    data = {name for name in differ if not name.startswith(("<", "sqlite_"))}
    missing = sum(
        max(0, before.tables[name][0] - after.tables.get(name, (0, ""))[0]) for name in data & before.tables.keys()
    )
    said = []
    if missing:
        said.append(f"{missing:,} of {before.rows:,} rows lost")
    extra = sum(
        max(0, after.tables[name][0] - before.tables.get(name, (0, ""))[0]) for name in data & after.tables.keys()
    )
    if extra:
        said.append(f"{extra:,} rows too many")
    changed = [
        name for name in data if before.tables.get(name, (0, ""))[0] == after.tables.get(name, (-1, ""))[0]
    ]  # fmt: skip
    if changed:
        said.append(f"other values in {len(changed)} table{'s' * (len(changed) > 1)}")
    if "<schema>" in differ:
        said.append("schema differs")
    if not said:
        said.append("sequences or statistics differ")
    return bad(", ".join(said))


HOLDER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
database.execute("PRAGMA journal_mode=wal")
database.execute("PRAGMA wal_autocheckpoint=0")
database.executescript(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
try:
    print(database.execute(sys.argv[3]).fetchone()[0], flush=True)
    if database.in_transaction:
        database.execute("COMMIT")
except sqlite3.DatabaseError as error:
    print("error:", error, flush=True)
sys.stdin.readline()
database.close()
"""


class Holder:
    """Another process of the site, connected and in WAL mode, that has committed what it was told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def ask(self) -> str:
        """The answer to its question, on the connection that it had all the time."""
        assert self.process.stdin and self.process.stdout
        print(file=self.process.stdin, flush=True)
        return self.process.stdout.readline().strip()


@contextmanager
def holder(path: Path, script: str, question: str = "SELECT 1") -> Iterator[Holder]:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, path, script, question],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"cannot hold {path} open")
        yield Holder(process)
        # The context closes its input, and so it ends.
