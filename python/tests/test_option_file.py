"""Option files of MySQL, as the drivers of the site read them."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from dalsegno.describe.option_file import options_of

FILE = r"""
# a comment
user = outside
[client]
user=one   # behind a value
password = "a#b 'c' \"d\" \\ \s"  # behind a quoted one
SSL_CA=/ca.pem
loose-host = 'h'
skip-ssl
; another
[mysqld]
user=server
[shop]
init_command=SET @a=1
user = two
"""


class OptionFile(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="dalsegno-python-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.file = self.folder / "my.cnf"
        self.file.write_text(FILE)

    def test_the_client_library_reads_escapes_comments_and_several_groups(self) -> None:
        told = options_of({"read_default_file": str(self.file)}, False)
        expected = {"user": "one", "password": "a#b 'c' \"d\" \\  ", "ssl-ca": "/ca.pem", "host": "h", "skip-ssl": ""}
        self.assertEqual(expected, told)
        told = options_of({"read_default_file": str(self.file), "read_default_group": "shop"}, False)
        self.assertEqual(("two", "SET @a=1", "h"), (told["user"], told["init-command"], told["host"]))

    def test_pymysql_reads_one_group_and_nothing_but_quotes(self) -> None:
        self.file.write_text("[client]\nuser=one\npassword='a#b \\s'\n[shop]\nuser=two # no comment\n")
        told = options_of({"read_default_file": str(self.file)}, True)
        self.assertEqual({"user": "one", "password": "a#b \\s"}, told)
        told = options_of({"read_default_file": str(self.file), "read_default_group": "shop"}, True)
        self.assertEqual({"user": "two # no comment"}, told)

    def test_included_files_are_read_and_circles_end(self) -> None:
        more = self.folder / "more"
        more.mkdir()
        (more / "a.cnf").write_text(f"[client]\nuser=a\n!include {self.file}\n")
        (more / "b.cnf").write_text("[client]\nport=3307\n")
        (more / "c.txt").write_text("[client]\nport=1\n")
        self.file.write_text(f"[client]\nuser=first\nhost=h\n!includedir {more}\n")
        told = options_of({"read_default_file": str(self.file)}, False)
        self.assertEqual(("h", "3307"), (told["host"], told["port"]))

    def test_nothing_is_read_that_is_not_named(self) -> None:
        self.assertEqual({}, options_of({"user": "u"}, False))
        self.assertEqual({}, options_of({"read_default_file": "/nowhere/my.cnf"}, False))
