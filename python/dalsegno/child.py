"""One run of the program: a child of this process, JSON lines out of it, answers into it.

The child leads a session of its own, so that a Ctrl-C reaches it once, from here. Its standard
input is a pipe that nothing but an answer is ever written to: when this process ends, however it
ends, the pipe does too, and the child cancels what it does. The descriptor of the project goes
through another pipe, never through arguments, environment or files; before it goes its length, in
four bytes, big-endian.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from types import FrameType
from typing import IO, Any, Callable, Dict, Sequence

from dalsegno.errors import BackupError
from dalsegno.secret import Secret

Json = Dict[str, Any]
#: Is given each line of JSON.
Hear = Callable[[Json], None]
#: Is given a question; True is yes, None means that nobody can be asked.
Ask = Callable[[str], "bool | None"]

#: How much of the child's standard error is kept, in bytes: its end.
KEPT = 64 * 1024


@dataclass(frozen=True)
class Ended:
    """How a run ended."""

    #: As the system tells it: negative for a signal.
    exit_code: int
    #: The last report or error; None where the program had no chance to give one.
    last: Json | None
    #: What it wrote to standard error, where that was kept.
    stderr: str
    #: Whether it was killed, since it took longer than it was given.
    late: bool = False


def run(
    command: Sequence[str],
    *,
    descriptor: Secret | None = None,
    hear: Hear,
    ask: Ask,
    terminal: bool = False,
    seconds: float | None = None,
) -> Ended:
    """Runs the program to its end. With ``terminal`` it has our standard error, and draws on it.

    SIGINT, SIGTERM and SIGHUP are passed on while it works, unless this process has handlers of
    its own for them; then, as after any other exception, the child is told to stop and waited for,
    for as long as it takes to undo what it did. ``seconds`` is for what changes nothing: a child
    that takes longer is killed.
    """
    words = [*command]
    pipe = None
    if descriptor is not None:
        pipe = os.pipe()
        words[1:1] = [f"--descriptor-fd={pipe[0]}"]
    with _Signals() as signals:
        try:
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=None if terminal else subprocess.PIPE,
                    pass_fds=() if pipe is None else (pipe[0],),
                    start_new_session=True,
                )
            except OSError as error:
                raise BackupError(f"cannot run `{command[0]}`: {error.strerror}") from error
            finally:
                if pipe is not None:
                    os.close(pipe[0])
        except BaseException:
            if pipe is not None:
                os.close(pipe[1])
            raise
        try:
            signals.go_to(process)
            if pipe is not None and descriptor is not None:
                _in_thread(lambda: _hand_over(pipe[1], descriptor))
            with _Deadline(process, seconds) as deadline:
                ended = _converse(process, signals, hear, ask)
            return replace(ended, late=deadline.passed and ended.exit_code < 0)
        finally:
            _leave_nobody_behind(process)


def _converse(process: subprocess.Popen[bytes], signals: _Signals, hear: Hear, ask: Ask) -> Ended:
    assert process.stdin is not None and process.stdout is not None
    said: list[bytes] = []
    reader = None
    if process.stderr is not None:
        stderr = process.stderr
        reader = _in_thread(lambda: _keep_end(stderr, said))
    last = None
    for raw in process.stdout:
        line = _understood(raw)
        kind = line.get("event")
        if kind in ("report", "error"):
            last = line
        elif kind == "question":
            _answer(process, signals, ask, line["text"])
            continue
        hear(line)
    exit_code = process.wait()
    if reader is not None:
        reader.join()
    return Ended(exit_code, last, b"".join(said).decode("utf-8", "replace"))


def _understood(raw: bytes) -> Json:
    try:
        line = json.loads(raw)
    except ValueError as error:
        raise BackupError(f"the program answered `{raw[:200]!r}`, which is no JSON") from error
    if not isinstance(line, dict):
        raise BackupError(f"the program answered `{raw[:200]!r}`, which is no JSON object")
    return line


def _answer(process: subprocess.Popen[bytes], signals: _Signals, ask: Ask, question: str) -> None:
    try:
        with signals.raised():
            said = ask(question)
    except KeyboardInterrupt:
        # The run ends as cancelled, and says so itself.
        process.send_signal(signal.SIGINT)
        return
    word = b"nobody\n" if said is None else b"yes\n" if said else b"no\n"
    assert process.stdin is not None
    try:
        process.stdin.write(word)
        process.stdin.flush()
    except BrokenPipeError:
        # It has ended, and its last line says why.
        pass


def _leave_nobody_behind(process: subprocess.Popen[bytes]) -> None:
    """Ends the child if it runs, and closes what was open to it. It must not wait for us, but we
    wait for it without limit: a restore that is killed while it undoes leaves a site in halves."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    for stream in (process.stdin, process.stdout):
        try:
            if stream is not None:
                stream.close()
        except OSError:
            continue
    process.wait()


def _hand_over(pipe: int, descriptor: Secret) -> None:
    try:
        # Nobody waits for the end of the pipe: what another thread forks may hold it open.
        for view in (memoryview(struct.pack(">I", len(descriptor.reveal()))), memoryview(descriptor.reveal())):
            while view:
                view = view[os.write(pipe, view) :]
    except BrokenPipeError:
        # It ended without reading it; its exit code says why.
        pass
    finally:
        os.close(pipe)


def _keep_end(stream: IO[bytes], kept: list[bytes]) -> None:
    with stream:
        while True:
            part = os.read(stream.fileno(), KEPT)
            if not part:
                return
            kept[:] = [(b"".join(kept) + part)[-KEPT:]]


def _in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


class _Deadline:
    """Kills the child, and what it has started, when its time is over."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float | None) -> None:
        self.passed = False
        self._process = process
        self._timer = None if seconds is None else threading.Timer(seconds, self._kill)

    def __enter__(self) -> _Deadline:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _kill(self) -> None:
        if self._process.returncode is not None:
            return
        self.passed = True
        with suppress(ProcessLookupError):
            # It leads a session, and so a group.
            os.killpg(self._process.pid, signal.SIGKILL)


class _Signals:
    """While the child works, a signal to this process is one to the child."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._raising = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is not threading.main_thread():
            # Python lets only the main thread have handlers; there, nobody waits for us.
            return self
        defaults = (signal.SIG_DFL, signal.default_int_handler)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) in defaults:
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def go_to(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        for number in self._early:
            process.send_signal(number)

    def raised(self) -> _Raised:
        """Inside, a signal raises KeyboardInterrupt: somebody is asked, and must not stay so."""
        return _Raised(self)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if self._raising:
            raise KeyboardInterrupt
        if self._process is None:
            self._early.append(number)
        elif self._process.poll() is None:
            self._process.send_signal(number)


class _Raised:
    def __init__(self, signals: _Signals) -> None:
        self._signals = signals

    def __enter__(self) -> None:
        self._signals._raising = True

    def __exit__(self, *exception: object) -> None:
        self._signals._raising = False
