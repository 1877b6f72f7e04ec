"""Django's SQLite under the name of an engine that nobody knows, with faults on request.

A file `fault` beside manage.py has two lines: `fail` or `hang`, and how a statement begins. The
statement that begins so fails, or waits until the file is gone, after making `hanging`.
"""

import os
import time

from django.db import DatabaseError
from django.db.backends.sqlite3 import base

SITE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FAULT = os.path.join(SITE, "fault")


def faulty(execute, sql, params, many, context):
    try:
        with open(FAULT) as file:
            action, beginning = file.read().splitlines()
    except FileNotFoundError:
        return execute(sql, params, many, context)
    if sql.startswith(beginning):
        if action == "fail":
            raise DatabaseError("the tablespace is full")
        with open(os.path.join(SITE, "hanging"), "w"):
            pass
        while os.path.exists(FAULT):
            time.sleep(0.01)
    return execute(sql, params, many, context)


class DatabaseWrapper(base.DatabaseWrapper):
    vendor = "odd"
    display_name = "Odd"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.execute_wrappers.append(faulty)
