"""The content that `manage.py fill` writes: the same seed gives the same rows and the same files, on any machine.

`names` decides which files there are, `rows` makes the rows that hold their names, `load` inserts them, `tree` writes
the files.  Nothing here looks at the clock.
"""
