"""Check constraints that read the same on every Django: the argument `check` became `condition` in 5.1."""

import django
from django.db import models


def check(name, condition):
    argument = "condition" if django.VERSION >= (5, 1) else "check"
    return models.CheckConstraint(name=name, **{argument: condition})
