"""That what came back is what went in, said by `examples/prove.py`, which shares no code with Dalsegno."""

import subprocess
import sys
from pathlib import Path

PROVE = Path(__file__).resolve().parent.parent.parent / "examples" / "prove.py"


class NotEqual(Exception):
    """A copy is not what the original was."""


def prove_files(folder: Path, output: Path) -> None:
    """Names, contents, links, modes and times of everything below `folder`, into `output`."""
    save(output, "files", folder, "--times", "--modes")


def prove_rows(database: Path, output: Path) -> None:
    """Every row, the schema and the pragmas of an SQLite database, into `output`."""
    save(output, "rows", database)


def require_same_files(folder: Path, original: Path) -> None:
    """Raise NotEqual unless `folder` is what the saved proof `original` says."""
    copy = folder.with_name(folder.name + ".proof")
    prove_files(folder, copy)
    require_equal(copy, original)


def require_same_rows(database: Path, original: Path) -> None:
    copy = database.with_name(database.name + ".proof")
    prove_rows(database, copy)
    require_equal(copy, original)


def require_same_contents(folder: Path, original: Path) -> None:
    """As `require_same_files`, for tools that do not keep times: names, contents and links only."""
    copy = folder.with_name(folder.name + ".proof")
    prove_files(folder, copy)
    if contents(copy) != contents(original):
        raise NotEqual(f"`{folder}` has not the names and contents of the original")


def contents(proof: Path) -> list[list[bytes]]:
    return [line.split(b"\t")[:4] for line in proof.read_bytes().splitlines()[:-1]]


def save(output: Path, *arguments: str | Path) -> None:
    with output.open("wb") as file:
        subprocess.run([sys.executable, PROVE, *arguments], stdout=file, check=True)


def require_equal(copy: Path, original: Path) -> None:
    done = subprocess.run([sys.executable, PROVE, "compare", original, copy], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        first = done.stdout.decode(errors="replace").splitlines()[:6]
        raise NotEqual("\n".join([f"`{copy}` is not `{original}`:", *first]))
