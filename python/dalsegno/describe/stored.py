"""Which models have rows in one database, and the order in which their rows can be stored."""

from __future__ import annotations

from typing import Any

from .errors import HelperError, sentence
from .values import Json


def connected(alias: str) -> Any:
    """The connection of an alias, open, each statement a transaction of its own."""
    from django.db import connections

    if alias not in connections.settings:
        raise HelperError("alias", f"the project has no database `{alias}`")
    connection = connections[alias]
    connection.ensure_connection()
    # With AUTOCOMMIT off an atomic block would neither begin nor commit.
    if not connection.get_autocommit():
        connection.set_autocommit(True)
    return connection


def stored_models(connection: Any) -> tuple[list[Any], list[Json]]:
    """The models whose tables are in this database, parents before children, each table once; and
    what is there and belongs to none of them, with the reason.

    What the router says does not count: a table that is there is captured.
    """
    with connection.cursor() as cursor:
        found = connection.introspection.get_table_list(cursor)
    tables = {info.name for info in found if info.type in ("t", "p")}
    views = {info.name for info in found} - tables
    chosen: dict[str, Any] = {}
    left_out: list[Json] = []
    for model in _concrete_models():
        table = connection.introspection.identifier_converter(model._meta.db_table)
        if table in views:
            left_out.append(_left_out(model, "it is a view"))
        elif table not in tables and not _answers(connection, model):
            reason = "the database has no such table"
            if not model._meta.managed:
                reason += ", and Django does not make it"
            left_out.append(_left_out(model, reason))
        elif table not in chosen or _says_more(model, chosen[table]):
            chosen[table] = model
    own = {connection.introspection.identifier_converter(table) for table in ("django_migrations",)}
    for table in sorted(tables - set(chosen) - own):
        left_out.append({"table": table, "model": None, "reason": "no model of the project has it", "rows": True})
    models = in_order(sorted(chosen.values(), key=lambda model: str(model._meta.label_lower)))
    return models, left_out


def in_order(models: list[Any]) -> list[Any]:
    """Each model after those that its foreign keys point at; within a circle, as they come."""
    waiting = {model: _parents(model) & set(models) for model in models}
    ordered: list[Any] = []
    while waiting:
        ready = [model for model, parents in waiting.items() if not parents & waiting.keys()]
        for model in ready or [next(iter(waiting))]:
            del waiting[model]
            ordered.append(model)
    return ordered


def columns_of_nobody(connection: Any, model: Any) -> list[str]:
    """Columns of a model's table that none of its fields has."""
    with connection.cursor() as cursor:
        description = connection.introspection.get_table_description(cursor, model._meta.db_table)
    convert = connection.introspection.identifier_converter
    known = {convert(field.column) for field in model._meta.local_concrete_fields}
    return sorted(str(column.name) for column in description if convert(column.name) not in known)


def rows_of(model: Any, alias: str) -> Any:
    """All rows of a model's own table, whatever its managers leave out."""
    from django.db.models import QuerySet

    return QuerySet(model, using=alias).order_by()


def _concrete_models() -> list[Any]:
    from django.apps import apps

    models = apps.get_models(include_auto_created=True)
    return [model for model in models if not model._meta.proxy and not model._meta.swapped]


def _parents(model: Any) -> set[Any]:
    remotes = (field.remote_field for field in model._meta.local_concrete_fields)
    parents = {remote.model._meta.concrete_model for remote in remotes if remote is not None}
    return parents - {model}


def _says_more(one: Any, other: Any) -> bool:
    """Of two models of one table: that which Django manages, then that with more columns."""

    def says(model: Any) -> tuple[bool, int]:
        return (bool(model._meta.managed), len(model._meta.local_concrete_fields))

    return says(one) > says(other)


def _answers(connection: Any, model: Any) -> bool:
    """Whether a table that is not listed can be read: its name may hold a schema, or be a synonym."""
    from django.db import Error, transaction

    plain = model._meta.db_table.replace("_", "").isalnum()
    if plain:
        return False
    try:
        with transaction.atomic(using=connection.alias):
            rows_of(model, connection.alias).exists()
    except Error:
        return False
    return True


def _left_out(model: Any, reason: str) -> Json:
    return {"table": model._meta.db_table, "model": model._meta.label_lower, "reason": reason, "rows": False}


def explained(model: Any, error: BaseException) -> HelperError:
    """A failure with the model that it happened at."""
    if isinstance(error, HelperError):
        return error
    return HelperError("rows", f"rows of `{model._meta.label}`: {sentence(error)}", error)
