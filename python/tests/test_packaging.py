"""What the wheel and the source distribution are made of."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

from sites import WORKSPACE


class Packaging(unittest.TestCase):
    def test_the_version_is_that_of_the_workspace(self) -> None:
        manifest = (WORKSPACE / "Cargo.toml").read_text()
        version = re.search(r'^version = "(.*)"$', manifest, re.MULTILINE)
        assert version is not None
        self.assertEqual(version[1], importlib.metadata.version("dalsegno"))

    def test_one_wheel_for_every_python_that_needs_nothing(self) -> None:
        wheel = importlib.metadata.distribution("dalsegno")
        self.assertRegex(wheel.read_text("WHEEL") or "", r"(?m)^Tag: py3-none-linux_\w+$")
        self.assertIsNone(wheel.requires)
        self.assertEqual(">=3.8", wheel.metadata["Requires-Python"])
        names = {str(file) for file in wheel.files or ()}
        for name in ("dalsegno/py.typed", "backups/py.typed", "backups/management/commands/restore.py"):
            self.assertIn(name, names)
        self.assertTrue(any(name.endswith("bin/dalsegno") for name in names), names)
        self.assertEqual([], [name for name in names if name.endswith(".so") or "tests" in name])

    def test_the_source_distribution_has_what_building_it_needs(self) -> None:
        with tempfile.TemporaryDirectory(prefix="dalsegno-python-") as folder:
            maturin = [WORKSPACE / ".venv" / "bin" / "maturin", "sdist", "--out", folder]
            made = subprocess.run(maturin, cwd=WORKSPACE, capture_output=True, text=True)
            self.assertEqual(0, made.returncode, made.stderr)
            with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
                names = {name.split("/", 1)[1] for name in archive.getnames()}
        for name in (
            ".cargo/config.toml",
            "Cargo.lock",
            "LICENSE-MIT",
            "crates/dalsegno-project/src/helper/bootstrap.py",
            "python/backups/apps.py",
            "python/dalsegno/describe/helper.py",
            "xtask/packaging/dalsegno_wheel.py",
        ):
            self.assertIn(name, names)
        self.assertEqual([], [name for name in names if "/tests/" in name])

    def test_on_windows_it_says_what_it_is(self) -> None:
        script = "import sys; sys.platform = 'win32'; import dalsegno_wheel"
        backend = WORKSPACE / "xtask" / "packaging"
        said = subprocess.run([sys.executable, "-c", script], cwd=backend, capture_output=True, text=True)
        self.assertEqual(1, said.returncode)
        self.assertRegex(said.stderr, "^Dalsegno does not run on Windows: ")
