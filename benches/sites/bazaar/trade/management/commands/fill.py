import time
from datetime import datetime, timezone

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from trade.sample import Sample


class Command(BaseCommand):
    help = "Fills the empty shop with about ROWS rows, always the same for the same number."

    def add_arguments(self, parser):
        parser.add_argument("--rows", type=int, default=100_000)
        parser.add_argument("--journal", choices=["delete", "wal"], default="delete")

    def handle(self, rows, journal, **options):
        if User.objects.exists():
            raise CommandError(f"the database {connection.settings_dict['NAME']} holds a shop; fill an empty one")
        started = time.monotonic()
        # The moments of the migrations are the only values that come from the clock.
        MigrationRecorder(connection).migration_qs.update(applied=datetime(2024, 1, 1, tzinfo=timezone.utc))
        connection.ensure_connection()
        database = connection.connection
        # A crash would cost the time of a second run, and nothing else.
        for pragma in ["synchronous=OFF", "journal_mode=MEMORY", "cache_size=-400000", "foreign_keys=OFF"]:
            database.execute(f"PRAGMA {pragma}")
        database.execute("BEGIN")
        sample = Sample(rows, make_password("bazaar", salt="bazaar"))
        total = sum(load(database, table, made) for table, made in sample.tables())
        database.execute("COMMIT")
        database.execute("ANALYZE")
        wrong = database.execute("PRAGMA foreign_key_check").fetchone()
        if wrong:
            raise CommandError(f"a row of {wrong[0]} names a row of {wrong[2]} that is not there")
        mode = database.execute(f"PRAGMA journal_mode={journal}").fetchone()[0]
        connection.close()
        self.stdout.write(f"{total:,} rows in {time.monotonic() - started:.1f} s, journal mode {mode}")


def load(database, table, made):
    """Insert the rows, dictionaries with the same keys, and return their number."""
    made = iter(made)
    first = next(made)
    columns, marks = ", ".join(first), ", ".join("?" * len(first))
    insert = f"INSERT INTO {table} ({columns}) VALUES ({marks})"
    database.execute(insert, tuple(first.values()))
    return 1 + database.executemany(insert, (tuple(row.values()) for row in made)).rowcount
