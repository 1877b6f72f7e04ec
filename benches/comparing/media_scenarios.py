"""What becomes of media: properties that a copy may lose, and accidents on the way back."""

import os
import shutil
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from comparing.outcome import Outcome, bad, good
from comparing.site import Programs, Site
from comparing.tools import MEDIA_TOOLS, Tool
from comparing.trees import PROPERTIES, Property

# So many that a tool is still at it when the first is seen to be back.
FILES = 1_500
NEEDLE = b"these bytes are looked for in the backup, and one bit of them is turned over. " * 4


@dataclass(frozen=True)
class Row:
    """One line of a table: what happens, and the function that makes it happen with one tool in a new folder."""

    name: str
    run: Callable[[Tool, Path, Programs], Outcome | None]
    quick: bool = True


def rows() -> list[Row]:
    properties = [Row(one.name, preserved(one)) for one in PROPERTIES]
    return [
        *properties,
        Row("one bit turned over in the backup, not compressed", flipped),
        Row("one bit turned over in the backup, compressed", flipped_compressed),
        Row("the backup cut in the middle of a file", cut_in_a_file),
        Row("the backup cut between two files", cut_between_files),
        Row("the restore killed half-way", killed, quick=False),
    ]


def preserved(wanted: Property) -> Callable[[Tool, Path, Programs], Outcome | None]:
    """Backed up, lost, restored, looked at."""

    def run(tool: Tool, root: Path, programs: Programs) -> Outcome:
        site = Site(root, programs)
        site.media.mkdir()
        wanted.grow(site.media)
        backup = site.run(tool.backup)
        if backup.exit != 0:
            return bad(f"no backup of anything, {backup.how}")
        original = root / "original"
        site.media.rename(original)
        site.media.mkdir()
        restore = site.run(tool.restore)
        outcome = wanted.look(original, site.media)
        if restore.exit != 0:
            return bad(f"{outcome.text}, {restore.how}")
        return outcome

    return run


def stage_of(tool: Tool, root: Path, programs: Programs) -> Site:
    """A site whose backup holds FILES new files, and whose media are as many old ones of the same names."""
    site = Site(root, programs)
    site.media.mkdir()
    write_version(site.media, b"new")
    site.must(tool.backup)
    shutil.rmtree(site.media)
    site.media.mkdir()
    write_version(site.media, b"old")
    return site


def write_version(media: Path, version: bytes) -> None:
    for i in range(FILES):
        folder = media / f"{i % 10}"
        folder.mkdir(exist_ok=True)
        (folder / f"{i:05}.bin").write_bytes(version + NEEDLE + b"%05d" % i * 400)


def state(media: Path) -> str:
    """`old`, `new`, or what lies between them.  A file is of a version if it is whole."""
    found = {"old": 0, "new": 0, "damaged": 0}
    for i in range(FILES):
        try:
            data = (media / f"{i % 10}" / f"{i:05}.bin").read_bytes()
        except FileNotFoundError:
            continue
        whole = data[3:] == NEEDLE + b"%05d" % i * 400
        found[data[:3].decode() if whole and data[:3] in (b"old", b"new") else "damaged"] += 1
    for version in ("old", "new"):
        if found[version] == FILES:
            return version
    if found["damaged"]:
        return "damaged"
    return "mixed" if sum(found.values()) == FILES else "gone"


def after_damage(site: Site, tool: Tool) -> Outcome:
    """Restore, and say whether the damage was noticed and what it left."""
    done = site.run(tool.restore)
    left = state(site.media)
    if done.exit == 0:
        said = {"new": "all restored", "damaged": "restores damaged files"}.get(left, "some files restored")
        return bad(f"{said}, exit 0")
    if left == "old":
        return good(f"refused, site untouched, {done.how}")
    return bad(f"stops half-way, {done.how}")


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def flipped(tool: Tool, root: Path, programs: Programs) -> Outcome | None:
    site = stage_of(tool, root, programs)
    archive = tool.archive_in(site.out)
    if archive is None:
        # One of the files of the copied folder.
        archive = site.out / "b" / "5" / "00005.bin"
    data = archive.read_bytes()
    flip(archive, data.index(NEEDLE, len(data) // 2 if len(data) > 10_000 else 0) + 10)
    return after_damage(site, tool)


def flipped_compressed(tool: Tool, root: Path, programs: Programs) -> Outcome | None:
    if tool.compressed is None:
        return None
    site = stage_of(tool.compressed, root, programs)
    archive = tool.compressed.archive_in(site.out)
    assert archive is not None
    flip(archive, archive.stat().st_size // 2)
    return after_damage(site, tool.compressed)


def cut_in_a_file(tool: Tool, root: Path, programs: Programs) -> Outcome | None:
    return cut(tool, root, programs, lambda member: member.offset_data + 700)


def cut_between_files(tool: Tool, root: Path, programs: Programs) -> Outcome | None:
    return cut(tool, root, programs, lambda member: member.offset)


def cut(tool: Tool, root: Path, programs: Programs, place: Callable[[tarfile.TarInfo], int]) -> Outcome | None:
    if tool.archive is None:
        return None
    site = stage_of(tool, root, programs)
    archive = tool.archive_in(site.out)
    assert archive is not None
    with tarfile.open(archive) as tar:
        files = [member for member in tar if member.isfile() and member.name.endswith(".bin")]
    os.truncate(archive, place(files[len(files) // 2]))
    return after_damage(site, tool)


def killed(tool: Tool, root: Path, programs: Programs) -> Outcome | None:
    """At the moment at which something of the site is seen to have changed, and at seven others."""
    site = stage_of(tool, root / "0", programs)
    before = marks(site.media)
    found = set()
    if site.killed_when(tool.restore, lambda _: marks(site.media) != before):
        found.add(state(site.media))
    if not found <= {"old", "new"}:
        return bad("old and new files mixed")
    began = time.monotonic()
    whole = stage_of(tool, root / "whole", programs).run(tool.restore)
    took = time.monotonic() - began
    assert whole.exit == 0, whole.text
    for i in range(1, 8):
        site = stage_of(tool, root / str(i), programs)
        if site.killed_when(tool.restore, later_than(took * i / 8)):
            found.add(state(site.media))
    if not found:
        raise RuntimeError(f"{tool.name} was always quicker than the kill")
    return good("all old or all new") if found <= {"old", "new"} else bad("old and new files mixed")


def later_than(seconds: float) -> Callable[[float], bool]:
    return lambda passed: passed > seconds


def marks(media: Path) -> list[tuple[int, int]]:
    """Something that is another when a file was written or replaced: of one file in ten, to be quick."""
    found = []
    for i in range(0, FILES, 10):
        try:
            status = os.stat(media / f"{i % 10}" / f"{i:05}.bin")
        except OSError:
            found.append((0, 0))
        else:
            found.append((status.st_ino, status.st_mtime_ns))
    return found


TOOLS = MEDIA_TOOLS
