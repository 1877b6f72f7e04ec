"""The project's side of the helper conversation: Django describes itself to the engine.

The engine starts the project's own interpreter in the folder of ``manage.py`` and hands it this
text; nothing of it is installed in the site and it imports nothing but Django and the standard
library (Python 3.8+, Django 4.0+). ``main`` is called with two file descriptors that belong to
the conversation alone, since settings modules print.

A frame, in both directions, is four bytes of length (big-endian) and one JSON object in UTF-8.

* First comes ``{"hello": "dalsegno-helper", "protocol": 1, "python": "3.11.7",
  "django": "5.2.1"}``; ``django`` is null, with a ``reason``, where it cannot be imported, and
  then nothing follows.
* A request is ``{"id": 1, "verb": "describe", ...}``; its answer is ``{"id": 1, "ok": {...}}`` or
  ``{"id": 1, "error": {"kind", "message", "exception", "traceback", "file", "line"}}``.
* End of requests ends the process, whatever threads the site has started.

The Django app ``backups`` imports this module instead and asks ``descriptor`` in the site's own
process; then there is no conversation, and nothing of the site is touched.

``describe`` needs no database. Whatever a database alone can tell is null when it does not
answer, with the reason beside it, and a missing SQLite file is never created.
"""

from __future__ import annotations

import decimal
import json
import os
import struct
import sys
import threading
import time
import traceback
from functools import partial
from typing import Any, Callable, Dict, Tuple
from urllib.parse import parse_qsl, quote, unquote

PROTOCOL = 1
MAX_FRAME = 64 * 1024 * 1024
# Seconds one database may take to tell which migrations it holds.
DATABASE_PATIENCE = 5.0

Json = Dict[str, Any]
Key = Tuple[str, str]


