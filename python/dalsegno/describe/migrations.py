"""Migrations on disk, and which of them each database still lacks."""

from __future__ import annotations

from typing import Any, Tuple

from .errors import sentence
from .values import Json

Key = Tuple[str, str]


def described_migrations(databases: Json, warnings: list[str]) -> list[Json] | None:
    """Every migration on disk, apps in Django's order; sets what is pending on each alias."""
    try:
        loader = _loaded_migrations({})
    except Exception as error:
        warnings.append(f"the migrations cannot be loaded: {sentence(error)}")
        return None
    for alias, database in databases.items():
        state = database["migrations"]
        if state["applied"] is None:
            continue
        try:
            applied = {(row["app"], row["name"]) for row in state["applied"]}
            state["pending"] = [{"app": app, "name": name} for app, name in _pending(applied)]
        except Exception as error:
            warnings.append(f"pending migrations of `{alias}` are unknown: {sentence(error)}")
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
