"""The verbs that write: rows of one database, replaced in one transaction.

``load`` begins it and removes all rows of the models that it names; ``load_rows`` stores some;
``load_end`` compares, commits and closes. A failure of any of them ends the transaction, and so does
the end of this process: then the rows are what they were.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import Any

from . import marker
from .errors import HelperError
from .fixture import Shape, shapes
from .stored import columns_of_nobody, connected, explained, in_order, rows_of, stored_models
from .values import Json


class Load:
    """One transaction that replaces rows."""

    def __init__(self, request: Json) -> None:
        self.alias = str(request["alias"])
        self._lock = _locked(str(request["lock"]))
        self.connection = connected(self.alias)
        self._atomic: Any = None
        try:
            marker.lay(self.connection)
            self._begin(str(request["restore"]), request["models"])
        except BaseException:
            self.abandon()
            raise

    def _begin(self, restore_id: str, wanted: list[Json]) -> None:
        from django.db import transaction

        self._atomic = transaction.atomic(using=self.alias)
        self._atomic.__enter__()
        marker.mark(self.connection, restore_id)
        there, _ = stored_models(self.connection)
        self._shapes = shapes(there)
        missing = [described["label"] for described in wanted if described["label"] not in self._shapes]
        if missing:
            raise HelperError("models", f"the project or its database has no {', '.join(missing)}")
        for described in wanted:
            self._compare(described)
        self.models = in_order([self._shapes[described["label"]].model for described in wanted])
        self._unchecked = self.connection.disable_constraint_checking()
        for model in reversed(self.models):
            try:
                rows_of(model, self.alias)._raw_delete(self.alias)
            except Exception as error:
                raise explained(model, error) from error

    def _compare(self, described: Json) -> None:
        """Refuse a model whose columns are not those of the backup: values would be lost."""
        shape = self._shapes[described["label"]]
        strange = sorted({field["name"] for field in described["fields"]} ^ shape.by_name.keys())
        if strange:
            raise HelperError("fields", f"`{shape.label}` and the backup differ in {', '.join(strange)}")
        unknown = columns_of_nobody(self.connection, shape.model)
        if unknown and rows_of(shape.model, self.alias).exists():
            raise HelperError(
                "columns",
                f"the table `{shape.model._meta.db_table}` has rows, and columns that no field of"
                f" `{shape.label}` knows: {', '.join(unknown)}; their values would be lost",
            )

    def rows(self, texts: list[str]) -> None:
        """Store objects; those of one model together."""
        shape: Shape | None = None
        waiting: list[Any] = []
        for text in texts:
            described = json.loads(text)
            if shape is None or described["model"] != shape.label:
                self._insert(shape, waiting)
                shape, waiting = self._shapes[described["model"]], []
            try:
                waiting.append(shape.row(described))
            except Exception as error:
                raise explained(shape.model, error) from error
        self._insert(shape, waiting)

    def _insert(self, shape: Shape | None, rows: list[Any]) -> None:
        """Insert as they are: no ``save``, no ``auto_now``, no signal."""
        if shape is None or not rows:
            return
        size = max(self.connection.ops.bulk_batch_size(shape.fields, rows), 1)
        try:
            for first in range(0, len(rows), size):
                rows_of(shape.model, self.alias)._insert(
                    rows[first : first + size], fields=shape.fields, using=self.alias, raw=True
                )
        except Exception as error:
            raise explained(shape.model, error) from error

    def end(self, counts: Json) -> None:
        """Compare, commit, close."""
        from django.core.management.color import no_style

        if self._unchecked:
            self.connection.enable_constraint_checking()
        self.connection.check_constraints(table_names=[model._meta.db_table for model in self.models])
        with self.connection.cursor() as cursor:
            for line in self.connection.ops.sequence_reset_sql(no_style(), self.models):
                cursor.execute(line)
        for model in self.models:
            label = model._meta.label_lower
            found, wanted = rows_of(model, self.alias).count(), counts.get(label)
            if found != wanted:
                raise HelperError("count", f"`{label}` has {found} rows after loading, the backup says {wanted}")
        atomic, self._atomic = self._atomic, None
        atomic.__exit__(None, None, None)
        self._close()

    def abandon(self) -> None:
        """Leave the rows as they were, and close."""
        try:
            if self._atomic is not None and self.connection.in_atomic_block:
                self.connection.set_rollback(True)
                self._atomic.__exit__(None, None, None)
        finally:
            # Should that have failed: the end of a connection ends its transaction.
            self._close()

    def _close(self) -> None:
        try:
            self.connection.close()
        finally:
            os.close(self._lock)


def _locked(path: str) -> int:
    """Held for as long as this process may still commit: who recovers from a crash waits for it."""
    lock = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise HelperError("lock", f"another process holds `{path}`", error) from error
    return lock


def restored(request: Json) -> Json:
    """The last restore whose rows were committed."""
    connection = connected(str(request["alias"]))
    try:
        return {"restore": marker.marked(connection)}
    finally:
        connection.close()
