"""The verbs that read: all rows of one database, from one view, a mebibyte at a time.

``dump`` opens the view and says what is there; ``dump_rows`` is asked until it says ``done``;
``dump_values`` gives the different values of a column, from the same view. It is closed by the end of
the process. ``count`` is one question.
"""

from __future__ import annotations

from typing import Any, Callable, Iterator

from .errors import HelperError
from .fixture import Shape
from .stored import columns_of_nobody, connected, explained, rows_of, stored_models
from .values import Json

# Characters of one answer, about; a row larger than this is an answer of its own.
PART = 1 << 20

# Bytes of one row, about: it must fit into a frame, where it is text inside of text.
LARGEST = 48 << 20

# Rows that are fetched at once.
FETCHED = 1000


class Dump:
    """One view of one database, open until it is left."""

    def __init__(self, alias: str, without_rows: list[str]) -> None:
        from django.db import transaction

        self.alias = alias
        self.connection = connected(alias)
        self._atomic = transaction.atomic(using=alias)
        self._atomic.__enter__()
        try:
            self.isolation = _isolate(self.connection)
            self._models, self.left_out = stored_models(self.connection)
        except BaseException:
            self.close()
            raise
        self._without_rows = without_rows
        self._parts = self._every_part()
        self._values: dict[tuple[str, str], Iterator[Any]] = {}

    def described(self) -> Json:
        shapes = [Shape(model) for model in self._models]
        models = []
        for shape in shapes:
            described = shape.described(self.connection)
            described["unknown_columns"] = columns_of_nobody(self.connection, shape.model)
            models.append(described)
        return {"isolation": self.isolation, "models": models, "left_out": self.left_out}

    def rows(self) -> Json:
        part = next(self._parts, None)
        return {"rows": [], "done": True} if part is None else {"rows": part, "done": False}

    def _every_part(self) -> Iterator[list[Json]]:
        """Texts of rows by the number of their model, in the order of the models."""
        part: list[Json] = []
        held = 0
        for number, model in enumerate(self._models):
            if model._meta.db_table in self._without_rows:
                continue
            texts: list[str] = []
            part.append({"model": number, "texts": texts})
            for text in self._texts(model):
                texts.append(text)
                held += len(text)
                if held >= PART:
                    yield part
                    texts = []
                    part, held = [{"model": number, "texts": texts}], 0
        if part:
            yield part

    def _texts(self, model: Any) -> Iterator[str]:
        shape = Shape(model)
        try:
            for values in shape.read(rows_of(model, self.alias)).iterator(chunk_size=FETCHED):
                text = shape.text(values)
                if len(text) > LARGEST // 4 and len(text.encode("utf-8")) > LARGEST:
                    key = dict(zip((field.attname for field in shape.fields), values))
                    names = [f"{one.name} {key[one.attname]}" for one in shape.keys]
                    message = f"the row {', '.join(names)} of `{shape.label}` is larger than {LARGEST} bytes"
                    raise HelperError("too_large", message)
                yield text
        except Exception as error:
            raise explained(model, error) from error

    def values(self, table: str, column: str) -> Json:
        """Some more of the values of a column; NULL and the empty text are none."""
        found = self._values.setdefault((table, column), self._every_value(table, column))
        values: list[str] = []
        held = 0
        for value in found:
            values.append(value)
            held += len(value)
            if held >= PART:
                return {"values": values, "done": False}
        del self._values[(table, column)]
        return {"values": values, "done": True}

    def _every_value(self, table: str, column: str) -> Iterator[str]:
        for model in self._models:
            for field in model._meta.local_concrete_fields:
                if model._meta.db_table == table and field.column == column:
                    rows = rows_of(model, self.alias).values_list(field.attname, flat=True).distinct()
                    for value in rows.iterator(chunk_size=FETCHED):
                        if value is not None and str(value):
                            yield str(value)
                    return

    def close(self) -> None:
        """Nothing was written: whether the transaction can be ended in order does not matter."""
        try:
            self.connection.set_rollback(True)
            self._atomic.__exit__(None, None, None)
        finally:
            self.connection.close()


def _isolate(connection: Any) -> str:
    """Make the transaction that has just begun one view, where it is known how; says what it is."""
    first: dict[str, Callable[[Any], str]] = {"oracle": _read_only, "microsoft": _snapshot}
    step = first.get(connection.vendor)
    return step(connection) if step is not None else "as the engine has it by default"


def _read_only(connection: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    return "read only"


def _snapshot(connection: Any) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME()")
        state = cursor.fetchone()
        level = "SNAPSHOT" if state is not None and state[0] == 1 else "SERIALIZABLE"
        cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
    return level.lower()


def count(request: Json) -> Json:
    """Rows of every table, and what is there besides."""
    from django.db import transaction

    alias = str(request["alias"])
    connection = connected(alias)
    try:
        with transaction.atomic(using=alias):
            _isolate(connection)
            models, left_out = stored_models(connection)
            counts = [{"table": model._meta.db_table, "rows": rows_of(model, alias).count()} for model in models]
        return {"tables": counts, "left_out": left_out}
    finally:
        connection.close()
