"""``manage.py backup`` and ``manage.py restore`` as users type them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from typing import Iterator

from sites import SETTINGS, SiteTest

from dalsegno.options import BACKUP, RESTORE


class Commands(SiteTest):
    def test_what_was_backed_up_comes_back(self) -> None:
        before = self.site.state()
        said = self.site.ok("backup", "--filename", "b")
        self.assertTrue(said.startswith("Backup b is complete: "), said)
        self.assertNotIn("start-up", said)
        self.site.damage()
        self.assertNotEqual(before, self.site.state())
        said = self.site.ok("restore", "b", "--force")
        self.assertTrue(said.startswith("Restored b.\n"), said)
        self.assertEqual(before, self.site.state())
        self.site.ok("migrate", "--check")

    def test_every_form_is_restored_by_its_path(self) -> None:
        before = self.site.state()
        for form in ("folder", "tar", "tar.gz", "tar.zst"):
            self.site.ok("backup", "--quiet", "--form", form, "--filename", f"b-{form}")
            self.site.damage()
            path = "backups/b-folder" if form == "folder" else f"backups/b-{form}.{form}"
            self.assertEqual("", self.site.ok("restore", path, "--noinput", "-q"))
            self.assertEqual(before, self.site.state())

    def test_it_may_be_called_from_anywhere(self) -> None:
        done = self.site.python(str(self.site.root / "manage.py"), "backup", "--filename", "b", cwd="/")
        self.assertCode(0, done)
        self.assertEqual(["b.tar.gz", "b.tar.gz.manifest.json"], self.site.backups())
        done = self.site.python(str(self.site.root / "manage.py"), "restore", "b", "--force", cwd="/")
        self.assertCode(0, done)

    def test_djangos_own_options(self) -> None:
        self.site.env["DJANGO_SETTINGS_MODULE"] = ""
        self.assertCode(1, self.site.manage("backup"))
        self.site.ok("backup", f"--settings={SETTINGS}", "--verbosity=2", "--no-color", "--filename", "b")
        colours = self.site.manage("backup", f"--settings={SETTINGS}", "--force-color")
        self.assertIn("\x1b[", colours.stdout)
        done = self.site.manage("restore", f"--settings={SETTINGS}", "nothing", "--traceback")
        self.assertCode(10, done)
        self.assertIn("Traceback (most recent call last)", done.stderr)
        self.assertIn("NotFoundError: no backup `nothing`", done.stderr)

    def test_exit_codes(self) -> None:
        self.site.ok("backup", "--quiet", "--filename", "good")
        self.site.ok("backup", "--quiet", "--filename", "hurt", "--no-compress")
        archive = self.site.root / "backups" / "hurt.tar"
        content = bytearray(archive.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 4096] = bytes(4096)
        archive.write_bytes(content)
        before = self.site.state()
        for code, words, said in (
            (2, ["backup", "--no-such-option"], "unrecognized arguments"),
            (2, ["backup", "--compression-level", "10"], "invalid choice: 10"),
            (2, ["backup", "--database", "nowhere"], "nowhere"),
            (2, ["restore"], "ID|PATH"),
            (10, ["restore", "nothing", "--force"], "no backup `nothing`"),
            (13, ["restore", "good"], "there is no terminal to ask on\nhint: Repeat with `--force` to answer yes."),
            (13, ["backup", "--filename", "good"], "good.tar.gz"),
            (20, ["restore", "hurt", "--force"], "is damaged"),
        ):
            with self.subTest(words=words):
                done = self.site.manage(*words)
                self.assertCode(code, done)
                self.assertIn(said, done.stderr)
                self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(before, self.site.state())

    def test_a_locked_database_is_named(self) -> None:
        self.site.ok("backup", "--quiet", "--filename", "good")
        other = sqlite3.connect(self.site.root / "db.sqlite3", isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN EXCLUSIVE")
        done = self.site.manage("backup")
        self.assertCode(11, done)
        self.assertIn("hint: ", done.stderr)

    def test_a_partial_backup_ends_with_3_after_its_report(self) -> None:
        (self.site.root / "media" / "out").symlink_to("/etc/hostname")
        for words in ([], ["--quiet"]):
            done = self.site.manage("backup", *words)
            self.assertCode(3, done)
            self.assertIn("out", done.stderr)
            self.assertEqual(not words, "is PARTIAL" in done.stdout)
        self.assertCode(10, self.site.manage("restore", "latest", "--force"))

    def test_json_lines_are_those_of_the_program(self) -> None:
        def kinds(text: str) -> list[tuple[str, list[str]]]:
            lines = [json.loads(line) for line in text.splitlines()]
            return [(line["event"], list(line)) for line in lines if line["event"] != "progress"]

        ours = self.site.manage("backup", "--format", "json")
        self.assertCode(0, ours)
        self.assertEqual("", ours.stderr)
        self.assertEqual(kinds(self.site.native("--format", "json", "backup").stdout), kinds(ours.stdout))
        ours = self.site.manage("restore", "nothing", "--format", "json")
        self.assertCode(10, ours)
        self.assertEqual(self.site.native("--format", "json", "restore", "nothing").stdout, ours.stdout)
        refused = self.site.manage("restore", "latest", "--format", "json")
        self.assertCode(13, refused)
        self.assertEqual("refused", json.loads(refused.stdout.splitlines()[-1])["kind"])

    def test_silence(self) -> None:
        for words in (["--quiet"], ["--verbosity", "0"], ["-v0"]):
            done = self.site.manage("backup", *words)
            self.assertCode(0, done)
            self.assertEqual("", done.stdout + done.stderr)
            done = self.site.manage("restore", "latest", "--force", *words)
            self.assertEqual("", done.stdout + done.stderr)
        done = self.site.manage("restore", "latest", "--dry-run", "--quiet")
        self.assertIn("Nothing was changed.", done.stdout)

    def test_restores_that_were_brought_to_an_end_are_told_of_in_silence_too(self) -> None:
        report = {
            **dict.fromkeys(("event", "id", "name", "path", "form"), "report"),
            "outcome": "complete",
            "stored_bytes": 1,
            "engine_seconds": 1.0,
            "manifest": {},
            "recovered": ["restore r of \x1b[2J was undone"],
            "text": "Backup x is complete\n",
        }
        env = self.site.program(f"cat <<'E'\n{json.dumps(report)}\nE\n")
        for words in (["--quiet"], ["--verbosity=0"]):
            done = self.site.manage("backup", *words, env=env)
            self.assertCode(0, done)
            self.assertEqual(("", "warning: restore r of \\u{1b}[2J was undone\n"), (done.stdout, done.stderr))

    def test_who_does_not_listen_stops_nothing_and_changes_no_exit_code(self) -> None:
        before = self.site.state()
        self.site.ok("backup", "--quiet", "--filename", "b")
        for words in ([], ["--format=json"]):
            self.site.damage()
            with _unread() as stream:
                done = self.site.manage(
                    *["restore", "b", "--force", "--no-pre-backup", *words],
                    capture_output=False,
                    stdout=stream,
                    stderr=stream,
                )
                self.assertEqual(0, done.returncode)
                self.assertEqual(before, self.site.state())
                for code, asked in ((10, ["restore", "nothing"]), (13, ["restore", "b"])):
                    done = self.site.manage(*asked, *words, capture_output=False, stdout=stream, stderr=stream)
                    self.assertEqual(code, done.returncode)

    def test_letters_that_a_stream_lacks_stop_nothing(self) -> None:
        ascii_only = {"PYTHONIOENCODING": "ascii"}
        done = self.site.manage("backup", "--filename=b", "--name=Bücher", env=ascii_only)
        self.assertCode(0, done)
        self.assertIn("Backup B\\xfccher is complete", done.stdout)
        done = self.site.manage("backup", "--name=Bücher", "--format=json", env=ascii_only)
        self.assertCode(0, done)
        self.assertEqual("Bücher", json.loads(done.stdout.splitlines()[-1])["name"])

    def test_without_a_terminal_stages_are_lines_on_standard_error(self) -> None:
        done = self.site.manage("backup")
        self.assertRegex(done.stderr, r"^backing up database default \([0-9.]+ KiB\)\n")

    def test_it_works_without_a_database(self) -> None:
        before = self.site.state()
        self.site.ok("backup", "--quiet", "--filename", "b")
        for name in ("db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm"):
            if (self.site.root / name).exists():
                os.remove(self.site.root / name)
        self.site.ok("restore", "b", "--force")
        self.assertEqual(before, self.site.state())

    def test_options_reach_the_engine(self) -> None:
        said = self.site.manage(
            *["backup", "--format=json", "--name=n", "--description=--dashes", "--tag=a", "--tag=b"],
            *["--type=database", "--exclude-data=sessions.Session", "--include-fixtures", "--compression-level=9"],
        ).stdout
        report = json.loads(said.splitlines()[-1])
        metadata = report["manifest"]["metadata"]
        self.assertEqual(("n", "--dashes", ["a", "b"]), tuple(metadata[key] for key in ("name", "description", "tags")))
        self.assertEqual([], list(report["manifest"]["completion"]["storages"]))
        self.assertIsNotNone(report["manifest"]["completion"]["fixtures"])
        self.site.ok("restore", "n", "--to-database", f"sqlite:///{self.site.root}/new.db", "--force")
        self.assertTrue((self.site.root / "new.db").is_file())


@contextlib.contextmanager
def _unread() -> Iterator[int]:
    """A pipe that nobody reads any more."""
    unread, stream = os.pipe()
    os.close(unread)
    try:
        yield stream
    finally:
        os.close(stream)


class Options(SiteTest):
    """The table of options has what the program has, and ``manage.py`` offers all of it."""

    def test_every_option_of_the_program(self) -> None:
        for verb, table in (("backup", BACKUP), ("restore", RESTORE)):
            theirs = _options(self.site.native(verb, "--help").stdout)
            theirs -= {"--project", "--config", "--python", "--format", "--quiet", "--verbose", "--help", "--version"}
            # Hidden there, since it is the default.
            theirs |= {"--create-pre-backup"} if verb == "restore" else set()
            ours = {option.flag for option in table}
            ours |= {"--" + alias.replace("_", "-") for option in table for alias in option.aliases}
            self.assertEqual(theirs, ours)
            offered = _options(self.site.manage(verb, "--help").stdout)
            self.assertEqual(set(), ours - offered)
            self.assertEqual(set(), {"--quiet", "--format", "--verbosity", "--settings", "--traceback"} - offered)

    def test_choices_are_those_of_the_program(self) -> None:
        for verb, table in (("backup", BACKUP), ("restore", RESTORE)):
            for option in table:
                if option.choices:
                    said = self.site.native(verb, f"{option.flag}=no-such-thing", *(["x"] * (verb == "restore"))).stderr
                    named = re.search(r"\[possible values: (.*)\]", said)
                    self.assertIsNotNone(named, said)
                    assert named is not None
                    self.assertEqual(", ".join(option.choices), named[1])


def _options(text: str) -> set[str]:
    return set(re.findall(r"--[a-z][a-z-]+", text.split("Exit codes")[0]))
