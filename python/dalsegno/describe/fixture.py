"""One row as an object of a Django fixture, and back, with nothing of it lost.

The object is what ``loaddata`` takes: ``{"model", "pk", "fields"}``. Where ``dumpdata`` loses
something it differs: microseconds stay, NULL of a file field stays NULL, fields with
``serialize=False`` are there, tables of many-to-many relations are models of their own. What JSON
has no word for goes through the field's ``value_to_string``. A JSON null, which Django's fields
cannot tell from NULL, is named in ``"json_null"``, which ``loaddata`` passes over.
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
from types import SimpleNamespace
from typing import Any, Iterable, Sequence

from .errors import HelperError
from .values import Json

FLAG = "dalsegno_null_"


class Shape:
    """The columns of one model."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.label = str(model._meta.label_lower)
        own = model._meta.local_concrete_fields
        # What the database computes it computes again.
        self.fields: list[Any] = [field for field in own if not getattr(field, "generated", False)]
        self.by_name = {field.name: field for field in self.fields}
        # A key of several columns: they are fields like any other.
        keys = getattr(model._meta, "pk_fields", None) or [model._meta.pk]
        self.keys: list[Any] = keys
        self.pk = keys[0] if len(keys) == 1 else None
        self._json = [field for field in self.fields if _is_json(field)]

    def described(self, connection: Any) -> Json:
        return {
            "label": self.label,
            "table": self.model._meta.db_table,
            "managed": bool(self.model._meta.managed),
            "fields": [
                {"name": field.name, "column": field.column, "type": str(field.db_type(connection))}
                for field in self.fields
            ],
        }

    def read(self, rows: Any) -> Any:
        """A query for what ``text`` takes."""
        from django.db.models import BooleanField, ExpressionWrapper, Q

        flags = {
            f"{FLAG}{number}": ExpressionWrapper(Q(**{f"{field.name}__isnull": True}), output_field=BooleanField())
            for number, field in enumerate(self._json)
        }
        names = [field.attname for field in self.fields]
        ordered = rows.order_by(*(key.attname for key in self.keys))
        return ordered.annotate(**flags).values_list(*names, *flags)

    def text(self, values: Sequence[Any]) -> str:
        """The object of one row, on one line; the same row always has the same text."""
        row = self._instance(values)
        written = {field.name: _written(field, row, value) for field, value in zip(self.fields, values)}
        nulls = [
            field.name
            for field, is_null in zip(self._json, values[len(self.fields) :])
            if not is_null and written[field.name] is None
        ]
        pk = written.pop(self.pk.name) if self.pk is not None else [written[key.name] for key in self.keys]
        described: Json = {"model": self.label, "pk": pk, "fields": written}
        if nulls:
            described["json_null"] = nulls
        return _encoded(described)

    def row(self, described: Json) -> Any:
        """What can be inserted for an object."""
        values = dict(described["fields"])
        if self.pk is not None:
            values[self.pk.name] = described["pk"]
        if values.keys() != self.by_name.keys():
            strange = sorted(values.keys() ^ self.by_name.keys())
            raise HelperError("fields", f"an object of `{self.label}` differs from the model in {', '.join(strange)}")
        row = SimpleNamespace()
        nulls = described.get("json_null", ())
        for name, value in values.items():
            field = self.by_name[name]
            stored = _json_null() if name in nulls else _read(field, value)
            setattr(row, field.attname, stored)
        return row

    def _instance(self, values: Sequence[Any]) -> Any:
        """An instance that no ``__init__`` and no signal has seen: fields ask for one."""
        from django.db.models.base import ModelState

        instance = self.model.__new__(self.model)
        instance.__dict__["_state"] = ModelState()
        for field, value in zip(self.fields, values):
            instance.__dict__[field.attname] = value
        return instance


def _is_json(field: Any) -> bool:
    from django.db.models import JSONField

    return isinstance(field, JSONField)


def _written(field: Any, instance: Any, value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if _is_json(field):
        return value if field.encoder is None else json.loads(json.dumps(value, cls=field.encoder))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        # JSON has no word for these; every float field reads them.
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, str) and not _has_own_text(field):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray, memoryview)) and not _has_own_text(field):
        raise HelperError("fields", f"`{field}` holds bytes, and the field has no text for them")
    return field.value_to_string(instance)


def _has_own_text(field: Any) -> bool:
    from django.db.models import Field

    return type(field).value_to_string is not Field.value_to_string


def _read(field: Any, value: Any) -> Any:
    if value is None:
        return None
    if _is_json(field):
        # As ``from_db_value`` would have made it.
        return json.loads(json.dumps(value), cls=field.decoder) if field.decoder is not None else value
    return field.to_python(value)


def _json_null() -> Any:
    import django
    from django.db.models import JSONField, Value

    return Value(None, JSONField()) if django.VERSION >= (4, 2) else Value("null")


def _encoded(described: Json) -> str:
    text = json.dumps(described, ensure_ascii=False, allow_nan=False, default=_unknown)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Half a surrogate pair, which only an escape can carry.
        return json.dumps(described, allow_nan=False, default=_unknown)
    return text


def _unknown(value: Any) -> Any:
    """What lies inside of a JSON value, or comes from ``value_to_string``, and is no JSON."""
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    kind = type(value)
    raise HelperError("fields", f"a value of type {kind.__module__}.{kind.__qualname__} has no form in a fixture")


def shapes(models: Iterable[Any]) -> dict[str, Shape]:
    return {shape.label: shape for shape in map(Shape, models)}
