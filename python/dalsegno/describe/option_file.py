"""Option files of MySQL and MariaDB (``my.cnf``), as far as a client that connects reads them."""

from __future__ import annotations

import os
from typing import Dict

from .values import Json

Options = Dict[str, str]

# Where the client libraries look when a group is named and no file; a later one wins.
PLACES = ("/etc/my.cnf", "/etc/mysql/my.cnf", "~/.my.cnf")
GROUPS = ("client", "client-server", "client-mariadb")
DEEPEST = 10
ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "r": "\r", "\\": "\\", "s": " "}


def options_of(given: Json, is_pymysql: bool) -> Options:
    """What the files that the driver's arguments name say; names have dashes."""
    file, group = given.get("read_default_file"), given.get("read_default_group")
    if not file and not group:
        return {}
    if is_pymysql:
        places = [file or PLACES[0]]
        groups = [group or "client"]
    else:
        places = [file] if file else list(PLACES)
        groups = [*GROUPS, *([group] if group else [])]
    options: Options = {}
    for place in places:
        _read(os.path.expanduser(os.fsdecode(place)), groups, options, DEEPEST)
    if is_pymysql:
        return {name: _unquoted(value) for name, value in options.items()}
    return {name: _plain(value) for name, value in options.items()}


def _read(path: str, groups: list[str], options: Options, depth: int) -> None:
    if depth == 0 or not os.path.isfile(path):
        return
    reading = False
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        for line in map(str.strip, lines):
            if line.startswith("!"):
                _included(line, groups, options, depth - 1)
            elif line.startswith("["):
                reading = line[1:].partition("]")[0].strip() in groups
            elif reading and line and line[0] not in "#;":
                name, _, value = line.partition("=")
                options[_name(name)] = value.strip()


def _included(line: str, groups: list[str], options: Options, depth: int) -> None:
    directive, _, place = line.partition(" ")
    place = place.strip()
    if directive == "!include":
        _read(place, groups, options, depth)
    elif directive == "!includedir" and os.path.isdir(place):
        for name in sorted(os.listdir(place)):
            if name.endswith(".cnf"):
                _read(os.path.join(place, name), groups, options, depth)


def _name(name: str) -> str:
    name = name.strip().lower().replace("_", "-")
    return name[len("loose-") :] if name.startswith("loose-") else name


def _unquoted(value: str) -> str:
    """As PyMySQL reads it, which knows neither escapes nor comments behind a value."""
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def _plain(value: str) -> str:
    """Without its quotes or the comment behind it, escapes resolved."""
    if value[:1] in ("'", '"'):
        end = _closing(value)
        value = value[1:end] if end else value
    else:
        value = value.partition("#")[0].rstrip()
    plain, characters = [], iter(value)
    for character in characters:
        if character == "\\":
            following = next(characters, "")
            character = ESCAPES.get(following, "\\" + following)
        plain.append(character)
    return "".join(plain)


def _closing(value: str) -> int:
    """Where the quote ends that a value begins with; 0 where it does not."""
    at = 1
    while at < len(value):
        if value[at] == "\\":
            at += 1
        elif value[at] == value[0]:
            return at
        at += 1
    return 0
