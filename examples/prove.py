#!/usr/bin/env python3
"""Prove that two databases hold the same rows, or two folders the same files.

    prove.py rows DB.sqlite3                   one line for each table, the schema and the pragmas, and one total
    prove.py files DIR [--times] [--modes]     one line for each entry, and one total
    prove.py compare A B                       do two saved outputs say the same?

It knows nothing of the program that it checks: rows are read through Python's sqlite3, files through os.  Lines are
columns divided by tabs; tabs, newlines and backslashes in names are escaped, other bytes are written as they are.

rows      `table  rows  hash`.  The hash does not depend on the order of the rows, so VACUUM does not change it; it
          does depend on the type of each value: the text 1 is not the number 1.
files     `type  name  size  hash or target`, then the mode and the modification time in nanoseconds if asked for.
          Types: f file, h another name of the file in the last column, l symbolic link, d folder, s anything else.
          Folders have no size and no time: what is renamed into a folder changes its time.
compare   exits 0 if equal, 1 with the lines that only A (-) or only B (+) has.

Exits 2 if something cannot be read.  Python 3.8 or newer, standard library only.
"""

import argparse
import hashlib
import os
import sqlite3
import stat
import sys
from collections import Counter
from urllib.parse import quote

PRAGMAS = ["user_version", "application_id", "encoding", "auto_vacuum", "page_size"]


def escape(name):
    return name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t").replace(b"\r", b"\\r")


def line(*columns):
    return b"\t".join(column if isinstance(column, bytes) else str(column).encode() for column in columns) + b"\n"


def multiset_hash(values):
    """(number of values, hash of them in any order): the sum of their SHA-256 as numbers modulo 2**256."""
    total = count = 0
    for value in values:
        total += int.from_bytes(hashlib.sha256(value).digest(), "big")
        count += 1
    return count, f"{total % (1 << 256):064x}"


def quoted(identifier):
    return '"' + identifier.replace('"', '""') + '"'


def rows(path):
    path = os.path.abspath(os.fsencode(path))
    if not os.path.isfile(path):
        raise OSError(f"{os.fsdecode(path)}: no such database")
    db = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, isolation_level=None)
    # Text that is not UTF-8 stays apart from a blob of the same bytes.
    db.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    # One snapshot for all tables, whoever writes meanwhile.
    db.execute("BEGIN")
    objects = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall()
    for name in sorted(name for kind, name, _, _ in objects if kind == "table"):
        found = db.execute(f"SELECT * FROM {quoted(name)}")
        yield line(escape(os.fsencode(name)), *multiset_hash(ascii(row).encode() for row in found))
    yield line("<schema>", *multiset_hash(ascii(row).encode() for row in objects))
    pragmas = [db.execute(f"PRAGMA {pragma}").fetchone()[0] for pragma in PRAGMAS]
    yield line("<pragmas>", len(pragmas), " ".join(map(str, pragmas)))
    yield line("<foreign key errors>", len(db.execute("PRAGMA foreign_key_check").fetchall()), "-")
    db.close()


def entries(root):
    """(path, name below the root) of every entry, in byte order of the names, the root itself first as `.`."""
    found = [(root, b".")]

    def fail(error):
        raise error

    for folder, folders, files in os.walk(root, onerror=fail):
        for name in folders + files:
            path = os.path.join(folder, name)
            found.append((path, os.path.relpath(path, root)))
    return [found[0], *sorted(found[1:], key=lambda entry: entry[1])]


def file_hash(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while True:
            chunk = file.read(1 << 20)
            if not chunk:
                return digest.hexdigest()
            digest.update(chunk)


def files(root, times, modes):
    root = os.fsencode(root)
    if not os.path.isdir(root):
        raise OSError(f"{os.fsdecode(root)}: no such folder")
    seen = {}
    for path, name in entries(root):
        status = os.lstat(path)
        mode, inode = status.st_mode, (status.st_dev, status.st_ino)
        if stat.S_ISDIR(mode):
            columns = ["d", escape(name), "-", "-"]
        elif stat.S_ISLNK(mode):
            columns = ["l", escape(name), "-", escape(os.readlink(path))]
        elif not stat.S_ISREG(mode):
            columns = ["s", escape(name), "-", oct(stat.S_IFMT(mode))]
        elif inode in seen:
            columns = ["h", escape(name), status.st_size, escape(seen[inode])]
        else:
            columns = ["f", escape(name), status.st_size, file_hash(path)]
            seen[inode] = name
        if modes:
            columns.append("-" if stat.S_ISLNK(mode) else f"{stat.S_IMODE(mode):04o}")
        if times:
            columns.append("-" if stat.S_ISDIR(mode) else status.st_mtime_ns)
        yield line(*columns)


def show(lines):
    digest, count = hashlib.sha256(), 0
    out = sys.stdout.buffer
    for one in lines:
        digest.update(one)
        out.write(one)
        count += 1
    out.write(line("ALL", count, digest.hexdigest()))
    out.flush()


def saved(path):
    with open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    if not lines or not lines[-1].startswith(b"ALL\t"):
        raise OSError(f"{path}: not a complete output of prove.py, its last line is not the total")
    if lines[-1] != line("ALL", len(lines) - 1, hashlib.sha256(b"".join(lines[:-1])).hexdigest()):
        raise OSError(f"{path}: its total does not fit its lines")
    return lines[:-1]


def compare(a, b):
    a, b = saved(a), saved(b)
    if a == b:
        return 0
    out = sys.stdout.buffer
    differing = [(row, b"- ") for row in (Counter(a) - Counter(b)).elements()]
    differing += [(row, b"+ ") for row in (Counter(b) - Counter(a)).elements()]
    # Both versions of a line side by side.
    for row, sign in sorted(differing, key=lambda pair: (pair[0].split(b"\t")[:2], pair[1] == b"+ ")):
        out.write(sign + row)
    if not differing:
        out.write(b"the same lines in another order\n")
    out.flush()
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("rows", help="hash the rows of an SQLite database")
    verb.add_argument("database")
    verb = verbs.add_parser("files", help="list the entries of a folder")
    verb.add_argument("folder")
    verb.add_argument("--times", action="store_true")
    verb.add_argument("--modes", action="store_true")
    verb = verbs.add_parser("compare", help="compare two saved outputs")
    verb.add_argument("a")
    verb.add_argument("b")
    options = parser.parse_args()
    try:
        if options.verb == "rows":
            show(rows(options.database))
        elif options.verb == "files":
            show(files(options.folder, options.times, options.modes))
        else:
            return compare(options.a, options.b)
    except (OSError, sqlite3.Error) as error:
        sys.stdout.buffer.flush()
        print(f"prove.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
