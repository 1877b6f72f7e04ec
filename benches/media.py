#!/usr/bin/env python3
"""Make the media of a site: the same tree every time for the same scale.

    media.py FOLDER [--scale 1.0] [--odd]

At scale 1: 16,408 files, about 1.5 GB, of which little compresses, as with real media.

    previews/      13,500 of 5 to 80 KB, incompressible; some hidden, some ending in ~ or .tmp, some in other scripts
    faces/          1,500 of the same size
    pictures/       1,200 of 0.2 to 2 MB, incompressible between the head and the end of a JPEG
    papers/           200 of 20 to 800 KB, texts that compress, an empty one, one whose name has 240 bytes
    films/, lists/  four of 60 MB, incompressible, and a CSV of 60 MB
    .keep, private/nothing/   an empty hidden file and an empty folder

Modes are 0644 and 0640; modification times have nanoseconds.  --odd adds symbolic links (to a file, to a folder, to
nothing), a hard link, a sparse file, a read-only file, a name with a line end and one that is not UTF-8.

The folder must not exist.  Python 3.10 or newer, standard library only.
"""

import argparse
import math
import os
import random
import sys
from dataclasses import dataclass, field
from datetime import datetime, timezone

FACES, PREVIEWS, PICTURES, PAPERS, FILMS = 1_500, 13_500, 1_200, 200, 4
BIG = 60_000_000
FIRST_DAY = int(datetime(2021, 1, 1, tzinfo=timezone.utc).timestamp())
FOUR_YEARS = 4 * 365 * 86_400
SCRIPTS = ["Übergröße", "данные", "画像", "صورة", "🌻 sunflower", "e\u0301cole décomposée", "señal", "łąka"]
WORDS = ["amount", "basket", "city", "date", "export", "given", "height", "item", "kind", "length", "owner", "price"]
JPEG_HEAD = (
    bytes.fromhex("ffd8ffe000104a46494600010101004800480000ffdb004300") + bytes(range(1, 65)) + b"\xff\xda\x00\x0c"
)
JPEG_END = b"\xff\xd9"


@dataclass
class Tree:
    """A folder that is being filled, and what was put into it."""

    root: str
    rng: random.Random
    files: int = 0
    size: int = 0
    folders: set[str] = field(default_factory=set)

    def put(self, name: str, data: bytes, mode: int = 0o644) -> None:
        folder, _, _ = name.rpartition("/")
        if folder not in self.folders:
            os.makedirs(os.path.join(self.root, folder), exist_ok=True)
            self.folders.add(folder)
        path = os.path.join(self.root, name)
        with open(path, "xb") as file:
            file.write(data)
        os.chmod(path, mode)
        os.utime(path, ns=(time := self.nanosecond(), time))
        self.files += 1
        self.size += len(data)

    def nanosecond(self) -> int:
        return (FIRST_DAY + int(self.rng.random() * FOUR_YEARS)) * 10**9 + self.rng.randrange(1, 10**9)

    def day(self) -> str:
        return f"{2021 + self.rng.randrange(4)}/{1 + self.rng.randrange(12):02}/{1 + self.rng.randrange(28):02}"

    def size_between(self, low: int, high: int) -> int:
        """As sizes of files are: small ones are more frequent."""
        return int(low * math.exp(self.rng.random() * math.log(high / low)))


def make(root: str, scale: float = 1.0, odd: bool = False) -> Tree:
    """Fill the new folder `root`, and return what is in it."""
    os.makedirs(root)
    tree = Tree(root, random.Random("media"))
    small_files(tree, scale)
    pictures(tree, scale)
    papers(tree, scale)
    big_files(tree, scale)
    tree.put(".keep", b"")
    os.makedirs(os.path.join(root, "private", "nothing"))
    if odd:
        odd_entries(tree)
    return tree


def scaled(number: int, scale: float) -> int:
    return max(4, round(number * scale))


