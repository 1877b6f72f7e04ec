"""How a server is reached: what its driver really used, or what the settings alone say.

The facts are ``{host, port, socket, user, password, database, tls: {mode, root, certificate, key},
role, options, init_command, resolved}``. What is not known is null. ``tls.mode`` is one of
libpq's names but ``allow``. Of PostgreSQL ``socket`` is the folder that the socket lies in, of
MySQL its path. ``resolved`` says that a server answered under these facts.
"""

from __future__ import annotations

from typing import Any

from . import mysql, postgresql
from .values import Json


def configured(wrapper: Any) -> Json | None:
    """The facts of Django's ``wrapper``, from its settings; None where there is no server to reach."""
    if wrapper.vendor == "postgresql":
        return postgresql.configured(wrapper)
    if wrapper.vendor == "mysql":
        return mysql.configured(wrapper)
    return None


def read_back(wrapper: Any) -> Json | None:
    """The facts of a ``wrapper`` that is connected, as its driver and the server tell them."""
    if wrapper.vendor == "postgresql":
        return postgresql.read_back(wrapper)
    if wrapper.vendor == "mysql":
        return mysql.read_back(wrapper)
    return None


def without_database(wrapper: Any) -> Json | None:
    """The facts read back over a connection of its own to no database, or to the one every server
    has: a server answers that has lost the site's."""
    other = wrapper.copy()
    settings = other.settings_dict
    name = settings["NAME"] or None
    settings["NAME"] = "postgres" if wrapper.vendor == "postgresql" else None
    settings["OPTIONS"].pop("pool", None)
    try:
        other.ensure_connection()
        facts = read_back(other)
    finally:
        other.close()
    if facts is not None:
        facts["database"] = name
    return facts
