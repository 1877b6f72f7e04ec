"""Apps, models and fields, with the column type each field has in each kind of database."""

from __future__ import annotations

import sys
from typing import Any, Callable

from .databases import Probe
from .errors import sentence
from .storages import Files, described_storage, unwrapped
from .values import Json, dotted_name


def app_models(app: Any, probes: dict[str, Probe], files: Files, warnings: list[str]) -> Json:
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
        "class": dotted_name(type(field)),
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
        storage = unwrapped(field.storage)
        facts = described_storage(storage)
    except Exception as error:
        warnings.append(f"the storage of `{model._meta.label}.{field.name}` cannot be built: {sentence(error)}")
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
