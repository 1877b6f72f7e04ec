"""`make compare` in small: what is lost is seen, and a page that says otherwise is not believed."""

import contextlib
import io
import os
import sqlite3
import tempfile
import unittest
from contextlib import closing
from pathlib import Path

import compare
from comparing import page, trees
from comparing.outcome import IDENTICAL, bad, good
from comparing.shop import Facts, compared, facts

ROOT = Path(__file__).resolve().parent.parent.parent
DALSEGNO = Path(os.environ.get("DALSEGNO", ROOT / "target" / "debug" / "dalsegno"))
TEXT = "# Title\n\n<!-- x: written -->\n\n<!-- end of x -->\n\nThe end.\n"


def compare_says(*arguments: str) -> tuple[int, str]:
    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
        exit_code = compare.main([f"--dalsegno={DALSEGNO}", f"--data={folder}", *arguments])
    return exit_code, said.getvalue()


class Sample(unittest.TestCase):
    def test_what_happens_is_what_the_page_says(self) -> None:
        exit_code, said = compare_says("--sample")
        self.assertEqual(exit_code, 0, said)
        self.assertIn(f"{len(compare.SAMPLE)} outcomes, 0 otherwise", said)

    def test_a_peer_that_has_become_better_or_worse_is_told(self) -> None:
        with tempfile.NamedTemporaryFile("w+", suffix=".md") as file:
            text = compare.PAGE.read_text()
            self.assertIn("**cut to seconds**", text)
            file.write(text.replace("**cut to seconds**", "identical"))
            file.flush()
            exit_code, said = compare_says("--only=times of files", "--tool=tar", f"--page={file.name}")
        self.assertEqual(exit_code, 1)
        self.assertIn("times of files: tar: the page says identical, now it is **cut to seconds**", said)

    def test_a_dalsegno_that_restores_nothing_is_told_whatever_the_page_says(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            lazy = Path(folder) / "lazy"
            lazy.write_text("#!/bin/sh\nexit 0\n")
            lazy.chmod(0o755)
            exit_code, said = compare_says("--only=empty folders", "--tool=Dalsegno", f"--dalsegno={lazy}")
        self.assertEqual(exit_code, 1)
        self.assertIn("empty folders: Dalsegno must lose nothing: **lost**", said)


class Pages(unittest.TestCase):
    def test_a_table_is_read_as_it_was_written_and_the_words_around_it_stay(self) -> None:
        table = page.Table("x", ["a row", "another"], ["Dalsegno", "tar"])
        cells = {("a row", "Dalsegno"): "identical", ("a row", "tar"): page.cell(bad("lost, exit 0"))}
        text = page.replaced("x", TEXT, table.written(cells))
        self.assertEqual(page.read("x", text), {**cells, ("another", "Dalsegno"): "–", ("another", "tar"): "–"})
        self.assertEqual(cells["a row", "tar"], "**lost, exit 0**")
        self.assertTrue(text.startswith("# Title\n\n<!-- x") and text.endswith("<!-- end of x -->\n\nThe end.\n"))
        self.assertEqual(page.read("x", TEXT), {})
        with self.assertRaises(page.NoTable):
            page.read("y", TEXT)

    def test_the_page_has_every_row_and_tool(self) -> None:
        text = compare.PAGE.read_text()
        for name, (table, _) in compare.attempts(Path("/nowhere"), None).items():  # type: ignore[arg-type]
            with self.subTest(name):
                self.assertEqual(
                    list(page.read(name, text)), [(row, tool) for row in table.rows for tool in table.tools]
                )


class Comparisons(unittest.TestCase):
    def test_rows_lost_added_and_changed_are_told_apart(self) -> None:
        before = Facts({"a": (3, "x"), "b": (2, "y"), "<schema>": (9, "s"), "sqlite_sequence": (1, "q")})
        for change, outcome in [
            ({}, IDENTICAL),
            ({"a": (1, "z")}, bad("2 of 5 rows lost")),
            ({"a": (4, "z"), "b": (2, "w")}, bad("1 rows too many, other values in 1 table")),
            ({"<schema>": (9, "t")}, bad("schema differs")),
            ({"sqlite_sequence": (1, "r")}, bad("sequences or statistics differ")),
        ]:
            self.assertEqual(compared(before, Facts({**before.tables, **change})), outcome)
        self.assertEqual(compared(before, Facts({}, "is malformed")), bad("the database is malformed"))

    def test_a_torn_database_is_malformed(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "db"
            with closing(sqlite3.connect(path)) as database:
                database.executescript("CREATE TABLE t (x); CREATE INDEX i ON t (x);")
                database.executemany("INSERT INTO t VALUES (?)", [("x" * 100,)] * 1000)
                database.commit()
            self.assertEqual(facts(path).rows, 1000)
            os.truncate(path, 40_960)
            self.assertEqual(facts(path), Facts({}, "is malformed"))
            path.unlink()
            self.assertEqual(facts(path), Facts({}, "is not there"))

    def test_every_property_of_a_tree_is_missed_when_it_is_gone(self) -> None:
        for wanted in trees.PROPERTIES:
            with self.subTest(wanted.name), tempfile.TemporaryDirectory() as folder:
                original, copy = Path(folder) / "original", Path(folder) / "copy"
                for root in (original, copy):
                    root.mkdir()
                    wanted.grow(root)
                # Times and links of the two are the same: nothing was lost.
                self.assertEqual(wanted.look(original, copy), good("identical"))
                spoil(copy)
                self.assertFalse(wanted.look(original, copy).good)


def spoil(root: Path) -> None:
    """As the most careless copy would: contents alone, and those of two files wrong."""
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_symlink():
            path.unlink()
        elif path.is_dir() and not list(path.iterdir()):
            path.rmdir()
        elif path.is_file():
            data = path.read_bytes()
            path.unlink()
            path.write_bytes(data + b"!" if path.name in ("a.txt", "-rf") else data)


if __name__ == "__main__":
    unittest.main()
