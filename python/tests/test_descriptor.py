"""What the process tells the engine of itself, and where secrets go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

from sites import SiteTest

OURS = """
import json
from backups import project
from dalsegno import Client
report = Client(descriptor=project.descriptor()).run("describe")
print(json.dumps([report["project"], report["settings"]]))
"""

SECRET = "s3cr3t-hunter2"


class Descriptor(SiteTest):
    def test_it_is_the_one_that_the_program_would_have_got(self) -> None:
        self.site.settings(
            """
            BACKUP_DIR = "kept"
            BACKUP_RETENTION_DAYS = 7
            DATABASES["second"] = {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "second.sqlite3"}
            DATABASES["dead"] = {"ENGINE": "django.db.backends.nothing", "NAME": "x", "PASSWORD": "y" * 9}
            """
        )
        native = self.site.native("--format", "json", "describe")
        theirs = json.loads(native.stdout.splitlines()[-1])
        for how in ({}, {"cwd": "/", "env": {"PYTHONPATH": str(self.site.root)}}):
            ours = json.loads(self.site.script(OURS, **how))
            self.assertEqual([theirs["project"], theirs["settings"]], ours)
        self.assertEqual("the database file does not exist", theirs["project"]["databases"]["second"]["reason"])
        self.assertFalse((self.site.root / "second.sqlite3").exists(), "asking creates nothing")

    def test_describing_opens_no_connection_of_the_caller(self) -> None:
        said = self.site.script(
            """
            from backups import project
            from django.db import connection
            project.descriptor()
            print(connection.connection is None)
            connection.ensure_connection()
            before = connection.connection
            project.descriptor()
            print(connection.connection is before)
            """
        )
        self.assertEqual("True\nTrue\n", said)

    def test_a_pipe_that_another_process_holds_open_holds_nobody_up(self) -> None:
        """As where another thread forks between the pipe and the start of the program."""
        said = self.site.script(
            """
            import os
            from unittest import mock
            from backups import project
            from dalsegno import Client
            pipe, held = os.pipe, []
            def kept():
                ends = pipe()
                if not held:
                    held.append(os.dup(ends[1]))
                return ends
            with mock.patch("dalsegno.child.os.pipe", kept):
                report = Client(descriptor=project.descriptor()).run("describe", seconds=60)
            print(report["project"]["project"]["name"], len(held) > 0)
            """
        )
        self.assertEqual("bookshop True\n", said)

    def test_error_pages_show_no_password(self) -> None:
        self.site.settings(
            f"""
            SECRET = {SECRET[:7]!r} + {SECRET[7:]!r}
            DATABASES["other"] = {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "PASSWORD": SECRET}}
            """
        )
        said = self.site.script(
            """
            import traceback
            from django.core.management import CommandError, call_command
            try:
                call_command("backup")
            except CommandError as error:
                while error is not None:
                    for frame, _ in traceback.walk_tb(error.__traceback__):
                        print(frame.f_code.co_name, frame.f_locals)
                    error = error.__cause__
            """,
            env={"DALSEGNO_BINARY": "/nowhere"},
        )
        self.assertIn("'descriptor': Secret(***)", said)
        self.assertNotIn(SECRET, said)

    def test_secrets_are_in_no_argument_environment_or_file(self) -> None:
        self.site.settings(
            f"""
            SECRET = {SECRET[:7]!r} + {SECRET[7:]!r}
            BACKUP_SFTP_PASSWORD = SECRET
            DATABASES["other"] = {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "PASSWORD": SECRET}}
            """
        )
        self.site.large_media(60)
        process = subprocess.Popen(
            [sys.executable, "manage.py", "backup", "--no-compress", "-v", "3"],
            cwd=self.site.root,
            env=self.site.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        watched: set[str] = set()
        watcher = threading.Thread(target=_watch, args=(process, watched))
        watcher.start()
        said = process.communicate()[0].decode()
        watcher.join()
        self.assertEqual(0, process.returncode, said)
        self.assertTrue(any("--descriptor-fd" in text for text in watched), "the program was seen at work")
        for text in [said, *watched]:
            self.assertNotIn(SECRET, text)
        for folder, _, names in os.walk(self.site.root.parent):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        self.assertNotIn(SECRET.encode(), file.read(), path)
        told = self.site.script(OURS)
        self.assertIn('"password": "***"', told)
        self.assertNotIn(SECRET, told)


def _watch(process: subprocess.Popen[bytes], watched: set[str]) -> None:
    """Collects arguments and environments of a process and its children."""
    while process.poll() is None:
        try:
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as file:
                children = file.read().split()
        except OSError:
            children = []
        for pid in [str(process.pid), *children]:
            for name in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{pid}/{name}", "rb") as source:
                        watched.add(source.read().decode("utf-8", "replace"))
                except OSError:
                    continue
        time.sleep(0.005)
