"""Writes the files of the shop below MEDIA_ROOT and below the location of the storage `invoices`."""

import os
import random

from . import names as named
from .pictures import content
from .words import moment

MODES = [0o644, 0o644, 0o644, 0o640, 0o644, 0o600, 0o664]
LEFT_OUT_BY_RULE = [".gitkeep", "images/.thumbnails.db", "content/outline.json~"]
EMPTY_FOLDER = "images/incoming"
ORPHANS = [
    "images/old banner.jpg",
    "images/covers/renamed since – 2019.png",
    "media/export.csv",
    "media/upload_q3tz81.tmp",
    # Written by a program that knew only Latin-1.
    b"media/caf\xe9.txt",
]


class Tree:
    """One root folder; every entry in it gets a fixed mode and modification time."""

    def __init__(self, root, rng, folder_mode):
        self.root = os.fsencode(root)
        self.rng = rng
        self.folder_mode = folder_mode
        self.bytes = 0

    def path(self, name):
        return os.path.join(self.root, os.fsencode(name))

    def folder(self, name):
        os.makedirs(self.path(name), exist_ok=True)

    def write(self, name, data, mode=0o644):
        path = self.path(name)
        self.folder(os.path.dirname(os.fsencode(name)))
        with open(path, "wb") as file:
            file.write(data)
        os.chmod(path, mode)
        self.age(path)
        self.bytes += len(data)

    def age(self, path):
        when = moment(self.rng)
        # Whole microseconds from the integer parts: a float would round the nanoseconds.
        ns = int(when.replace(microsecond=0).timestamp()) * 10**9 + when.microsecond * 1000 + self.rng.randrange(1000)
        os.utime(path, ns=(ns, ns), follow_symlinks=False)

    def symlink(self, name, target):
        os.symlink(os.fsencode(target), self.path(name))
        self.age(self.path(name))

    def hard_link(self, name, existing):
        os.link(self.path(existing), self.path(name))

    def settle(self):
        """Folders last, deepest first: every file written into one changes its time."""
        folders = sorted((folder for folder, _, _ in os.walk(self.root)), key=lambda path: (-path.count(b"/"), path))
        for folder in folders:
            os.chmod(folder, self.folder_mode)
            self.age(folder)


def write(media_root, invoices_root, names, seed):
    """Writes all files of `names` and the odd ones beside them; returns (bytes written, number of orphans)."""
    rng = random.Random(f"files {seed}")
    media, invoices = Tree(media_root, rng, 0o755), Tree(invoices_root, rng, 0o700)
    for kind, all_names in names.of.items():
        tree = invoices if kind == "invoice" else media
        for number, name in enumerate(all_names, 1):
            tree.write(name, content(rng, kind, number, name), MODES[number % len(MODES)])
    for name in LEFT_OUT_BY_RULE:
        media.write(name, b"" if name.endswith("keep") else rng.randbytes(700))
    orphans = sum(orphan(media, name) for name in ORPHANS)
    media.folder(EMPTY_FOLDER)
    first = names.of["content"][0]
    media.folder(os.path.dirname(named.SYMLINK))
    media.symlink(named.SYMLINK, f"../../{first}")
    media.hard_link(named.HARD_LINK, first)
    for tree in (media, invoices):
        if os.path.isdir(tree.root):
            tree.settle()
    return media.bytes + invoices.bytes, orphans


def orphan(tree, name):
    try:
        tree.write(name, tree.rng.randbytes(3_000))
    except OSError:
        # Some filesystems take no name that is not UTF-8.
        if isinstance(name, str):
            raise
        return False
    return True


def is_empty(root):
    return not os.path.isdir(root) or not os.listdir(root)
