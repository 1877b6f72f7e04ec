"""Failures as the engine reads them: a kind, one line, and the traceback without our own frames."""

from __future__ import annotations

import os
import traceback

from .values import Json


class HelperError(Exception):
    """A failure with a kind that the engine acts on."""

    def __init__(self, kind: str, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.cause = cause


def described_error(error: BaseException) -> Json:
    kind = error.kind if isinstance(error, HelperError) else "verb"
    cause = error.cause if isinstance(error, HelperError) else error
    described: Json = {
        "kind": kind,
        "message": str(error) if isinstance(error, HelperError) else sentence(error),
        "exception": None,
        "traceback": None,
        "file": None,
        "line": None,
        "missing_module": None,
    }
    if cause is None:
        return described
    if isinstance(cause, KeyboardInterrupt):
        described["kind"] = "interrupted"
    if isinstance(cause, ModuleNotFoundError):
        described["missing_module"] = cause.name
    described["exception"] = type(cause).__name__
    described["traceback"] = _site_traceback(cause)
    described["file"], described["line"] = _place_in_project(cause)
    return described


def sentence(error: BaseException) -> str:
    if isinstance(error, SystemExit) and not isinstance(error.code, str):
        return f"it exited with status {0 if error.code is None else error.code}"
    text = " ".join(str(error).split())[:500]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _site_traceback(error: BaseException) -> str:
    described = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = described
    while link is not None:
        frames = [f for f in link.stack if not _is_our_frame(f.filename)]
        link.stack = traceback.StackSummary.from_list(frames)
        link = link.__cause__ or link.__context__
    return "".join(described.format())


def _is_our_frame(filename: str) -> bool:
    ours = os.path.dirname(filename) == os.path.dirname(__file__)
    return ours or filename == "<frozen runpy>" or filename.endswith("/runpy.py")


def _place_in_project(error: BaseException) -> tuple[str | None, int | None]:
    """The innermost line of the project's own code that the error went through."""
    root = os.path.realpath(os.getcwd()) + os.sep
    link: BaseException | None = error
    seen = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        places = [(f.filename, f.lineno) for f in traceback.extract_tb(link.__traceback__)]
        if isinstance(link, SyntaxError) and link.filename:
            places.append((link.filename, link.lineno))
        for filename, line in reversed(places):
            if filename.startswith("<"):
                continue
            real = os.path.realpath(filename)
            if real.startswith(root) and "-packages" + os.sep not in real:
                return real, line
        link = link.__cause__ or link.__context__
    return None, None
