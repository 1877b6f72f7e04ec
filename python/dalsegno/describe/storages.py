"""The entries of ``STORAGES``, and which of them a file field writes to."""

from __future__ import annotations

import os
from functools import partial
from typing import Any, Callable

from .errors import sentence
from .values import Json, dotted_name, is_utf8


class Files:
    """Which alias a file field's storage is known under."""

    def __init__(self) -> None:
        self.aliases: dict[int, str] = {}
        self.locations: dict[str, str] = {}

    def alias(self, storage: Any) -> str | None:
        known = self.aliases.get(id(unwrapped(storage)))
        if known is None:
            location = _location(storage)
            known = self.locations.get(location) if location else None
        return known

    def holds(self, location: str) -> bool:
        roots = [os.path.join(root, "") for root in self.locations]
        return any(os.path.join(location, "").startswith(root) for root in roots)


def described_storages(warnings: list[str]) -> tuple[list[Json], Files]:
    files = Files()
    described = []
    for alias, backend, build in _configured_storages():
        entry: Json = {"alias": alias, "backend": backend, "static": alias == "staticfiles"}
        try:
            storage = unwrapped(build())
            entry.update(described_storage(storage))
            entry["static"] = entry["static"] or _is_static(storage)
            location = entry["location"]
            files.aliases[id(storage)] = alias
            if location and not entry["static"]:
                entry["same_location_as"] = files.locations.get(location)
                files.locations.setdefault(location, alias)
        except Exception as error:
            entry["error"] = sentence(error)
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


def unwrapped(storage: Any) -> Any:
    from django.utils.functional import LazyObject, empty

    if isinstance(storage, LazyObject):
        if storage._wrapped is empty:
            storage._setup()
        return storage._wrapped
    return storage


def described_storage(storage: Any) -> Json:
    from django.core.files.storage import FileSystemStorage

    kind = type(storage)
    local = isinstance(storage, FileSystemStorage)
    location = _location(storage)
    reason = None
    if local and location is None:
        reason = "it has no location of its own and MEDIA_ROOT is not set"
    return {
        "backend": dotted_name(kind),
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
    if not is_utf8(location):
        raise ValueError(f"the path {location!r} is not UTF-8")
    return location


def _is_static(storage: Any) -> bool:
    from django.contrib.staticfiles.storage import StaticFilesStorage

    return isinstance(storage, StaticFilesStorage)
