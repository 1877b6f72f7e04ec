"""What tells, after a crash, whether the rows of a restore were committed.

It is a row of Django's own table of migrations, of an app ``dalsegno`` that no project has, with the
id of the last restore as its name; written in the transaction that writes the rows, it is there if
they are. No table is made for it, and ``migrate`` passes over it.
"""

from __future__ import annotations

from typing import Any

APP = "dalsegno"


def lay(connection: Any) -> None:
    """Make sure that there is a row to be changed, outside of any transaction."""
    recorder = _recorder(connection)
    recorder.ensure_schema()
    if not recorder.migration_qs.filter(app=APP).exists():
        recorder.migration_qs.create(app=APP, name="no restore")


def mark(connection: Any, restore_id: str) -> None:
    """The first statement of the transaction: whoever looks waits for its end, if rows can be locked."""
    _recorder(connection).migration_qs.filter(app=APP).update(name=restore_id)


def marked(connection: Any) -> str | None:
    """The last restore whose rows were committed; waits for one that is under way."""
    from django.db import transaction

    recorder = _recorder(connection)
    if not recorder.has_table():
        return None
    with transaction.atomic(using=connection.alias):
        rows = recorder.migration_qs.filter(app=APP)
        if connection.features.has_select_for_update:
            rows = rows.select_for_update()
        names = [str(name) for name in rows.values_list("name", flat=True)]
    return names[0] if names else None


def _recorder(connection: Any) -> Any:
    from django.db.migrations.recorder import MigrationRecorder

    return MigrationRecorder(connection)
