"""Where the ``dalsegno`` program is."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from typing import Iterator

from dalsegno.errors import BinaryNotFoundError

NAME = "dalsegno"
#: Names another program than the one that was installed with this package.
VARIABLE = "DALSEGNO_BINARY"


def find_binary() -> str:
    """The program that was installed with this package, else the one on ``PATH``."""
    named = os.environ.get(VARIABLE)
    if named:
        if not _is_program(named):
            raise BinaryNotFoundError(
                f"{VARIABLE} is `{named}`, which is no program", hint=f"Correct {VARIABLE}, or unset it."
            )
        return named
    searched = []
    for folder in _folders():
        path = os.path.join(folder, NAME)
        if _is_program(path):
            return path
        searched.append(folder)
    on_path = shutil.which(NAME)
    if on_path:
        return on_path
    raise BinaryNotFoundError(
        f"the program `{NAME}` was not found: neither in {', '.join(f'`{folder}`' for folder in searched)} nor on PATH",
        hint=f"Install it with `{sys.executable} -m pip install --force-reinstall dalsegno`, or name it in {VARIABLE}.",
    )


def _folders() -> Iterator[str]:
    """Every folder that pip may put programs of this package into, the likeliest first."""
    packages = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    candidates = [
        sysconfig.get_path("scripts"),
        # Where an interpreter runs that a wrapper started under another name.
        os.path.dirname(sys.executable) if sys.executable else None,
        # pip install --user
        sysconfig.get_path("scripts", f"{os.name}_user"),
        # pip install --target
        os.path.join(packages, "bin"),
        # pip install --prefix: <prefix>/lib/python3.x/site-packages
        os.path.normpath(os.path.join(packages, "..", "..", "..", "bin")),
    ]
    seen = set()
    for folder in candidates:
        if folder and folder not in seen:
            seen.add(folder)
            yield folder


def _is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)
