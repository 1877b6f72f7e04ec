"""Connections of psycopg 2 and 3. libpq has resolved service files, password files, the
environment, default sockets and lists of hosts before it tells what it used."""

from __future__ import annotations

import os
from typing import Any, Dict

from .values import Json, port_number, text

Parameters = Dict[str, str]

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def configured(wrapper: Any) -> Json:
    settings = wrapper.settings_dict
    parameters = {name: text(value) or "" for name, value in settings["OPTIONS"].items()}
    names = {"HOST": "host", "PORT": "port", "USER": "user", "PASSWORD": "password", "NAME": "dbname"}
    for name, parameter in names.items():
        parameters[parameter] = text(settings[name]) or parameters.get(parameter, "")
    # Which host of a list would answer, libpq alone finds out.
    for name in ("host", "port"):
        if "," in parameters[name]:
            parameters[name] = ""
    return _facts(parameters, None)


def read_back(wrapper: Any) -> Json:
    driver = wrapper.connection
    info = driver.info
    pgconn = getattr(driver, "pgconn", None)
    if pgconn is not None:
        # psycopg 3; its own `get_parameters` leaves out what the environment says.
        used = {option.keyword.decode(): option.val.decode() for option in pgconn.info if option.val is not None}
        encrypted = bool(pgconn.ssl_in_use)
    else:
        used = dict(info.dsn_parameters)
        encrypted = bool(info.ssl_in_use)
    host = info.host
    if used.get("hostaddr") and used.get("sslmode") != "verify-full":
        # The name is only for certificates then, and may mean nothing to a resolver.
        address = getattr(info, "hostaddr", None) or used["hostaddr"]
        host = host if "," in address else address
    role = wrapper.settings_dict["OPTIONS"].get("assume_role")
    used.update(host=host, port=str(info.port), user=info.user, password=info.password or "", dbname=info.dbname)
    return _facts({**used, "assume_role": text(role) or ""}, encrypted)


def _facts(parameters: Parameters, encrypted: bool | None) -> Json:
    host = parameters.get("host") or None
    socket = host if host is not None and host[0] in "/@" else None
    return {
        "host": None if socket else host,
        "port": port_number(parameters.get("port")),
        "socket": socket,
        "user": parameters.get("user") or None,
        "password": parameters.get("password") or None,
        "database": parameters.get("dbname") or None,
        "tls": _tls(parameters, False if socket else encrypted),
        "role": parameters.get("assume_role") or None,
        "options": parameters.get("options") or None,
        "init_command": None,
        "resolved": encrypted is not None,
    }


def _tls(parameters: Parameters, encrypted: bool | None) -> Json:
    mode = parameters.get("sslmode") or "prefer"
    if mode not in MODES:
        raise ValueError(f"`{mode}` is no sslmode")
    root = parameters.get("sslrootcert")
    if root == "system":
        root, mode = None, "verify-full"
    elif mode.startswith("verify"):
        root = os.path.abspath(root) if root else _default("root.crt")
    else:
        root = _existing(root or _default("root.crt"))
    if encrypted is False:
        mode = "disable"
    elif encrypted and not mode.startswith("verify"):
        # A certificate is verified in every mode if there is something to verify it with.
        mode = "verify-ca" if root else "require"
    elif mode == "allow":
        mode = "prefer"
    elif mode == "require" and root:
        mode = "verify-ca"
    certificate = _existing(parameters.get("sslcert") or _default("postgresql.crt"))
    key = _existing(parameters.get("sslkey") or _default("postgresql.key"))
    return {"mode": mode, "root": root, "certificate": certificate, "key": key if certificate else None}


def _default(name: str) -> str:
    return os.path.join(os.path.expanduser("~"), ".postgresql", name)


def _existing(path: str) -> str | None:
    return os.path.abspath(path) if os.path.exists(path) else None
