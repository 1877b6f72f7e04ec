"""The forms that ``NAME`` of a SQLite database may take."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, unquote

from .values import absolute_path


def sqlite_file(name: str) -> str | None:
    """The file that SQLite opens for a NAME (Django allows URIs); None for one in memory."""
    if name == ":memory:":
        return None
    if not name.startswith("file:"):
        return absolute_path(name)
    rest = name[len("file:") :].split("#")[0].partition("?")[0]
    parameters = uri_parameters(name)
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]
    path = unquote(rest)
    in_memory = parameters.get("mode") == "memory" or parameters.get("vfs") == "memdb"
    if in_memory or path in ("", ":memory:"):
        return None
    return absolute_path(path)


def uri_parameters(name: str) -> dict[str, str]:
    if not name.startswith("file:"):
        return {}
    return dict(parse_qsl(name.split("#")[0].partition("?")[2], keep_blank_values=True))


def sqlite_uri(path: str, parameters: dict[str, str]) -> str:
    query = "&".join(f"{quote(key)}={quote(value)}" for key, value in parameters.items())
    return "file:" + quote(path) + ("?" + query if query else "")
