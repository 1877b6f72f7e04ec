"""Connections of mysqlclient and PyMySQL, which says that it is mysqlclient."""

from __future__ import annotations

import os
import ssl
from typing import Any

from .option_file import Options, options_of
from .values import Json, port_number, text

# Names of mysqlclient and of option files, in libpq's words.
MODES = {
    "DISABLED": "disable",
    "PREFERRED": "prefer",
    "REQUIRED": "require",
    "VERIFY_CA": "verify-ca",
    "VERIFY_IDENTITY": "verify-full",
}


def configured(wrapper: Any) -> Json:
    given = wrapper.get_connection_params()
    is_pymysql = getattr(wrapper.Database, "__name__", "") == "pymysql"
    file = options_of(given, is_pymysql)

    def fact(name: str, *others: str, option: str | None = None) -> str | None:
        for value in (*(given.get(each) for each in (name, *others)), file.get(option or name)):
            if value not in (None, "", b"", 0):
                return text(value)
        return None

    socket = fact("unix_socket", option="socket")
    host = None if socket else fact("host")
    port = port_number(fact("port"))
    if host and not port:
        # As the driver does, whose own default cannot be asked for.
        port = 3306 if is_pymysql else port_number(os.environ.get("MYSQL_TCP_PORT")) or 3306
    return {
        "host": host,
        "port": port,
        "socket": os.path.abspath(socket) if socket else None,
        "user": fact("user"),
        "password": fact("password", "passwd"),
        "database": fact("database", "db"),
        "tls": _tls(given, file),
        "role": None,
        "options": None,
        "init_command": fact("init_command", option="init-command"),
        "resolved": False,
    }


def read_back(wrapper: Any) -> Json:
    facts = configured(wrapper)
    driver = wrapper.connection
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT DATABASE(), USER(), @@socket")
        database, account, socket = cursor.fetchone()
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        encrypted = bool((cursor.fetchone() or ("", ""))[1])
    facts["database"] = database or facts["database"]
    facts["user"] = account.rpartition("@")[0] or facts["user"]
    if facts["socket"] is None and "UNIX socket" in _way(driver):
        own = os.environ.get("MYSQL_UNIX_PORT") or socket
        if not str(own).startswith("/"):
            raise ValueError("the server does not tell where its socket lies")
        facts.update(host=None, port=None, socket=own)
    elif facts["socket"] is None and facts["host"] is None:
        facts.update(host="localhost", port=facts["port"] or 3306)
    facts["tls"]["mode"] = _used(facts["tls"]["mode"], encrypted, driver)
    facts["resolved"] = True
    return facts


def _way(driver: Any) -> str:
    told = getattr(driver, "get_host_info", None)
    return str(told()) if told is not None else ""


def _used(mode: str, encrypted: bool, driver: Any) -> str:
    context = getattr(driver, "ctx", None)
    if encrypted and isinstance(context, ssl.SSLContext):
        if context.verify_mode == ssl.CERT_NONE:
            return "require"
        return "verify-full" if context.check_hostname else "verify-ca"
    if mode == "prefer":
        return "require" if encrypted else "disable"
    return mode


def _tls(given: Json, file: Options) -> Json:
    value = given.get("ssl")
    members = value if isinstance(value, dict) else {}
    files = {
        name: text(members.get(short) or given.get("ssl_" + short) or file.get("ssl-" + short))
        for name, short in (("root", "ca"), ("certificate", "cert"), ("key", "key"))
    }
    identity = members.get("check_hostname", given.get("ssl_verify_identity"))
    return {
        "mode": _mode(given, file, bool(value) or any(files.values()), files["root"], identity),
        **{name: os.path.abspath(path) if path else None for name, path in files.items()},
    }


def _mode(given: Json, file: Options, wanted: bool, root: str | None, identity: Any) -> str:
    named = str(given.get("ssl_mode") or file.get("ssl-mode") or "").upper()
    if named:
        if named not in MODES:
            raise ValueError(f"`{named}` is no ssl_mode")
        return MODES[named]
    if given.get("ssl_disabled"):
        return "disable"
    if identity or "ssl-verify-server-cert" in file:
        return "verify-full"
    if root:
        return "verify-ca"
    return "require" if wanted else "prefer"