def small_files(tree: Tree, scale: float) -> None:
    rng = tree.rng
    for i in range(scaled(FACES, scale)):
        tree.put(f"faces/{i % 97:02}/face-{i}.webp", rng.randbytes(tree.size_between(5_000, 80_000)))
    for i in range(scaled(PREVIEWS, scale)):
        name, end = f"preview-{i:05}-{rng.getrandbits(28):07x}", ".jpg"
        match i % 160:
            case 5 | 45 | 85 | 125:
                name = f"{SCRIPTS[i // 40 % len(SCRIPTS)]} {i}"
            case 2:
                name = "." + name
            case 3:
                end = ".jpg~"
            case 4:
                end = ".jpg.tmp"
        data = rng.randbytes(tree.size_between(5_000, 80_000))
        tree.put(f"previews/{tree.day()}/{name}{end}", data, 0o640 if i % 7 == 0 else 0o644)


def pictures(tree: Tree, scale: float) -> None:
    for i in range(scaled(PICTURES, scale)):
        # No byte of the picture looks like a marker of the format.
        body = tree.rng.randbytes(200_000 + int(1_750_000 * tree.rng.random() ** 3)).replace(b"\xff", b"\xfe")
        name = f"DSC {i:04} (copy)" if i % 25 == 0 else f"DSC_{i:04}"
        tree.put(f"pictures/{tree.day()}/{name}.jpeg", JPEG_HEAD + body + JPEG_END)


def papers(tree: Tree, scale: float) -> None:
    for i in range(scaled(PAPERS, scale)):
        kind = ["svg", "csv", "json", "txt"][i % 4]
        data = text(tree.rng, tree.size_between(20_000, 800_000), kind)
        tree.put(f"papers/{tree.day()[:7]}/paper-{i:03}.{kind}", data)
    tree.put("papers/empty.txt", b"")
    tree.put("papers/" + "long" * 59 + ".txt", b"a name of 240 bytes\n")


def big_files(tree: Tree, scale: float) -> None:
    size = max(100_000, int(BIG * min(scale, 1.0)))
    for i in range(FILMS):
        tree.put(f"films/{2021 + i}/film-{i}.mp4", tree.rng.randbytes(size))
    tree.put("lists/all of 2024.csv", text(tree.rng, size, "csv"))


def text(rng: random.Random, size: int, kind: str) -> bytes:
    lines, length, number = [], 0, 0
    while length < size:
        number += 1
        a, b, n = rng.choice(WORDS), rng.choice(WORDS), rng.getrandbits(20)
        match kind:
            case "svg":
                line = f'<line x1="{n % 800}" y1="{n % 601}" x2="{n % 797}" y2="{n % 599}" class="{a}"/>\n'
            case "json":
                line = f'{{"id": {number}, "{a}": "{b}", "price": "{n / 100:.2f}"}}\n'
            case "csv":
                line = f"{number},{a},{b},{n},2024-{1 + number % 12:02}-{1 + number % 28:02}\n"
            case _:
                line = f"{number}. The {a} of the {b} was {n}.\n"
        lines.append(line)
        length += len(line)
    return "".join(lines).encode()[:size]


def odd_entries(tree: Tree) -> None:
    folder = os.path.join(tree.root, "odd")
    tree.put("odd/file.bin", tree.rng.randbytes(10_000))
    os.link(os.path.join(folder, "file.bin"), os.path.join(folder, "same-file.bin"))
    os.symlink("file.bin", os.path.join(folder, "link-to-file"))
    os.symlink("../papers", os.path.join(folder, "link-to-folder"))
    os.symlink("gone", os.path.join(folder, "link-to-nothing"))
    tree.put("odd/line\nend.txt", b"the name has two lines\n")
    tree.put("odd/read-only.bin", tree.rng.randbytes(1_000), 0o400)
    with open(os.fsencode(folder) + b"/latin-\xe9.txt", "xb") as file:
        file.write(b"the name is not UTF-8\n")
    with open(os.path.join(folder, "sparse.img"), "xb") as file:
        file.seek(8 << 20)
        file.write(b"the end")
    # What was not put has a time too.
    for name in [b"latin-\xe9.txt", b"sparse.img", b"link-to-file", b"link-to-folder", b"link-to-nothing"]:
        os.utime(os.fsencode(folder) + b"/" + name, ns=(time := tree.nanosecond(), time), follow_symlinks=False)
    tree.files += 3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--odd", action="store_true")
    options = parser.parse_args()
    try:
        tree = make(options.folder, options.scale, options.odd)
    except FileExistsError as error:
        print(f"media.py: {error.filename} exists already: name a new folder", file=sys.stderr)
        return 1
    print(f"{tree.files:,} files, {tree.size / 1e6:,.1f} MB in {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
