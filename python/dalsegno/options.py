"""The options of ``backup`` and ``restore``, once: the typed client, ``call_command`` and
``manage.py`` all take them from here, and the tests compare them with what the program knows.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Mapping, NamedTuple, Sequence, TypedDict, Union

if TYPE_CHECKING:
    from typing_extensions import Literal

    Path = Union[str, os.PathLike[str]]

FLAG, VALUE, LIST = "flag", "value", "list"


class Option(NamedTuple):
    #: The keyword; with dashes the option.
    dest: str
    #: FLAG takes nothing, VALUE one value, LIST may be repeated.
    kind: str
    help: str
    metavar: str | None = None
    choices: tuple[str, ...] = ()
    integers: tuple[int, int] | None = None
    #: The flag that says no: what ``False`` stands for, where the program's default is yes.
    opposite: str | None = None
    #: Other words for the same flag.
    aliases: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        return "--" + self.dest.replace("_", "-")


BACKUP: tuple[Option, ...] = (
    Option("output_dir", VALUE, "folder to write into [default: BACKUP_DIR]", "DIR"),
    Option("filename", VALUE, "file name without extension [default: backup_YYYYMMDD_HHMMSS]", "NAME"),
    Option(
        "form", VALUE, "form of the backup [default: tar.gz]", "FORM", choices=("folder", "tar", "tar.gz", "tar.zst")
    ),
    Option("compress", FLAG, "compress (the default)", opposite="no_compress"),
    Option("no_compress", FLAG, "do not compress: write a plain tar"),
    Option(
        "compression_level",
        VALUE,
        "compression level [default: 6 for tar.gz, 2 for tar.zst]",
        "1-9",
        integers=(1, 9),
    ),
    Option("skip_media", FLAG, "leave media out"),
    Option("skip_database", FLAG, "leave databases out"),
    Option("database", LIST, "database to back up; repeat it, or say `all` [default: default]", "ALIAS"),
    Option("include_fixtures", FLAG, "include the project's fixture files"),
    Option("type", VALUE, "what to back up", "TYPE", choices=("full", "database", "media")),
    Option("name", VALUE, "name of the backup [default: its file name]", "NAME"),
    Option("description", VALUE, "a note to find it by later", "TEXT"),
    Option("tag", LIST, "a label; repeat it for more", "TAG"),
    Option(
        "exclude_data",
        LIST,
        "keep this model's table but leave its rows out (sessions, logs); repeat it for more",
        "app.Model",
    ),
    Option("exclude_media", LIST, "leave out media whose path matches; repeat it for more", "GLOB"),
    Option(
        "capture",
        VALUE,
        "how databases are captured: natively, every table, constraint and index",
        "CAPTURE",
        choices=("native",),
    ),
)

RESTORE: tuple[Option, ...] = (
    Option("database", VALUE, "database to restore into [default: each where it came from]", "ALIAS"),
    Option("from_database", VALUE, "database of the backup to read", "NAME"),
    Option("skip_media", FLAG, "leave media as they are"),
    Option("skip_database", FLAG, "leave databases as they are"),
    Option("skip_fixtures", FLAG, "leave project fixtures as they are"),
    Option("no_backup_check", FLAG, "skip checksums, sizes and the completion marker; nothing else"),
    Option("force", FLAG, "answer yes to the question, skip no check", aliases=("no_input", "noinput")),
    Option(
        "media_strategy",
        VALUE,
        "what becomes of media files that are there already [default: replace]",
        "STRATEGY",
        choices=("replace", "merge", "keep-existing"),
    ),
    Option("dry_run", FLAG, "show what would change, check everything, change nothing"),
    Option("mode", VALUE, "whether rows that the backup lacks go [default: replace]", "MODE", choices=("replace",)),
    Option("no_migrate", FLAG, "take a backup older than the code as it is"),
    Option(
        "verify",
        VALUE,
        "how thoroughly the staged database is checked [default: counts]",
        "HOW",
        choices=("counts", "full"),
    ),
    Option("keep_going", FLAG, "leave a database or storage that fails as it was, and go on with the others"),
    Option(
        "to_database",
        VALUE,
        "restore the database into a new one instead: `sqlite:////file`, `postgresql:///NAME`",
        "URL",
    ),
    Option("to_media", VALUE, "restore the default storage into this new folder instead", "DIR"),
    Option("no_pre_backup", FLAG, "do not back up first what will be replaced"),
    Option("create_pre_backup", FLAG, "back up first what will be replaced (the default)", opposite="no_pre_backup"),
    Option("other_project", FLAG, "restore a backup of another project"),
)


class BackupOptions(TypedDict, total=False):
    """The keywords of a backup; what is left out, or None, has the program's default."""

    output_dir: Path | None
    filename: str | None
    form: Literal["folder", "tar", "tar.gz", "tar.zst"] | None
    compress: bool | None
    no_compress: bool | None
    compression_level: int | None
    skip_media: bool | None
    skip_database: bool | None
    database: str | Sequence[str] | None
    include_fixtures: bool | None
    type: Literal["full", "database", "media"] | None
    name: str | None
    description: str | None
    tag: str | Sequence[str] | None
    exclude_data: str | Sequence[str] | None
    exclude_media: str | Sequence[str] | None
    capture: Literal["native"] | None


class RestoreOptions(TypedDict, total=False):
    """The keywords of a restore; what is left out, or None, has the program's default."""

    database: str | None
    from_database: str | None
    skip_media: bool | None
    skip_database: bool | None
    skip_fixtures: bool | None
    no_backup_check: bool | None
    force: bool | None
    media_strategy: Literal["replace", "merge", "keep-existing"] | None
    dry_run: bool | None
    mode: Literal["replace"] | None
    no_migrate: bool | None
    verify: Literal["counts", "full"] | None
    keep_going: bool | None
    to_database: str | None
    to_media: Path | None
    no_pre_backup: bool | None
    create_pre_backup: bool | None
    other_project: bool | None


def arguments(verb: str, table: Sequence[Option], given: Mapping[str, Any]) -> list[str]:
    """The command line of these keywords, in the order of the table; a flag that several of them
    stand for is said once."""
    unknown = sorted(set(given) - {option.dest for option in table})
    if unknown:
        raise TypeError(f"{verb}() got an unexpected keyword argument '{unknown[0]}'")
    words: list[str] = []
    for option in table:
        value = given.get(option.dest)
        if value is None:
            continue
        if option.kind == FLAG:
            flag = option.flag if value else option.opposite and "--" + option.opposite.replace("_", "-")
            if flag and flag not in words:
                words.append(flag)
        elif option.kind == LIST and not isinstance(value, str):
            words += [f"{option.flag}={_text(item)}" for item in value]
        else:
            words.append(f"{option.flag}={_text(value)}")
    return words


def _text(value: Any) -> str:
    return os.fsdecode(value) if isinstance(value, (os.PathLike, bytes)) else str(value)
