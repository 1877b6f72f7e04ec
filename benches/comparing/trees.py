"""Small trees of media, each with one property that a backup may lose, and what to look for in the copy."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from comparing.outcome import IDENTICAL, Outcome, bad

# A Sunday, with nanoseconds.
MOMENT = 1_700_000_000_123_456_789
SPARSE = 8 << 20


@dataclass(frozen=True)
class Property:
    """`grow` makes the tree in an empty folder; `look`, given the original and the copy, says what became of it."""

    name: str
    grow: Callable[[Path], None]
    look: Callable[[Path, Path], Outcome]


def put(root: Path, name: str | bytes, data: bytes = b"x" * 100) -> Path:
    path = Path(os.fsdecode(os.path.join(os.fsencode(root), os.fsencode(name))))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, ns=(MOMENT, MOMENT))
    return path


def contents(root: Path) -> dict[bytes, bytes]:
    """Of each regular file, by its name below `root`."""
    found = {}
    for folder, _, files in os.walk(os.fsencode(root)):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, os.fsencode(root))] = file.read()
    return found


def compare_contents(original: Path, copy: Path) -> Outcome:
    before, after = contents(original), contents(copy)
    if before == after:
        return IDENTICAL
    lost = len(before.keys() - after.keys())
    wrong = sum(before[name] != after[name] for name in before.keys() & after.keys())
    return bad(f"{lost} of {len(before)} lost, {wrong} wrong, {len(after.keys() - before.keys())} added")


def grow_plain(root: Path) -> None:
    for i, name in enumerate(["a.txt", "Größe/фото 写真.jpg", "😀.png", ".hidden", "draft~", "n" * 240, "empty"]):
        put(root, name, b"" if name == "empty" else os.fsencode(name) * (i + 1))


def grow_odd_names(root: Path) -> None:
    for name in [b"latin-\xe9.txt", b"line\nend.txt", b"back\\slash", b"-rf", b" blank "]:
        put(root, name, name)


def grow_times(root: Path) -> None:
    for name in ["a", "b/c", "b/d"]:
        put(root, name)


def look_times(original: Path, copy: Path) -> Outcome:
    before, after = (
        [path.lstat().st_mtime_ns for path in sorted(root.rglob("*")) if path.is_file()] for root in (original, copy)
    )
    if before == after:
        return IDENTICAL
    if after == [moment // 10**9 * 10**9 for moment in before]:
        return bad("cut to seconds")
    return bad("lost" if not set(before) & set(after) else "some lost")


def grow_modes(root: Path) -> None:
    for name, mode in [("public", 0o644), ("group", 0o640), ("private", 0o600), ("read-only", 0o444), ("run", 0o755)]:
        put(root, name).chmod(mode)


def look_modes(original: Path, copy: Path) -> Outcome:
    before, after = (
        {path.name: stat.S_IMODE(path.stat().st_mode) for path in root.iterdir()} for root in (original, copy)
    )
    if before == after:
        return IDENTICAL
    wrong = sum(after.get(name) != mode for name, mode in before.items())
    return bad(f"wrong on {wrong} of {len(before)}: 0600 becomes {after['private']:04o}")


def grow_empty_folder(root: Path) -> None:
    put(root, "file")
    (root / "waiting" / "for-uploads").mkdir(parents=True)


def look_empty_folder(original: Path, copy: Path) -> Outcome:
    return IDENTICAL if (copy / "waiting" / "for-uploads").is_dir() else bad("lost")


def grow_links(root: Path) -> None:
    put(root, "folder/file")
    (root / "to-file").symlink_to("folder/file")
    (root / "to-folder").symlink_to("folder")


def look_links(original: Path, copy: Path) -> Outcome:
    names = ["to-file", "to-folder"]
    if all((copy / name).is_symlink() and os.readlink(copy / name) == os.readlink(original / name) for name in names):
        return IDENTICAL
    if all((copy / name).exists() and not (copy / name).is_symlink() for name in names):
        return bad("become copies of what they name")
    return bad("lost")


def grow_link_to_nothing(root: Path) -> None:
    put(root, "file")
    (root / "to-nothing").symlink_to("gone")


def look_link_to_nothing(original: Path, copy: Path) -> Outcome:
    return IDENTICAL if (copy / "to-nothing").is_symlink() and (copy / "file").exists() else bad("lost")


def grow_hard_link(root: Path) -> None:
    put(root, "one")
    (root / "two").hardlink_to(root / "one")


def look_hard_link(original: Path, copy: Path) -> Outcome:
    return IDENTICAL if (copy / "one").samefile(copy / "two") else bad("become two files")


def grow_sparse(root: Path) -> None:
    path = put(root, "disk.img", b"")
    with path.open("wb") as file:
        file.seek(SPARSE)
        file.write(b"end")


def look_sparse(original: Path, copy: Path) -> Outcome:
    path = copy / "disk.img"
    if path.read_bytes() != (original / "disk.img").read_bytes():
        return bad("content wrong")
    return IDENTICAL if path.stat().st_blocks * 512 < SPARSE // 2 else bad("holes are filled")


PROPERTIES = [
    Property("contents; names in any script, hidden, ending in ~", grow_plain, compare_contents),
    Property("names that are not UTF-8 or hold a line end", grow_odd_names, compare_contents),
    Property("times of files", grow_times, look_times),
    Property("modes of files", grow_modes, look_modes),
    Property("empty folders", grow_empty_folder, look_empty_folder),
    Property("symbolic links", grow_links, look_links),
    Property("a symbolic link to nothing", grow_link_to_nothing, look_link_to_nothing),
    Property("hard links", grow_hard_link, look_hard_link),
    Property("sparse files", grow_sparse, look_sparse),
]
