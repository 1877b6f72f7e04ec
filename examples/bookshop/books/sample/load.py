"""Inserts many rows of one model fast, past `save()`, signals and `auto_now`."""

from itertools import islice

from django.core.management.color import no_style
from django.db import connection

BATCH = 2_000


def load(model, rows):
    """Inserts `rows` (dicts by column attribute, complete) and returns how many there were."""
    fields = model._meta.local_concrete_fields
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    sql = f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({marks})"
    prepare = [(field.attname, field.get_db_prep_save) for field in fields]
    rows, done = iter(rows), 0
    with connection.cursor() as cursor:
        while batch := list(islice(rows, BATCH)):
            cursor.executemany(sql, [[prep(row[name], connection) for name, prep in prepare] for row in batch])
            done += len(batch)
        for reset in connection.ops.sequence_reset_sql(no_style(), [model]):
            cursor.execute(reset)
    return done
