"""At a terminal: progress, the question, and what the keys do."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
import unittest

from sites import SiteTest

from dalsegno import find_binary


def setUpModule() -> None:
    # What runs in the background of a script ignores them, and hands that down.
    for number in (signal.SIGINT, signal.SIGHUP):
        before = signal.signal(number, signal.SIG_DFL if number == signal.SIGHUP else signal.default_int_handler)
        unittest.addModuleCleanup(signal.signal, number, before)


class Terminal:
    """A command with a terminal of its own, as a shell starts it."""

    def __init__(self, test: SiteTest, *words: str, native: bool = False) -> None:
        self.said = ""
        command = [find_binary(), *words] if native else [sys.executable, "manage.py", *words]
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(test.site.root)
            os.execve(command[0], command, {**test.site.env, "TERM": "xterm", "VIRTUAL_ENV": sys.prefix})
        test.addCleanup(os.close, self.terminal)

    def until(self, text: str) -> None:
        """Reads until this was said."""
        while text not in self.said:
            if not self._read():
                raise AssertionError(f"it ended before it said {text!r}:\n{self.said}")

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def end(self) -> int:
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _read(self) -> bool:
        if not select.select([self.terminal], [], [], 60)[0]:
            raise AssertionError(f"a minute of silence after:\n{self.said}")
        try:
            part = os.read(self.terminal, 4096)
        except OSError:
            return False
        self.said += part.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(part)


class AtATerminal(SiteTest):
    def test_progress_is_a_bar_that_goes_away(self) -> None:
        self.site.large_media(60)
        terminal = Terminal(self, "backup", "--filename", "b")
        self.assertEqual(0, terminal.end(), terminal.said)
        self.assertRegex(terminal.said, r"backing up storage default +[━╸─]+ +[0-9.]+ \w+ / [0-9.]+ MiB .*eta")
        self.assertIn("Backup b is complete", terminal.said)
        self.assertNotIn('"event"', terminal.said)
        for words in (["--quiet"], ["--format", "json"]):
            terminal = Terminal(self, "backup", *words)
            self.assertEqual(0, terminal.end(), terminal.said)
            self.assertNotIn("━", terminal.said)

    def test_the_question_names_what_goes_and_only_yes_is_a_yes(self) -> None:
        before = self.site.state()
        self.site.ok("backup", "--quiet", "--filename", "b")
        self.site.damage()
        damaged = self.site.state()
        for typed in ("no\n", "\n", "y\n", "YES\n"):
            terminal = Terminal(self, "restore", "b")
            terminal.until("Restore it into project bookshop?\nType `yes` to go on [no]: ")
            self.assertIn(f"replaces database default: {self.site.root}/db.sqlite3", terminal.said)
            terminal.type(typed)
            self.assertEqual(13, terminal.end(), terminal.said)
            self.assertIn("cancelled: the restore was not confirmed", terminal.said)
            self.assertEqual(damaged, self.site.state())
        terminal = Terminal(self, "restore", "b")
        terminal.until("[no]: ")
        terminal.type("yes\n")
        self.assertEqual(0, terminal.end(), terminal.said)
        self.assertEqual(before, self.site.state())

    def test_ctrl_c_at_the_question(self) -> None:
        self.site.ok("backup", "--quiet", "--filename", "b")
        before = self.site.state()
        for native, said in ((False, "CommandError: cancelled\n"), (True, "error: cancelled\n")):
            terminal = Terminal(self, "restore", "b", native=native)
            terminal.until("[no]: ")
            terminal.type("\x03")
            self.assertEqual(130, terminal.end(), terminal.said)
            self.assertIn(said, terminal.said)
            self.assertNotIn("Traceback", terminal.said)
            self.assertEqual(before, self.site.state())

    def test_ctrl_c_during_the_work(self) -> None:
        self.site.large_media()
        terminal = Terminal(self, "backup", "--compression-level", "9")
        terminal.until("backing up storage default")
        terminal.type("\x03")
        self.assertEqual(130, terminal.end(), terminal.said)
        self.assertNotIn("Traceback", terminal.said)
        self.assertEqual([], self.site.backups())


class Signals(SiteTest):
    def start(self) -> subprocess.Popen[str]:
        """A backup that is at work."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", "backup", "--compression-level", "9"],
            cwd=self.site.root,
            env=self.site.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.stdout.close)  # type: ignore[union-attr]
        self.addCleanup(process.stderr.close)  # type: ignore[union-attr]
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("backing up storage default"):
                return process
        raise AssertionError("it ended too early")

    def engines(self) -> list[str]:
        """Programs at work on this site."""
        found = []
        for pid in os.listdir("/proc"):
            try:
                if pid.isdigit() and os.readlink(f"/proc/{pid}/cwd") == str(self.site.root):
                    found.append(pid)
            except OSError:
                continue
        return found

    def test_signals_are_passed_on(self) -> None:
        self.site.large_media()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            process = self.start()
            process.send_signal(number)
            assert process.stderr is not None
            said = process.stderr.read()
            self.assertEqual(130, process.wait(), said)
            self.assertTrue(said.endswith("CommandError: cancelled\n"), said)
            self.assertEqual([], self.site.backups())
            self.assertEqual([], self.engines())

    def test_who_is_killed_leaves_no_program_behind(self) -> None:
        self.site.large_media()
        process = self.start()
        sessions = {os.getsid(int(pid)) for pid in self.engines()}
        self.assertEqual(2, len(sessions), "a Ctrl-C at the terminal must not reach the program twice")
        process.kill()
        process.wait()
        deadline = time.monotonic() + 30
        while self.engines() and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual([], self.engines())
        self.assertEqual([], self.site.backups())
