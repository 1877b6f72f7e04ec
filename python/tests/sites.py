"""Sites to test on: copies of the bookshop with ``backups`` installed, and the judge that compares.

The tests run in an environment that the wheel was installed into (``sh xtask/wheel.sh``); the
package under test is that one, not the sources beside this file.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path
from typing import Any

from dalsegno import find_binary

WORKSPACE = Path(__file__).resolve().parents[2]
PROVE = WORKSPACE / "examples" / "prove.py"
SETTINGS = "bookshop.with_backups"


class Site:
    """A folder with a ``manage.py``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "HOME": str(root.parent),
            "TMPDIR": str(root.parent),
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def settings(self, text: str) -> None:
        """Adds to the settings."""
        with open(self.root / "bookshop" / "with_backups.py", "a") as file:
            file.write(textwrap.dedent(text))

    def manage(self, *words: str, **how: Any) -> subprocess.CompletedProcess[str]:
        """Runs ``manage.py``; nobody is at a terminal."""
        return self.python("manage.py", *words, **how)

    def python(self, *words: str, **how: Any) -> subprocess.CompletedProcess[str]:
        how = {"cwd": self.root, "stdin": subprocess.DEVNULL, "timeout": 120, **how}
        # Names of files need not be text.
        how = {"capture_output": True, "text": True, "errors": "surrogateescape", **how}
        env = {**self.env, **how.pop("env", {})}
        return subprocess.run([sys.executable, *words], env=env, **how)

    def script(self, text: str, **how: Any) -> str:
        """Runs a script in the site's Django; it must succeed. Returns what it printed."""
        return self._succeeds(self.python("-c", "import django; django.setup()\n" + textwrap.dedent(text), **how))

    def ok(self, *words: str, **how: Any) -> str:
        return self._succeeds(self.manage(*words, **how))

    def native(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs the program itself."""
        env = {**self.env, "VIRTUAL_ENV": sys.prefix}
        return subprocess.run([find_binary(), *words], cwd=self.root, capture_output=True, text=True, env=env)

    @staticmethod
    def _succeeds(done: subprocess.CompletedProcess[str]) -> str:
        if done.returncode != 0:
            raise AssertionError(f"{done.args} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def state(self) -> list[str]:
        """Every row, every file with its time and mode, told by the judge."""
        questions = (["rows", "db.sqlite3"], ["files", "media", "--times", "--modes"], ["files", "private", "--times"])
        return [self._succeeds(self.python(str(PROVE), *words)) for words in questions]

    def damage(self) -> None:
        """Changes rows, drops a table, changes and removes files."""
        import sqlite3

        db = sqlite3.connect(self.root / "db.sqlite3")
        db.executescript("UPDATE books_book SET title = 'oops'; DROP TABLE books_note;")
        db.close()
        files = sorted(path for path in (self.root / "media").rglob("*") if path.is_file() and path.name[0] != ".")
        files = [path for path in files if not path.name.endswith("~") and not path.is_symlink()]
        files[0].unlink()
        files[1].write_bytes(b"overwritten")

    def backups(self) -> list[str]:
        folder = self.root / "backups"
        return sorted(os.listdir(folder)) if folder.is_dir() else []

    def program(self, script: str) -> dict[str, str]:
        """The environment in which a shell script takes the place of the program."""
        path = self.root.parent / "program"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return {"DALSEGNO_BINARY": str(path)}

    def large_media(self, megabytes: int = 200) -> None:
        """Media that take a while to compress."""
        block = b"".join(b"%d " % (number * number) for number in range(100_000))
        with open(self.root / "media" / "large.txt", "wb") as file:
            while file.tell() < megabytes * 1_000_000:
                file.write(block)


@functools.lru_cache(maxsize=None)
def _filled() -> Path:
    """The bookshop, filled once."""
    folder = Path(tempfile.mkdtemp(prefix="dalsegno-python-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    left_out = shutil.ignore_patterns("db.sqlite3*", "media", "private", "backups", "backups_data", "__pycache__")
    shutil.copytree(WORKSPACE / "examples" / "bookshop", folder / "site", ignore=left_out)
    site = Site(folder / "site")
    (site.root / "bookshop" / "with_backups.py").write_text(
        "from bookshop.settings import *\n\nINSTALLED_APPS = [*INSTALLED_APPS, 'backups']\n"
    )
    site.ok("migrate", "--verbosity", "0")
    site.ok("fill", "--rows", "300", "--media", "40")
    return site.root


class SiteTest(unittest.TestCase):
    """A test that has a site of its own."""

    maxDiff = None

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="dalsegno-python-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        shutil.copytree(_filled(), folder / "site", symlinks=True)
        # Hard links and times of the template are its own; what counts is that they come back.
        self.site = Site(folder / "site")

    def assertCode(self, code: int, done: subprocess.CompletedProcess[str]) -> None:
        self.assertEqual(code, done.returncode, f"{done.args}:\n{done.stdout}{done.stderr}")

    def assertPartialFiles(self, names: list[str]) -> None:
        """Nothing but these lies in the folder of backups, work in progress neither."""
        self.assertEqual(names, self.site.backups())