class HelperError(Exception):
    """A failure with a kind that the engine acts on."""

    def __init__(self, kind: str, message: str, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.cause = cause


# The conversation ----------------------------------------------------------------------------


class Conversation:
    """Frames over two descriptors of its own."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests = requests
        self._answers = answers

    def receive(self) -> Json | None:
        """The next request; None at the end of requests."""
        head = self._read(4, at_boundary=True)
        if head is None:
            return None
        (length,) = struct.unpack(">I", head)
        if length > MAX_FRAME:
            raise HelperError("protocol", f"a request of {length} bytes is too large")
        body = self._read(length, at_boundary=False)
        request = json.loads((body or b"").decode("utf-8"))
        if not isinstance(request, dict):
            raise HelperError("protocol", "a request is not an object")
        return request

    def send(self, message: Json) -> None:
        body = encoded(message)
        if len(body) > MAX_FRAME:
            refusal = {
                "kind": "too_large",
                "message": f"the answer has {len(body)} bytes, more than {MAX_FRAME}",
            }
            body = encoded({"id": message.get("id"), "error": refusal})
        view = memoryview(struct.pack(">I", len(body)) + body)
        while view:
            view = view[os.write(self._answers, view) :]

    def _read(self, length: int, at_boundary: bool) -> bytes | None:
        parts: list[bytes] = []
        missing = length
        while missing:
            part = os.read(self._requests, min(missing, 1 << 20))
            if not part:
                if at_boundary and missing == length:
                    return None
                raise HelperError("protocol", "the requests ended inside a frame")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def encoded(message: Json) -> bytes:
    """JSON in UTF-8, whatever is in it."""
    # Names that are not UTF-8 reach Python as lone surrogates, which JSON cannot carry.
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")


def main(requests: int, answers: int) -> None:
    """Hold one conversation; never returns."""

    def converse() -> None:
        conversation = Conversation(requests, answers)
        configuration = conversation.receive()
        if configuration is not None and _said_hello(conversation):
            _enter_project(conversation, configuration)

    _to_the_end(converse)


def _to_the_end(step: Callable[[], None]) -> None:
    """Take the last step of this process, whatever holds it above."""
    status = 1
    try:
        step()
        status = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        _flush()
        # Threads and exit handlers of the site must not keep the process.
        os._exit(status)


def _said_hello(conversation: Conversation) -> bool:
    hello: Json = {
        "hello": "dalsegno-helper",
        "protocol": PROTOCOL,
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "executable": sys.executable,
        "django": None,
    }
    _put_project_on_path()
    try:
        import django

        hello["django"] = django.get_version()
    except Exception as error:
        hello["reason"] = f"{type(error).__name__}: {error}"
    conversation.send(hello)
    return hello["django"] is not None


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            if stream is not None:
                stream.flush()
        except Exception:
            continue


# Setting Django up ---------------------------------------------------------------------------


def _put_project_on_path() -> None:
    # What the interpreter does for `python manage.py`: the real folder of the script comes first,
    # unless it was told not to (-P, PYTHONSAFEPATH).
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.dirname(os.path.realpath("manage.py")))


def _enter_project(conversation: Conversation, configuration: Json) -> None:
    """Run manage.py up to its call of Django, and answer requests from inside that call.

    So everything manage.py does first (.env loaders, paths, patches) is done, in its own frame.
    """
    import runpy

    from django.core import management as django_management

    management: Any = django_management
    settings_module = configuration.get("settings_module")
    sys.argv = ["manage.py", "check"]
    if settings_module:
        sys.argv.append("--settings=" + settings_module)

    called_from_line = management.execute_from_command_line
    execute = management.ManagementUtility.execute

    def converse(failure: HelperError | None = None) -> None:
        management.execute_from_command_line = called_from_line
        management.ManagementUtility.execute = execute
        sys.argv[0] = "manage.py"
        _answer_requests(conversation, failure or _set_up(settings_module))

    def from_line(argv: list[str] | None = None) -> None:
        _to_the_end(converse)

    def from_utility(self: Any) -> None:
        _to_the_end(converse)

    management.execute_from_command_line = from_line
    management.ManagementUtility.execute = from_utility
    failure = None
    try:
        runpy.run_path(os.path.abspath("manage.py"), run_name="__main__")
    except BrokenPipeError:
        raise
    except BaseException as error:
        failure = HelperError("manage_py", _sentence(error), error)
    converse(failure)


# What had to be left aside for the site to start; part of the descriptor.
_start_warnings: list[str] = []


def _set_up(settings_module: str | None) -> HelperError | None:
    """``django.setup()`` as a management command does it; the failure, if there is one."""
    try:
        if settings_module:
            os.environ["DJANGO_SETTINGS_MODULE"] = settings_module

        import django
        from django.apps import apps
        from django.conf import settings
        from django.db import Error as DatabaseError

        settings.INSTALLED_APPS  # noqa: B018  (loads the settings)
        _never_create_sqlite_files()
        try:
            django.setup()
        except (DatabaseError, OSError) as error:
            # An AppConfig.ready() that asks a dead database. The models are known by then, and a
            # site in ruins must still be described.
            if not apps.models_ready:
                raise
            _start_warnings.append(f"the site did not start completely, an AppConfig.ready() raised {_sentence(error)}")
    except BaseException as error:
        return HelperError("settings", _sentence(error), error)
    return None


def _never_create_sqlite_files() -> None:
    """Make connections to a missing SQLite file fail, where SQLite would create an empty one."""
    try:
        from django.db.backends.sqlite3 import base as sqlite_backend
    except Exception:
        return
    base: Any = sqlite_backend
    connect = base.DatabaseWrapper.get_new_connection

    def get_new_connection(self: Any, conn_params: Json) -> Any:
        path = _sqlite_file(str(conn_params.get("database")))
        if path is not None and not os.path.exists(path):
            raise base.Database.OperationalError("the database file does not exist")
        return connect(self, conn_params)

    base.DatabaseWrapper.get_new_connection = get_new_connection


def _answer_requests(conversation: Conversation, failure: HelperError | None) -> None:
    while True:
        request = conversation.receive()
        if request is None:
            return
        answer: Json = {"id": request.get("id")}
        try:
            verb = VERBS.get(str(request.get("verb")))
            if verb is None:
                message = f"this helper knows no verb `{request.get('verb')}`"
                raise HelperError("unknown_verb", message)
            if failure is not None:
                raise failure
            answer["ok"] = verb(request)
        except BaseException as error:
            answer["error"] = _described_error(error)
            _flush()
        conversation.send(answer)


def _described_error(error: BaseException) -> Json:
    kind = error.kind if isinstance(error, HelperError) else "verb"
    cause = error.cause if isinstance(error, HelperError) else error
    described: Json = {
        "kind": kind,
        "message": str(error) if isinstance(error, HelperError) else _sentence(error),
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


def _sentence(error: BaseException) -> str:
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
    return filename == __file__ or filename == "<frozen runpy>" or filename.endswith("/runpy.py")


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


# The descriptor ------------------------------------------------------------------------------


def describe(request: Json) -> Json:
    try:
        return descriptor(os.getcwd())
    finally:
        # A restore asks who has the database open: not us.
        _close_connections()


def descriptor(base_dir: str) -> Json:
    """What the project is, secrets included; ``base_dir`` is the folder of its ``manage.py``.

    Opens no connection in this thread: each database is asked in a thread of its own.
    """
    import django
    from django.apps import apps
    from django.conf import settings

    warnings = list(_start_warnings)
    probes = _probe_databases()
    databases = {alias: probe.description for alias, probe in probes.items()}
    migrations = _migrations(databases, warnings)
    storages, files = _storages(warnings)
    return {
        **settings_descriptor(base_dir),
        "python": ".".join(str(part) for part in sys.version_info[:3]),
        "django": django.get_version(),
        "time_zone": settings.TIME_ZONE,
        "use_tz": bool(settings.USE_TZ),
        "databases": databases,
        "migrations": migrations,
        "storages": storages,
        "media_root": os.path.abspath(settings.MEDIA_ROOT) if settings.MEDIA_ROOT else None,
        "media_url": str(settings.MEDIA_URL),
        "apps": [_app(app, probes, files, warnings) for app in apps.get_app_configs()],
        "fixture_dirs": _fixture_dirs(settings, apps),
        "auth_user_model": settings.AUTH_USER_MODEL,
        "installed_apps": [str(app) for app in settings.INSTALLED_APPS],
        "own_backups_app": own_backups_app(apps),
        "warnings": warnings,
    }


def settings_descriptor(base_dir: str) -> Json:
    """A descriptor of name, place and ``BACKUP_*`` settings alone: no database is asked."""
    from django.conf import settings

    return {
        "descriptor_version": 1,
        "project": {
            "name": _project_name(settings.SETTINGS_MODULE, base_dir),
            "base_dir": base_dir,
            "settings_module": settings.SETTINGS_MODULE,
        },
        "settings": _backup_settings(settings),
    }


def _project_name(settings_module: str | None, base_dir: str) -> str:
    package = str(settings_module or "").split(".")[0]
    says_nothing = ("", "app", "backend", "conf", "config", "core", "project", "settings", "src")
    if package in says_nothing:
        return os.path.basename(base_dir) or "project"
    return package


def own_backups_app(apps: Any) -> str | None:
    """The folder of an app labelled ``backups`` that is not ours."""
    for app in apps.get_app_configs():
        if app.label == "backups" and not getattr(app, "is_dalsegno", False):
            return str(app.path)
    return None


def _fixture_dirs(settings: Any, apps: Any) -> list[Json]:
    folders = [{"app": app.label, "path": os.path.join(app.path, "fixtures")} for app in apps.get_app_configs()]
    folders += [{"app": None, "path": _path(folder)} for folder in settings.FIXTURE_DIRS]
    return [folder for folder in folders if os.path.isdir(folder["path"])]


def _backup_settings(settings: Any) -> Json:
    found: Json = {}
    for name in dir(settings):
        if name.startswith("BACKUP_") and name.isupper():
            found[name] = {"origin": "setting", "value": _plain(getattr(settings, name))}
    for name, value in os.environ.items():
        if name.startswith("BACKUP_") and name not in found:
            found[name] = {"origin": "environment", "value": value}
    return found


def _plain(value: Any) -> Any:
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
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((_plain(item) for item in value), key=repr)
    kind = type(value)
    return {"$unsupported": f"{kind.__module__}.{kind.__qualname__}"}


def _path(value: Any) -> str:
    """An absolute path, from the working folder, with no link below ``..`` cut away wrongly."""
    path = os.path.join(os.getcwd(), os.fsdecode(value))
    if not _is_utf8(path):
        raise ValueError(f"the path {path!r} is not UTF-8")
    if os.pardir in path.split(os.sep):
        folder, name = os.path.split(path)
        return os.path.join(os.path.realpath(folder), name)
    return os.path.normpath(path)


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _dotted(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


# Databases -----------------------------------------------------------------------------------


class Probe:
    """One alias: what settings say, and what the database itself says if it answers."""

    def __init__(self, alias: str, configuration: Json) -> None:
        self.alias = alias
        self.description = _configured(alias, configuration)
        # Says what column type a field has there; None where the driver cannot be loaded.
        self.connection: Any = None
        # What the database said; None while it says nothing.
        self.answer: Json | None = None

    def load(self) -> None:
        from django.db import connections

        try:
            self.connection = connections[self.alias]
            self.description["vendor"] = self.connection.vendor
            if self.connection.vendor == "sqlite":
                self._resolve_sqlite_name()
        except Exception as error:
            self.description["reason"] = _sentence(error)

    def _resolve_sqlite_name(self) -> None:
        name = os.fsdecode(self.connection.settings_dict["NAME"] or "")
        if not name:
            self.description["reason"] = "its NAME is empty"
            return
        path = _sqlite_file(name)
        self.description["memory"] = path is None
        if path is not None:
            is_uri = name.startswith("file:")
            self.description["name"] = _sqlite_uri(path, _parameters(name)) if is_uri else path
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
        answer: Json = {}
        try:
            answer = self._asked()
            answer["reachable"] = True
        except Exception as error:
            answer["reachable"] = False
            answer["reason"] = _sentence(error)
        self.answer = answer

    def _asked(self) -> Json:
        from django.db import connections
        from django.db.migrations.recorder import MigrationRecorder

        connection = connections[self.alias].copy(self.alias)
        options = connection.settings_dict["OPTIONS"]
        if connection.vendor == "sqlite":
            name = os.fsdecode(connection.settings_dict["NAME"])
            parameters = _parameters(name)
            if parameters.get("mode") != "ro":
                # `rw` never creates a file, and unlike `ro` it leaves no -wal or -shm behind.
                parameters["mode"] = "rw"
            path = _sqlite_file(name) or ""
            connection.settings_dict["NAME"] = _sqlite_uri(path, parameters)
            options.pop("init_command", None)
            options.pop("transaction_mode", None)
            options["timeout"] = 1
        elif connection.vendor in ("postgresql", "mysql"):
            options.setdefault("connect_timeout", 3)
        # Connections belong to their thread: this one is seen here only.
        connections[self.alias] = connection
        try:
            connection.ensure_connection()
            if connection.vendor == "sqlite":
                with connection.cursor() as cursor:
                    cursor.execute("PRAGMA query_only = 1")
            recorder = MigrationRecorder(connection)
            table = bool(recorder.has_table())
            rows = recorder.migration_qs.order_by("id").values_list("app", "name") if table else []
            return {
                "server_version": _server_version(connection),
                "is_mariadb": _is_mariadb(connection),
                "migrations": {
                    "table": table,
                    "applied": [{"app": app, "name": name} for app, name in rows],
                },
            }
        finally:
            connection.close()


def _configured(alias: str, configuration: Json) -> Json:
    test = configuration.get("TEST") or {}
    name = configuration.get("NAME")
    port = configuration.get("PORT")
    options = configuration.get("OPTIONS") or {}
    return {
        "vendor": None,
        "engine": str(configuration.get("ENGINE") or ""),
        "name": str(name or "") or None,
        "memory": False,
        "host": str(configuration.get("HOST") or "") or None,
        "port": None if port in (None, "") else str(port),
        "user": str(configuration.get("USER") or "") or None,
        "password": str(configuration.get("PASSWORD") or "") or None,
        "options": {str(key): _plain(value) for key, value in options.items()},
        "time_zone": configuration.get("TIME_ZONE"),
        "atomic_requests": bool(configuration.get("ATOMIC_REQUESTS")),
        "test_mirror": test.get("MIRROR"),
        "reachable": None,
        "reason": None,
        "server_version": None,
        "is_mariadb": None,
        "migrations": {"table": None, "applied": None, "pending": None},
    }


def _probe_databases() -> dict[str, Probe]:
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


def _close_connections() -> None:
    from django.db import connections

    for alias in connections:
        try:
            connections[alias].close()
        except Exception:
            continue


def _sqlite_file(name: str) -> str | None:
    """The file that SQLite opens for a NAME (Django allows URIs); None for one in memory."""
    if name == ":memory:":
        return None
    if not name.startswith("file:"):
        return _path(name)
    rest = name[len("file:") :].split("#")[0].partition("?")[0]
    parameters = _parameters(name)
    if rest.startswith("//"):
        rest = "/" + rest[2:].partition("/")[2]
    path = unquote(rest)
    in_memory = parameters.get("mode") == "memory" or parameters.get("vfs") == "memdb"
    if in_memory or path in ("", ":memory:"):
        return None
    return _path(path)


def _parameters(name: str) -> dict[str, str]:
    if not name.startswith("file:"):
        return {}
    return dict(parse_qsl(name.split("#")[0].partition("?")[2], keep_blank_values=True))


def _sqlite_uri(path: str, parameters: dict[str, str]) -> str:
    query = "&".join(f"{quote(key)}={quote(value)}" for key, value in parameters.items())
    return "file:" + quote(path) + ("?" + query if query else "")


# Migrations ----------------------------------------------------------------------------------


def _migrations(databases: Json, warnings: list[str]) -> list[Json] | None:
    """Every migration on disk, apps in Django's order; sets what is pending on each alias."""
    try:
        loader = _loaded_migrations({})
    except Exception as error:
        warnings.append(f"the migrations cannot be loaded: {_sentence(error)}")
        return None
    for alias, database in databases.items():
        state = database["migrations"]
        if state["applied"] is None:
            continue
        try:
            applied = {(row["app"], row["name"]) for row in state["applied"]}
            state["pending"] = [{"app": app, "name": name} for app, name in _pending(applied)]
        except Exception as error:
            warnings.append(f"pending migrations of `{alias}` are unknown: {_sentence(error)}")
    # Django finds those of one app in a set, which has another order in every process.
    apps = {app: place for place, (app, _) in reversed(list(enumerate(loader.disk_migrations)))}
    found = sorted(loader.disk_migrations.items(), key=lambda item: (apps[item[0][0]], item[0][1]))
    return [
        {
            "app": app,
            "name": name,
            "replaces": [{"app": a, "name": n} for a, n in migration.replaces],
        }
        for (app, name), migration in found
    ]


def _loaded_migrations(applied: dict[Key, Any]) -> Any:
    """Django's own loader, which knows squashed migrations, over rows that were read before."""
    from django.db.migrations import loader as django_loader

    loader: Any = django_loader

    class Recorder:
        def __init__(self, connection: Any) -> None:
            pass

        def applied_migrations(self) -> dict[Key, Any]:
            return dict(applied)

    original = loader.MigrationRecorder
    loader.MigrationRecorder = Recorder
    try:
        return loader.MigrationLoader(Recorder(None), ignore_no_migrations=True)
    finally:
        loader.MigrationRecorder = original


def _pending(applied: set[Key]) -> list[Key]:
    loader = _loaded_migrations(dict.fromkeys(applied))
    done = set(loader.applied_migrations)
    pending: list[Key] = []
    for target in loader.graph.leaf_nodes():
        for key in loader.graph.forwards_plan(target):
            if key not in done:
                done.add(key)
                pending.append(key)
    return pending


# Storages ------------------------------------------------------------------------------------


class Files:
    """Which alias a file field's storage is known under."""

    def __init__(self) -> None:
        self.aliases: dict[int, str] = {}
        self.locations: dict[str, str] = {}

    def alias(self, storage: Any) -> str | None:
        known = self.aliases.get(id(_unwrapped(storage)))
        if known is None:
            location = _location(storage)
            known = self.locations.get(location) if location else None
        return known

    def holds(self, location: str) -> bool:
        roots = [os.path.join(root, "") for root in self.locations]
        return any(os.path.join(location, "").startswith(root) for root in roots)


def _storages(warnings: list[str]) -> tuple[list[Json], Files]:
    files = Files()
    described = []
    for alias, backend, build in _configured_storages():
        entry: Json = {"alias": alias, "backend": backend, "static": alias == "staticfiles"}
        try:
            storage = _unwrapped(build())
            entry.update(_storage(storage))
            entry["static"] = entry["static"] or _is_static(storage)
            location = entry["location"]
            files.aliases[id(storage)] = alias
            if location and not entry["static"]:
                entry["same_location_as"] = files.locations.get(location)
                files.locations.setdefault(location, alias)
        except Exception as error:
            entry["error"] = _sentence(error)
        described.append(entry)
    return described, files


def _configured_storages() -> list[tuple[str, str, Callable[[], Any]]]:
    from django.conf import settings

    try:
        from django.core.files.storage import storages
    except ImportError:
        # Before Django 4.2.
        from django.core.files.storage import default_storage
        from django.utils.module_loading import import_string

        def static() -> Any:
            return import_string(settings.STATICFILES_STORAGE)()

        return [
            ("default", settings.DEFAULT_FILE_STORAGE, lambda: default_storage),
            ("staticfiles", settings.STATICFILES_STORAGE, static),
        ]
    backends: dict[str, Any] = dict(storages.backends)
    return [
        (alias, str(parameters.get("BACKEND")), partial(storages.__getitem__, alias))
        for alias, parameters in backends.items()
    ]


def _unwrapped(storage: Any) -> Any:
    from django.utils.functional import LazyObject, empty

    if isinstance(storage, LazyObject):
        if storage._wrapped is empty:
            storage._setup()
        return storage._wrapped
    return storage


def _storage(storage: Any) -> Json:
    from django.core.files.storage import FileSystemStorage

    kind = type(storage)
    local = isinstance(storage, FileSystemStorage)
    location = _location(storage)
    reason = None
    if local and location is None:
        reason = "it has no location of its own and MEDIA_ROOT is not set"
    return {
        "backend": _dotted(kind),
        "class_name": kind.__name__,
        "local": local,
        "location": location,
        "reason": reason,
        "base_url": str(storage.base_url) if local and storage.base_url is not None else None,
        "file_permissions_mode": storage.file_permissions_mode if local else None,
        "directory_permissions_mode": storage.directory_permissions_mode if local else None,
    }


def _location(storage: Any) -> str | None:
    from django.core.files.storage import FileSystemStorage

    # An empty location means the working folder to Django: nobody's media, the site itself.
    if not isinstance(storage, FileSystemStorage) or not storage.base_location:
        return None
    location = str(storage.location)
    if not _is_utf8(location):
        raise ValueError(f"the path {location!r} is not UTF-8")
    return location


def _is_static(storage: Any) -> bool:
    from django.contrib.staticfiles.storage import StaticFilesStorage

    return isinstance(storage, StaticFilesStorage)


# Models --------------------------------------------------------------------------------------


def _app(app: Any, probes: dict[str, Probe], files: Files, warnings: list[str]) -> Json:
    models = app.get_models(include_auto_created=True, include_swapped=True)
    return {
        "label": app.label,
        "name": app.name,
        "models": [_model(model, probes, files, warnings) for model in models],
    }


def _model(model: Any, probes: dict[str, Probe], files: Files, warnings: list[str]) -> Json:
    from django.db import router

    options = model._meta
    keys = getattr(options, "pk_fields", None) or [options.pk]
    dependencies = getattr(getattr(model, "natural_key", None), "dependencies", [])
    fields = [*options.local_fields, *options.local_many_to_many, *options.private_fields]
    return {
        "label": options.label,
        "db_table": options.db_table,
        "managed": bool(options.managed),
        "proxy": bool(options.proxy),
        "concrete": options.concrete_model._meta.label if options.concrete_model else None,
        "auto_created": bool(options.auto_created),
        "swapped": options.swapped or None,
        "parents": [parent._meta.label for parent in options.parents],
        "primary_key": [key.name for key in keys if key is not None],
        "database": router.db_for_read(model),
        "write_database": router.db_for_write(model),
        "databases": [alias for alias in probes if router.allow_migrate_model(alias, model)],
        "natural_key": hasattr(model, "natural_key"),
        "natural_key_lookup": hasattr(model._default_manager, "get_by_natural_key"),
        "natural_key_dependencies": [str(label) for label in dependencies],
        "fields": [_field(model, field, probes, files, warnings) for field in fields],
    }


def _field(model: Any, field: Any, probes: dict[str, Probe], files: Files, warnings: list[str]) -> Json:
    from django.db.models import FileField, ImageField

    described: Json = {
        "name": field.name,
        "attname": getattr(field, "attname", None) or field.name,
        # A many-to-many field carries its name there, though it has no column.
        "column": None if getattr(field, "many_to_many", None) else getattr(field, "column", None),
        "class": _dotted(type(field)),
        "internal_type": _attempt(lambda: field.get_internal_type()),
        "db_types": {},
        "null": bool(getattr(field, "null", False)),
        "pk": bool(getattr(field, "primary_key", False)),
        "unique": bool(getattr(field, "unique", False)),
        "serialize": bool(getattr(field, "serialize", False)),
        "generated": bool(getattr(field, "generated", False)),
        "max_length": getattr(field, "max_length", None),
        "max_digits": getattr(field, "max_digits", None),
        "decimal_places": getattr(field, "decimal_places", None),
        "relation": _relation(field),
        "file": None,
    }
    if described["column"] is not None:
        for probe in probes.values():
            if probe.knows_types() and probe.description["vendor"] not in described["db_types"]:
                db_type = _attempt(lambda: field.db_type(probe.connection))  # noqa: B023
                if db_type is not None:
                    described["db_types"][probe.description["vendor"]] = str(db_type)
    if isinstance(field, FileField):
        described["file"] = _file(model, field, files, warnings)
        described["file"]["image"] = isinstance(field, ImageField)
    return described


def _attempt(question: Callable[[], Any]) -> Any:
    """The answer, or None where this kind of field has none."""
    try:
        return question()
    except Exception:
        return None


def _relation(field: Any) -> Json | None:
    # Importing it would fail where contenttypes is not installed.
    generic = sys.modules.get("django.contrib.contenttypes.fields")
    if generic is not None and isinstance(field, generic.GenericForeignKey):
        return {
            "kind": "generic",
            "content_type_field": field.ct_field,
            "object_id_field": field.fk_field,
        }
    remote = getattr(field, "remote_field", None)
    if remote is None:
        return None
    to = _label(remote.model)
    if generic is not None and isinstance(field, generic.GenericRelation):
        return {
            "kind": "generic_relation",
            "to": to,
            "content_type_field": field.content_type_field_name,
            "object_id_field": field.object_id_field_name,
        }
    if field.many_to_many:
        return {
            "kind": "m2m",
            "to": to,
            "through": _label(remote.through) if remote.through else None,
            "through_auto_created": bool(getattr(remote.through, "_meta", None))
            and bool(remote.through._meta.auto_created),
            "column": _attempt(lambda: field.m2m_column_name()),
            "reverse_column": _attempt(lambda: field.m2m_reverse_name()),
        }
    if not (field.many_to_one or field.one_to_one):
        return None
    on_delete = getattr(remote, "on_delete", None)
    return {
        "kind": "o2o" if field.one_to_one else "fk",
        "to": to,
        "field": _attempt(lambda: field.target_field.name),
        "to_column": _attempt(lambda: field.target_field.column),
        "on_delete": getattr(on_delete, "__name__", None),
        "parent_link": bool(getattr(remote, "parent_link", False)),
        "db_constraint": bool(getattr(field, "db_constraint", True)),
    }


def _label(model: Any) -> str:
    return model if isinstance(model, str) else str(model._meta.label)


def _file(model: Any, field: Any, files: Files, warnings: list[str]) -> Json:
    described: Json = {
        "storage": None,
        "backend": None,
        "local": False,
        "location": None,
        "upload_to": field.upload_to if isinstance(field.upload_to, str) else None,
    }
    try:
        storage = _unwrapped(field.storage)
        facts = _storage(storage)
    except Exception as error:
        warnings.append(f"the storage of `{model._meta.label}.{field.name}` cannot be built: {_sentence(error)}")
        return described
    described["storage"] = files.alias(storage)
    for key in ("backend", "local", "location"):
        described[key] = facts[key]
    location = facts["location"]
    if described["storage"] is None and not (location and files.holds(location)):
        place = f"in `{location}`" if location else f"in a `{facts['backend']}`"
        warnings.append(
            f"files of `{model._meta.label}.{field.name}` lie {place}, outside every storage that the settings name"
        )
    return described


VERBS: dict[str, Callable[[Json], Json]] = {"describe": describe}
