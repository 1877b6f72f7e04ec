"""What every management command has: a door to one verb of the engine, and no logic of its own."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from contextlib import nullcontext
from typing import Any, Callable, Dict, Sequence

from django.core.management.base import BaseCommand, CommandError

from backups import project, transactions
from dalsegno.client import Client
from dalsegno.errors import BackupError, CancelledError
from dalsegno.options import FLAG, LIST, Option, arguments
from dalsegno.printable import one_line

Json = Dict[str, Any]


class Door(BaseCommand):
    """A command that runs one verb and shows what the engine says of it.

    It fails with a ``CommandError`` that has the verb's exit code as ``returncode``. A backup or
    restore that finished, but not all of it, fails in that way too (3), after its report.
    """

    #: The verb of the engine.
    verb: str
    #: Its options.
    table: tuple[Option, ...]
    #: Whether it writes into the site's databases: then no connection of ours is left open.
    replaces_data = False

    # A site in ruins must be restorable: nothing of it is checked first.
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        for option in self.table:
            _add(parser, option)
        parser.add_argument("-q", "--quiet", action="store_true", help="say nothing but errors, as --verbosity 0")
        parser.add_argument(
            "--format",
            choices=("text", "json"),
            default="text",
            help="how to report: for people, or one JSON object a line [default: text]",
        )

    def run_from_argv(self, argv: list[str]) -> None:
        try:
            super().run_from_argv(argv)
        except CommandError as error:
            # With --traceback Django lets it through; the exit code is what scripts go by.
            traceback.print_exc()
            sys.exit(error.returncode)
        except OSError as error:
            # Nobody reads standard error any more, and Django wanted to say what failed.
            if not isinstance(error.__context__, CommandError):
                raise
            sys.exit(error.__context__.returncode)
        finally:
            _give_up_unread()

    def ask_engine(self, options: Json, words: Sequence[str] = ()) -> Json:
        """Runs the verb with these options, then ``words``; returns its report."""
        voice = Voice(self, options)
        try:
            transactions.refuse_inside(self.verb)
            given = {option.dest: options.get(option.dest) for option in self.table}
            spoken = [*voice.loudness(), *arguments(self.verb, self.table, given), *words]
            with transactions.closed() if self.replaces_data else nullcontext():
                client = Client(descriptor=project.descriptor())
                return client.run(self.verb, *spoken, hear=voice.hear, ask=voice.ask, terminal=voice.terminal)
        except BackupError as error:
            voice.fail(error)
            raise CommandError(str(error), returncode=error.exit_code) from error
        except KeyboardInterrupt:
            voice.fail(CancelledError("cancelled"))
            raise
        except Exception as error:
            voice.fail(BackupError(f"{type(error).__name__}: {error}"))
            raise


class Voice:
    """The streams of a command, and how much is said on them."""

    def __init__(self, command: BaseCommand, options: Json) -> None:
        self._stdout, self._stderr, self._style = command.stdout, command.stderr, command.style
        self._verbosity = 0 if options.get("quiet") else int(options.get("verbosity", 1))
        self._json = options.get("format") == "json"
        self._dry_run = bool(options.get("dry_run"))
        # Whether the engine has had its last word.
        self._ended = False
        #: Whether the engine may draw on standard error: it is the command's, and a terminal.
        self.terminal = self._verbosity > 0 and not self._json and _is_own_terminal(self._stderr)

    def loudness(self) -> list[str]:
        if self._verbosity == 0:
            return ["--quiet"]
        return ["--verbose"] * (self._verbosity - 1)

    def hear(self, line: Json) -> None:
        self._ended = self._ended or line["event"] in ("report", "error")
        if self._json:
            # Texts are for people; a warning is nothing else.
            shown = {key: line[key] for key in line if key != "text" or line["event"] == "warning"}
            text = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
            _say(self._stdout, text, escaped=lambda: json.dumps(shown, separators=(",", ":")))
        elif line["event"] == "report":
            if self._verbosity == 0:
                # This changed the site; who is not silent has heard it as a warning.
                for told in line.get("recovered", ()):
                    self._warn(one_line(told))
            # A dry run's plan is what was asked for.
            if self._verbosity > 0 or self._dry_run:
                self._report(line)
        elif self._verbosity > 0 and not self.terminal:
            if line["event"] == "stage":
                _say(self._stderr, line["text"], _plain)
            elif line["event"] == "warning":
                self._warn(line["text"])

    def fail(self, error: BackupError) -> None:
        """In JSON the last line is a report or an error, though the engine was not asked."""
        if self._json and not self._ended:
            line = {
                "event": "error",
                "kind": error.kind,
                "exit_code": error.exit_code,
                "message": error.message,
                "causes": error.causes,
                "hint": error.hint,
            }
            self.hear(line)

    def ask(self, question: str) -> bool | None:
        """Whether somebody at a terminal says ``yes``; None where there is none."""
        if self._json or sys.stdin is None or not sys.stdin.isatty():
            return None
        if not _say(self._stderr, f"{question}\nType `yes` to go on [no]: ", _plain, ending=""):
            return None
        try:
            return sys.stdin.readline().strip() == "yes"
        except (OSError, UnicodeError):
            return False

    def _warn(self, text: str) -> None:
        _say(self._stderr, f"warning: {text}", self._style.WARNING)

    def _report(self, line: Json) -> None:
        complete = line.get("outcome", "complete") == "complete" and line.get("complete", True)
        first, rest = line["text"].split("\n", 1)
        _say(self._stdout, first, self._style.SUCCESS if complete else self._style.WARNING)
        if rest:
            _say(self._stdout, rest, _plain, ending="")


def _say(
    stream: Any,
    text: str,
    style: Callable[[str], str] | None = None,
    ending: str | None = None,
    escaped: Callable[[], str] | None = None,
) -> bool:
    """Whether it could be written. What cannot be never ends the work: a restore goes on, and its
    exit code tells what became of it. A stream that lacks a letter gets it escaped."""
    try:
        try:
            stream.write(text, style, ending)
        except UnicodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            told = escaped() if escaped else text.encode(encoding, "backslashreplace").decode(encoding)
            stream.write(told, style, ending)
        stream.flush()
    except (OSError, ValueError):
        # Nobody reads it, its disk is full, it is closed.
        return False
    return True


def _give_up_unread() -> None:
    """What the standard streams still hold and nobody takes is dropped. At its end Python would try
    once more, and replace the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            try:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
            except (OSError, ValueError):
                continue


def _plain(text: str) -> str:
    return text


def _is_own_terminal(stream: Any) -> bool:
    """Whether a command's standard error is this process's, and a terminal."""
    try:
        return stream._out is sys.stderr and sys.stderr.fileno() == 2 and os.isatty(2)
    except (AttributeError, OSError, ValueError):
        return False


def _add(parser: argparse.ArgumentParser, option: Option) -> None:
    names = [option.flag, *("--" + alias.replace("_", "-") for alias in option.aliases)]
    # Nothing is said where nothing was asked for: defaults are the engine's.
    how: Json = {"dest": option.dest, "default": None, "help": option.help}
    if option.kind == FLAG:
        parser.add_argument(*names, action="store_true", **how)
        return
    how["metavar"] = option.metavar
    if option.choices:
        how["choices"] = option.choices
        how["metavar"] = "{" + ",".join(option.choices) + "}"
    if option.integers is not None:
        first, last = option.integers
        how["type"], how["choices"] = int, range(first, last + 1)
    parser.add_argument(*names, action="append" if option.kind == LIST else "store", **how)
