"""The typed client, with the real program and with programs that misbehave."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import threading
import time
import traceback
import typing
import unittest
from pathlib import Path
from types import FrameType
from unittest import mock

from sites import WORKSPACE, SiteTest

import dalsegno
from dalsegno import child, errors, options
from dalsegno.secret import Secret


class Verbs(SiteTest):
    def client(self) -> dalsegno.Client:
        return dalsegno.Client(project=self.site.root, python=sys.executable)

    def setUp(self) -> None:
        super().setUp()
        patched = mock.patch.dict(os.environ, self.site.env, clear=True)
        patched.start()
        self.addCleanup(patched.stop)

    def test_reports_are_typed(self) -> None:
        before = self.site.state()
        heard: list[dalsegno.Event] = []
        made = self.client().backup(filename="b", description="d", tag=["x", "y"], listener=heard.append)
        self.assertTrue(made.complete)
        self.assertEqual(("b", "tar.gz", []), (made.name, made.form, made.problems))
        self.assertTrue(Path(made.path).is_file())
        self.assertTrue(made.text.startswith("Backup b is complete"))
        self.assertIn("backing up database default", [each.name for each in heard if isinstance(each, dalsegno.Stage)])
        self.site.damage()
        plan = self.client().restore("b", dry_run=True)
        self.assertTrue(plan.dry_run)
        self.assertIsNone(plan.state)
        done = self.client().restore(Path(made.path), force=True, create_pre_backup=False)
        self.assertEqual((made.id, "switched", True, None), (done.backup, done.state, done.complete, done.pre_backup))
        self.assertEqual(before, self.site.state())
        self.assertTrue(self.client().run("verify", "b")["sound"])

    def test_only_yes_is_a_yes(self) -> None:
        self.client().backup(filename="b")
        questions: list[str] = []

        def no(question: str) -> bool:
            questions.append(question)
            return False

        with self.assertRaisesRegex(dalsegno.RefusedError, "was not confirmed"):
            self.client().restore("b", confirm=no)
        self.assertIn("Restore it into project bookshop?", questions[0])
        with self.assertRaisesRegex(dalsegno.RefusedError, "no terminal"):
            self.client().restore("b")
        self.assertTrue(self.client().restore("b", confirm=lambda question: True).complete)

    def test_errors_have_classes_messages_and_hints(self) -> None:
        with self.assertRaises(dalsegno.NotFoundError) as raised:
            self.client().restore("nothing", force=True)
        error = raised.exception
        self.assertEqual(("no backup `nothing`", 10), (error.message, error.exit_code))
        self.assertIn("Searched", error.hint or "")
        self.assertIn("hint: Searched", str(error))
        with self.assertRaises(dalsegno.UsageError) as raised_usage:
            self.client().backup(form="zip")  # type: ignore[typeddict-item]
        self.assertIn("invalid value 'zip'", raised_usage.exception.message)
        self.assertNotIn("--help", str(raised_usage.exception))
        with self.assertRaisesRegex(TypeError, "unexpected keyword argument 'nonsense'"):
            self.client().backup(nonsense=True)  # type: ignore[call-arg]
        (self.site.root / "media" / "out").symlink_to("/etc/hostname")
        with self.assertRaises(dalsegno.PartialError) as partial:
            self.client().backup(filename="p")
        self.assertEqual("p", partial.exception.report.name)
        self.assertFalse(partial.exception.report.complete)

    def test_a_listener_that_raises_stops_the_run(self) -> None:
        self.site.large_media()

        def listener(event: dalsegno.Event) -> None:
            if isinstance(event, dalsegno.Stage) and "storage" in event.name:
                raise LookupError("enough")

        with self.assertRaisesRegex(LookupError, "enough"):
            self.client().backup(filename="b", listener=listener, compression_level=9)
        self.assertEqual([], self.site.backups())

    def test_threads_may_run_it_too(self) -> None:
        made: list[dalsegno.BackupReport] = []
        threads = [
            threading.Thread(target=lambda name=name: made.append(self.client().backup(filename=name)))
            for name in ("a", "b")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(["a", "b"], sorted(report.name for report in made))


class Misbehaviour(unittest.TestCase):
    """The child is a script that does what the program never should."""

    def client(self, script: str) -> dalsegno.Client:
        import tempfile

        folder = tempfile.TemporaryDirectory(prefix="dalsegno-python-")
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "program"
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return dalsegno.Client(binary=path, descriptor=Secret(b"{}" * 1_000_000))

    def test_a_child_that_a_signal_ends_is_an_error(self) -> None:
        with self.assertRaises(dalsegno.BackupError) as raised:
            self.client("echo something >&2; kill -9 $$").backup()
        self.assertEqual("the program was ended by SIGKILL during `backup`", raised.exception.message)
        self.assertEqual(("something",), raised.exception.causes)
        with self.assertRaisesRegex(dalsegno.BackupError, "SIGSEGV"):
            self.client('echo \'{"event":"report"}\'; kill -11 $$').backup()

    def test_an_end_without_a_report_is_an_error(self) -> None:
        with self.assertRaisesRegex(dalsegno.BackupError, "exit code 0 and without a report"):
            self.client("exit 0").backup()
        with self.assertRaisesRegex(dalsegno.BackupError, "exit code 101(.|\n)*because: panicked"):
            self.client("echo panicked at x >&2; exit 101").backup()
        with self.assertRaises(dalsegno.CancelledError):
            self.client("exit 130").backup()

    def test_what_is_no_json_is_an_error(self) -> None:
        for line in ("nonsense", "[1]"):
            with self.assertRaisesRegex(dalsegno.BackupError, "which is no JSON"):
                self.client(f"echo '{line}'; exec sleep 60").backup()

    def test_full_pipes_hold_nobody_up(self) -> None:
        script = (
            "head -c 3000000 /dev/zero | tr '\\0' x >&2\n"
            'for n in $(seq 20000); do echo \'{"event":"progress","done":1,"total":2}\'; done\n'
            "exit 101\n"
        )
        with self.assertRaises(dalsegno.BackupError) as raised:
            self.client(script).backup()
        self.assertLess(len(str(raised.exception)), 2 * child.KEPT)

    def test_an_engine_that_undoes_is_waited_for_without_limit(self) -> None:
        stage = 'echo \'{"event":"stage","stage":"s","total":null}\''
        client = self.client(f"trap 'sleep 1; touch $0.undone; exit 130' TERM\n{stage}\nwhile :; do sleep 0.1; done")

        def listener(event: dalsegno.Event) -> None:
            raise LookupError("enough")

        watched = mock.patch("subprocess.Popen.wait", autospec=True, side_effect=subprocess.Popen.wait)
        with watched as wait, self.assertRaisesRegex(LookupError, "enough"):
            client.backup(listener=listener)
        self.assertTrue(os.path.exists(f"{client._binary}.undone"))
        self.assertEqual([None], [(*call.args, None)[1] for call in wait.mock_calls if not call.kwargs])

    def test_what_an_error_shows_of_its_frames_holds_no_secret(self) -> None:
        client = self.client('echo \'{"event":"stage","stage":"s","total":null}\'')
        client._descriptor = Secret(b"s3cr3t-hunter2")

        def listener(event: dalsegno.Event) -> None:
            raise LookupError("enough")

        frames: list[FrameType] = []
        try:
            client.backup(listener=listener)
        except LookupError as error:
            frames += [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        self.assertIn("_converse", [frame.f_code.co_name for frame in frames])
        for frame in frames:
            self.assertNotIn("hunter2", repr(frame.f_locals))
        self.assertEqual(b"s3cr3t-hunter2", client._descriptor.reveal())
        self.assertNotIn("hunter2", f"{client._descriptor} {client._descriptor!r}")

    def test_names_in_what_is_partial_do_no_harm_to_a_terminal(self) -> None:
        report = {
            **dict.fromkeys(("event", "id", "name", "path", "form", "outcome"), "report"),
            "stored_bytes": 1,
            "engine_seconds": 1.0,
            "manifest": {"completion": {"problems": [{"subject": "a\x1b[2J\nb\u202e", "reason": "r"}]}},
        }
        with self.assertRaises(dalsegno.PartialError) as raised:
            self.client(f"cat <<'E'\n{json.dumps(report)}\nE\nexit 3").backup()
        self.assertEqual((r"a\u{1b}[2J\nb\u{202e}: r",), raised.exception.causes)
        self.assertEqual(["a\x1b[2J\nb\u202e: r"], raised.exception.report.problems)

    def test_a_program_that_is_not_there(self) -> None:
        client = dalsegno.Client(binary="/nowhere/dalsegno", descriptor=Secret(b"{}"))
        before = len(os.listdir("/proc/self/fd"))
        with self.assertRaisesRegex(dalsegno.BackupError, "cannot run `/nowhere/dalsegno`: No such file"):
            client.backup()
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))

    def test_nothing_stays_open(self) -> None:
        client = self.client("exit 1")
        before = None
        for _ in range(3):
            with self.assertRaises(dalsegno.BackupError):
                client.backup()
            time.sleep(0.1)
            now = len(os.listdir("/proc/self/fd"))
            self.assertEqual(now, now if before is None else before)
            before = now
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)


class Table(unittest.TestCase):
    def test_exceptions_are_those_of_the_outcome_table(self) -> None:
        text = (WORKSPACE / "crates/dalsegno-engine/src/outcome.rs").read_text()
        rows = re.findall(r'row\(ErrorKind::(\w+), (\d+), \d+, "(\w+)"\)', text)
        theirs = {int(code): (re.sub(r"(?<!^)([A-Z])", r"_\1", kind).lower(), name) for kind, code, name in rows}
        ours = {code: (error.kind, error.__name__) for code, error in errors.EXIT_CODES.items()}
        self.assertEqual(theirs, ours)
        for _, name in ours.values():
            self.assertTrue(issubclass(getattr(dalsegno, name), dalsegno.BackupError))

    def test_typed_keywords_are_those_of_the_table(self) -> None:
        for table, typed in ((options.BACKUP, options.BackupOptions), (options.RESTORE, options.RestoreOptions)):
            self.assertEqual([option.dest for option in table], list(typed.__annotations__))

    def test_keywords_become_words(self) -> None:
        for table, given, words in (
            (options.BACKUP, {}, []),
            (options.BACKUP, {"compress": None, "skip_media": False, "no_compress": False}, []),
            (options.BACKUP, {"compress": True}, ["--compress"]),
            (options.BACKUP, {"compress": False}, ["--no-compress"]),
            (options.BACKUP, {"output_dir": Path("/x y"), "compression_level": 9},
             ["--output-dir=/x y", "--compression-level=9"]),
            (options.BACKUP, {"database": "all"}, ["--database=all"]),
            (options.BACKUP, {"database": ["a", "b"], "tag": ()}, ["--database=a", "--database=b"]),
            (options.BACKUP, {"description": ""}, ["--description="]),
            (options.BACKUP, {"compress": False, "no_compress": True}, ["--no-compress"]),
            (options.BACKUP, {"compress": False, "no_compress": False}, ["--no-compress"]),
            (options.RESTORE, {"create_pre_backup": False}, ["--no-pre-backup"]),
            (options.RESTORE, {"create_pre_backup": False, "no_pre_backup": True}, ["--no-pre-backup"]),
            (options.RESTORE, {"create_pre_backup": True, "force": True}, ["--force", "--create-pre-backup"]),
        ):  # fmt: skip
            self.assertEqual(words, options.arguments("verb", table, typing.cast("dict[str, object]", given)))

    def test_the_program_is_found(self) -> None:
        self.assertEqual(os.path.join(sys.prefix, "bin", "dalsegno"), dalsegno.find_binary())
        with mock.patch.dict(os.environ, {"DALSEGNO_BINARY": "/bin/sh"}):
            self.assertEqual("/bin/sh", dalsegno.find_binary())
        with mock.patch.dict(os.environ, {"DALSEGNO_BINARY": "/nowhere"}):
            self.assertRaises(dalsegno.BinaryNotFoundError, dalsegno.find_binary)

    def test_the_package_is_the_program_too(self) -> None:
        said = subprocess.run([sys.executable, "-m", "dalsegno", "--version"], capture_output=True, text=True)
        self.assertEqual(f"dalsegno {dalsegno.__version__}\n", said.stdout)
