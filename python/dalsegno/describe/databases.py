"""Each alias of ``DATABASES``: what settings say, and what the database says if it answers."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

from .connection import configured, not_applied, read_back, without_database
from .errors import sentence
from .marker import APP as MARKER_APP
from .sqlite_names import sqlite_file, sqlite_uri, uri_parameters
from .values import Json, plain, text

# Seconds one database may take to tell which migrations it holds.
DATABASE_PATIENCE = 5.0
# A server that refuses within that time is there, and may answer for another database.
REFUSAL = 2.0


class Probe:
    """One alias: what settings say, and what the database itself says if it answers."""

    def __init__(self, alias: str, configuration: Json) -> None:
        self.alias = alias
        self.description = _configured(alias, configuration)
        # Says what column type a field has there; None where the driver cannot be loaded.
        self.connection: Any = None
        # What the database said; None while it says nothing.
        self.answer: Json | None = None
        # Sentences about what could not be told.
        self.warnings: list[str] = []

    def load(self) -> None:
        from django.db import connections

        try:
            self.connection = connections[self.alias]
            self.description["vendor"] = self.connection.vendor
            if self.connection.vendor == "sqlite":
                self._resolve_sqlite_name()
        except Exception as error:
            self.description["reason"] = sentence(error)
            return
        try:
            self.description["connection"] = configured(self.connection)
            for option in not_applied(self.connection):
                self.warnings.append(f"the option `{option}` of the database `{self.alias}` is not applied")
        except Exception as error:
            self.warnings.append(f"how the database `{self.alias}` is reached cannot be told: {sentence(error)}")

    def _resolve_sqlite_name(self) -> None:
        name = os.fsdecode(self.connection.settings_dict["NAME"] or "")
        if not name:
            self.description["reason"] = "its NAME is empty"
            return
        path = sqlite_file(name)
        self.description["memory"] = path is None
        if path is not None:
            is_uri = name.startswith("file:")
            self.description["name"] = sqlite_uri(path, uri_parameters(name)) if is_uri else path
        if path is None:
            self.description["reason"] = "it lives in memory"
        elif not os.path.exists(path):
            self.description["reachable"] = False
            self.description["reason"] = "the database file does not exist"

    def can_be_asked(self) -> bool:
        return self.connection is not None and self.description["reason"] is None

    def knows_types(self) -> bool:
        # MySQL backends ask the server which types it has.
        return self.connection is not None and (
            self.connection.vendor != "mysql" or self.description["reachable"] is True
        )

    def ask(self) -> None:
        """Runs in a thread of its own, since a driver may wait for ever."""
        begun = time.monotonic()
        try:
            self.answer = {**self._asked(), "reachable": True}
        except Exception as error:
            self.answer = {"reachable": False, "reason": sentence(error)}
            if self._is_server() and time.monotonic() - begun < REFUSAL:
                self._ask_without_database()

    def _is_server(self) -> bool:
        return self.connection.vendor in ("postgresql", "mysql")

    def _ask_without_database(self) -> None:
        """How the server is reached that has lost the database, or keeps this user out of it."""
        try:
            facts = without_database(self._private_connection())
        except Exception:
            # The first attempt has told why, and the facts of the settings stand.
            return
        self.answer = {**(self.answer or {}), "connection": facts}

    def _private_connection(self) -> Any:
        """A connection for this thread alone, which neither changes a database nor waits for ever."""
        from django.db import connections

        connection = connections[self.alias].copy(self.alias)
        options = connection.settings_dict["OPTIONS"]
        if connection.vendor == "sqlite":
            name = os.fsdecode(connection.settings_dict["NAME"])
            parameters = uri_parameters(name)
            if parameters.get("mode") != "ro":
                # `rw` never creates a file, and unlike `ro` it leaves no -wal or -shm behind.
                parameters["mode"] = "rw"
            path = sqlite_file(name) or ""
            connection.settings_dict["NAME"] = sqlite_uri(path, parameters)
            options.pop("init_command", None)
            options.pop("transaction_mode", None)
            options["timeout"] = 1
        elif connection.vendor in ("postgresql", "mysql"):
            options.setdefault("connect_timeout", 3)
            # A pool of the site keeps its connections and what they were made with.
            options.pop("pool", None)
        return connection

    def _asked(self) -> Json:
        from django.db import connections
        from django.db.migrations.recorder import MigrationRecorder

        connection = self._private_connection()
        # Connections belong to their thread: this one is seen here only.
        connections[self.alias] = connection
        try:
            connection.ensure_connection()
            if connection.vendor == "sqlite":
                with connection.cursor() as cursor:
                    cursor.execute("PRAGMA query_only = 1")
            recorder = MigrationRecorder(connection)
            table = bool(recorder.has_table())
            own = recorder.migration_qs.exclude(app=MARKER_APP).order_by("id")
            rows = own.values_list("app", "name") if table else []
            return {
                **self._read_back(connection),
                "server_version": _server_version(connection),
                "is_mariadb": _is_mariadb(connection),
                "migrations": {
                    "table": table,
                    "applied": [{"app": app, "name": name} for app, name in rows],
                },
            }
        finally:
            connection.close()

    def _read_back(self, connection: Any) -> Json:
        if not self._is_server():
            return {}
        try:
            return {"connection": read_back(connection)}
        except Exception as error:
            what = f"the connection of the database `{self.alias}` cannot be read back"
            return {"warnings": [f"{what}: {sentence(error)}"]}


def _configured(alias: str, configuration: Json) -> Json:
    test = configuration.get("TEST") or {}
    name = configuration.get("NAME")
    options = configuration.get("OPTIONS") or {}
    return {
        "vendor": None,
        "engine": str(configuration.get("ENGINE") or ""),
        "name": str(name or "") or None,
        "memory": False,
        "host": text(configuration.get("HOST")),
        "port": text(configuration.get("PORT")),
        "user": text(configuration.get("USER")),
        "password": text(configuration.get("PASSWORD")),
        "options": {str(key): plain(value) for key, value in options.items()},
        "time_zone": configuration.get("TIME_ZONE"),
        "atomic_requests": bool(configuration.get("ATOMIC_REQUESTS")),
        "connection": None,
        "test_mirror": test.get("MIRROR"),
        "reachable": None,
        "reason": None,
        "server_version": None,
        "is_mariadb": None,
        "migrations": {"table": None, "applied": None, "pending": None},
    }


def probe_databases() -> dict[str, Probe]:
    from django.db import connections

    probes = {alias: Probe(alias, dict(connections.settings[alias])) for alias in connections}
    asked = []
    for probe in probes.values():
        probe.load()
        if probe.can_be_asked():
            thread = threading.Thread(target=probe.ask, daemon=True)
            thread.start()
            asked.append((probe, thread))
    end = time.monotonic() + DATABASE_PATIENCE
    for probe, thread in asked:
        thread.join(max(0.0, end - time.monotonic()))
        answer = probe.answer
        if answer is None:
            reason = f"it did not answer within {DATABASE_PATIENCE:g} seconds"
            probe.description.update(reachable=False, reason=reason)
        else:
            probe.warnings += answer.pop("warnings", [])
            probe.description["migrations"].update(answer.pop("migrations", {}))
            probe.description.update(answer)
    return probes


def _server_version(connection: Any) -> str | None:
    if connection.vendor == "sqlite":
        return str(connection.Database.sqlite_version)
    try:
        version = connection.get_database_version()
    except Exception:
        return None
    return ".".join(str(part) for part in version) if isinstance(version, tuple) else str(version)


def _is_mariadb(connection: Any) -> bool | None:
    if connection.vendor != "mysql":
        return None
    return bool(getattr(connection, "mysql_is_mariadb", False))


def close_connections() -> None:
    from django.db import connections

    for alias in connections:
        try:
            connections[alias].close()
        except Exception:
            continue
