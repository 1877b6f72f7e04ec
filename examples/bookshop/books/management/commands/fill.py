import os
from datetime import datetime, timezone

from django.conf import settings
from django.core.files.storage import storages
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import JSONField, Value

from accounts.models import User
from books.models import Book, ChangeLog
from books.sample import names as named
from books.sample import tree
from books.sample.load import load
from books.sample.rows import FEWEST_ROWS, GENRES, LANGUAGES, Rows

# The one other table that holds the time of its making.
MIGRATED = datetime(2024, 1, 1, tzinfo=timezone.utc)


class Command(BaseCommand):
    help = "Fills the empty shop with exactly ROWS rows and MEDIA files; the same seed gives the same rows and bytes."

    def add_arguments(self, parser):
        parser.add_argument("--rows", type=int, default=5_000, help=f"rows in all tables, at least {FEWEST_ROWS}")
        parser.add_argument("--media", type=int, default=300, help="files that rows refer to")
        parser.add_argument("--seed", type=int, default=1)

    def handle(self, *, rows, media, seed, **options):
        invoices_root = storages["invoices"].location
        names = named.plan(media)
        source = Rows(rows, names, seed)
        self.refuse_unless_it_fits(rows, media, source)
        self.refuse_unless_empty(media, invoices_root)
        with transaction.atomic():
            # In a block of its own: it switches the checks on again at its end.
            call_command("loaddata", "languages", "genres", verbosity=0)
            with connection.constraint_checks_disabled():
                tables = self.insert(rows, source)
            size, orphans = tree.write(settings.MEDIA_ROOT, invoices_root, names, seed) if media else (0, 0)
        self.report(rows, tables, names, size, orphans)

    def refuse_unless_it_fits(self, rows, media, source):
        if rows < FEWEST_ROWS:
            raise CommandError(f"--rows {rows}: at least {FEWEST_ROWS} are needed to have some in every table")
        if media < 0:
            raise CommandError(f"--media {media}: a number of files is not negative")
        for kind, room in source.room().items():
            if len(source.names.of[kind]) > room:
                raise CommandError(
                    f"--media {media}: {rows} rows have no room for {len(source.names.of[kind])} names of {kind} files;"
                    f" {rows // 5} files always fit, or ask for more rows"
                )

    def refuse_unless_empty(self, media, invoices_root):
        if User.objects.exists() or Book.everything.exists():
            raise CommandError(
                f"the database {connection.settings_dict['NAME']} already holds a shop; fill an empty one"
            )
        for root in (settings.MEDIA_ROOT, invoices_root) if media else ():
            if not tree.is_empty(root):
                raise CommandError(f"the folder {root} is not empty; move it away first")

    def insert(self, rows, source):
        done, tables = LANGUAGES + GENRES, 2
        for model, content in source.tables():
            done += load(model, content)
            tables += 1
        load(ChangeLog, source.changes(rows - done))
        # A JSON null, which is not the same as no value.
        Book.everything.filter(pk=1).update(metadata=Value(None, JSONField()))
        MigrationRecorder(connection).migration_qs.update(applied=MIGRATED)
        connection.check_constraints()
        return tables + 1

    def report(self, rows, tables, names, size, orphans):
        say = self.stdout.write
        deleted = Book.everything.filter(deleted_at__isnull=False).count()
        say(f"rows       {rows} in {tables} tables, not counting Django's own bookkeeping")
        say(
            f"books      {Book.everything.count()}, of which {deleted} deleted ones and {Book.objects.count()} for sale"
        )
        if not names.total:
            return
        kinds = ", ".join(f"{len(found)} {kind}" for kind, found in names.of.items() if found)
        say(f"files      {names.total} that rows refer to, {size / 1e6:.1f} MB with the others: {kinds}")
        say(f"links      1 symlink ({named.SYMLINK}), 1 hard link ({named.HARD_LINK}), both in rows too")
        say(f"missing    1 file that a row refers to ({named.MISSING})")
        say(f"orphaned   {orphans} files that no row refers to")
        say(f"by rule    {len(tree.LEFT_OUT_BY_RULE)} hidden files and files ending in ~, in no row either")
        say(f"empty      1 folder ({tree.EMPTY_FOLDER}{os.sep})")
