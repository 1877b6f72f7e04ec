"""This process's own connections to the databases that the engine is about to work on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any, Iterator

from dalsegno.errors import RefusedError


def refuse_inside(what: str) -> None:
    """Refuses while this thread has a transaction open: the engine, for which we wait, would wait
    for our lock, or would not see what is not committed yet."""
    for connection in _connections():
        if connection.in_atomic_block:
            raise RefusedError(
                f"the {what} cannot run inside `atomic()`, which is open on database `{connection.alias}`",
                hint="Call it after the transaction; a view needs `@transaction.non_atomic_requests`, and a test "
                "`TransactionTestCase`, since `TestCase` wraps every test in a transaction.",
            )
        if connection.connection is not None and not connection.autocommit:
            raise RefusedError(
                f"the {what} cannot run while database `{connection.alias}` is connected without autocommit",
                hint="Commit, and close the connection, before you call it.",
            )


@contextmanager
def closed() -> Iterator[None]:
    """Inside, this thread has no connection open; nor afterwards, until somebody asks for one.
    What Django remembers of rows is forgotten."""
    _close()
    try:
        yield
    finally:
        _close()
        _forget_rows()


def _close() -> None:
    from django.db import connections

    connections.close_all()


def _connections() -> list[Any]:
    from django.db import connections

    try:
        return list(connections.all(initialized_only=True))
    except TypeError:
        # Before Django 4.1.
        return list(connections.all())


def _forget_rows() -> None:
    from django.apps import apps

    for label, model in (("contenttypes", "ContentType"), ("sites", "Site")):
        if apps.is_installed(f"django.contrib.{label}"):
            apps.get_model(label, model).objects.clear_cache()
