"""What is backed up: media, a shop in both journal modes, and a small whole site.  Made once for each scale."""

import hashlib
import json
import shutil
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path

import media
from measuring.command import run
from measuring.proof import prove_files, prove_rows

BENCHES = Path(__file__).resolve().parent.parent
SITES = BENCHES / "sites"
ROWS = 3_000_000
JOURNALS = ("delete", "wal")


@dataclass(frozen=True)
class Data:
    """The folder that holds it all, with the facts of what is in it."""

    root: Path
    facts: dict[str, int]

    @property
    def media(self) -> Path:
        return self.root / "media"

    @property
    def site(self) -> Path:
        """The shop of any size, whose database and media are said by the environment."""
        return self.root / "bazaar"

    @property
    def small_site(self) -> Path:
        return self.root / "shop72"

    def database(self, journal: str) -> Path:
        return self.root / f"{journal}.sqlite3"

    def proof(self, name: str) -> Path:
        """What `examples/prove.py` said of the original."""
        return self.root / f"{name}.proof"


def ready(folder: Path, scale: float) -> Data:
    """The data of this scale below `folder`, made if they are not there or were made by another generator."""
    root = folder / f"data-{scale:g}"
    stamp = root / "made-from.json"
    wanted = {"scale": scale, "generators": digest_of_generators()}
    if stamp.exists() and (made := json.loads(stamp.read_text()))["wanted"] == wanted:
        return Data(root, made["facts"])
    if root.exists():
        shutil.rmtree(root)
    root.mkdir(parents=True)
    data = Data(root, {})
    facts = make(data, scale)
    stamp.write_text(json.dumps({"wanted": wanted, "facts": facts}))
    return Data(root, facts)


def digest_of_generators() -> str:
    sources = [BENCHES / "media.py", *sorted(SITES.rglob("*.py"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def make(data: Data, scale: float) -> dict[str, int]:
    print(f"Making the data of scale {scale:g} in {data.root}", flush=True)
    tree = media.make(str(data.media), scale)
    prove_files(data.media, data.proof("media"))
    for name in ("bazaar", "shop72"):
        shutil.copytree(SITES / name, data.root / name, ignore=shutil.ignore_patterns("__pycache__"))
    first, second = (data.database(journal) for journal in JOURNALS)
    manage(data.site, {"DATABASE_PATH": str(first)}, "migrate", "--verbosity=0")
    manage(data.site, {"DATABASE_PATH": str(first)}, "fill", f"--rows={round(ROWS * scale)}")
    shutil.copyfile(first, second)
    with sqlite3.connect(second) as database:
        database.execute("PRAGMA journal_mode=wal").fetchone()
    database.close()
    prove_rows(first, data.proof("rows"))
    manage(data.small_site, {}, "migrate", "--verbosity=0")
    manage(data.small_site, {}, "fill")
    prove_files(data.small_site / "media", data.proof("shop72-media"))
    prove_rows(data.small_site / "db.sqlite3", data.proof("shop72-rows"))
    return {
        "media_files": tree.files,
        "media_bytes": tree.size,
        "database_bytes": first.stat().st_size,
        "database_rows": rows_of(first),
    }


def manage(site: Path, environment: dict[str, str], *arguments: str) -> None:
    run([sys.executable, site / "manage.py", *arguments], {"PYTHONDONTWRITEBYTECODE": "1", **environment})


def rows_of(path: Path) -> int:
    database = sqlite3.connect(path)
    try:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return sum(database.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in tables)
    finally:
        database.close()
