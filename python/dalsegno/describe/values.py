"""Values of Python in JSON, and paths in UTF-8."""

from __future__ import annotations

import decimal
import os
from typing import Any, Dict

Json = Dict[str, Any]


def plain(value: Any) -> Any:
    """The value in JSON; what has no JSON form becomes ``{"$unsupported": its type}``."""
    from django.utils.functional import Promise

    if value is None or isinstance(value, (bool, int, str)):
        # Enumerations and string subclasses become the plain thing.
        if isinstance(value, str):
            return str.__str__(value)
        return value if value is None or isinstance(value, bool) else int(value)
    if isinstance(value, float) and value == value and abs(value) != float("inf"):
        return float(value)
    if isinstance(value, (os.PathLike, Promise, decimal.Decimal)):
        return str(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    kind = type(value)
    return {"$unsupported": f"{kind.__module__}.{kind.__qualname__}"}


def absolute_path(value: Any) -> str:
    """An absolute path, from the working folder, with no link below ``..`` cut away wrongly."""
    path = os.path.join(os.getcwd(), os.fsdecode(value))
    if not is_utf8(path):
        raise ValueError(f"the path {path!r} is not UTF-8")
    if os.pardir in path.split(os.sep):
        folder, name = os.path.split(path)
        return os.path.join(os.path.realpath(folder), name)
    return os.path.normpath(path)


def text(value: Any) -> str | None:
    """A setting that should be a text, whatever type it was given; None where it is empty."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace") or None
    return None if value is None else str(value) or None


def port_number(value: Any) -> int | None:
    found = text(value)
    return int(found) if found is not None and found.isdigit() else None


def is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def dotted_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
