"""What is measured: cases, each one tool doing one thing, and lines, each our case over a peer's."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from measuring.command import run
from measuring.data import BENCHES, Data
from measuring.proof import require_same_contents, require_same_files, require_same_rows

# A proof gets the folder that the case wrote into.
Proof = Callable[[Path], None]


@dataclass(frozen=True)
class Case:
    """One shell line.  It finds its own new folder in $OUT, and everything else in the variables of `tools`."""

    name: str
    line: str
    environment: dict[str, str] = field(default_factory=dict)
    # Not timed, before the line.
    prepare: Callable[[Path], None] | None = None
    # Not timed, after the line: in each round, or, where it takes long, in the first, whose times do not count.
    proof: Proof | None = None
    proof_once: Proof | None = None
    # So many files that deleting them would slow down those that are made next.
    many_files: bool = False


@dataclass(frozen=True)
class Line:
    """Our case and a peer's, and what their ratios should be at most.  Without a peer: seconds, of ours alone."""

    name: str
    ours: str
    peer: str | None
    wall: float
    size: float | None = None


@dataclass(frozen=True)
class Tools:
    """Where the programs are that the cases run."""

    dalsegno: Path
    python: Path
    # How the small whole site is backed up and restored: by the binary, or by manage.py.
    door: str

    def environment(self, data: Data) -> dict[str, str]:
        """The variables of all cases.  No rule leaves out media: the peers have none."""
        return {
            "DALSEGNO": str(self.dalsegno),
            "PYTHON": str(self.python),
            "SITE": str(data.site),
            "MEDIA": str(data.media),
            "MEDIA_ROOT": str(data.media),
            "DELETE": str(data.database("delete")),
            "WAL": str(data.database("wal")),
            "DATABASE_PATH": str(data.database("delete")),
            "BACKUP_ROOT": str(data.root / "backups_data"),
            "BACKUP_DIR": str(data.root / "backups"),
            "BACKUP_MEDIA_EXCLUDE": "",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


LINES = [
    Line("media, .tar.gz / tar | pigz -6 -p2", "media tar.gz", "tar | pigz", 0.18, 1.01),
    Line("media, .tar.zst / tar | zstd -3 -T2", "media tar.zst", "tar | zstd", 0.9, 1.01),
    Line("media, .tar / tar", "media tar", "tar", 1.3),
    Line("restore of media / tar x", "restore media", "tar x", 1.1),
    Line("database in rollback-journal mode, folder / .backup", "delete folder", "delete .backup", 1.0),
    Line("database in WAL mode, folder / .backup", "wal folder", "wal .backup", 1.0),
    Line("database in rollback-journal mode, .tar.zst / zstd -3 -T2", "delete tar.zst", "zstd file", 1.1),
    Line("database in WAL mode, .tar.zst / zstd -3 -T2", "wal tar.zst", "zstd file", 1.1),
    Line("database in rollback-journal mode, .tar.gz / pigz -6 -p2", "delete tar.gz", "pigz file", 0.5, 1.02),
    Line("database in WAL mode, .tar.gz / pigz -6 -p2", "wal tar.gz", "pigz file", 0.5, 1.02),
    Line("media, .tar.gz / mediabackup -z", "media tar.gz", "mediabackup -z", 0.08),
    Line("database, .tar.gz / dbbackup -z", "delete tar.gz", "dbbackup -z", 0.15),
    Line("backup and restore of a small site, seconds", "small site", None, 3.0),
]


def cases(data: Data, tools: Tools, archive: Path) -> list[Case]:
    """Every case.  `archive` is where `prepare_archives` puts what the restores read."""
    return [
        *media_cases(data, tools, archive),
        *database_cases(data, tools),
        *dbbackup_cases(),
        small_site(data, tools),
    ]


def backup(kind: str, form: str) -> str:
    return (
        '"$DALSEGNO" --project "$SITE" --python "$PYTHON" --format json'
        f' backup --type {kind} --form {form} --output-dir "$OUT" --filename b'
    )


def prepare_archives(folder: Path, environment: dict[str, str]) -> None:
    """One archive of the media by each tool, for the restores."""
    folder.mkdir(parents=True)
    run(["bash", "-c", backup("media", "tar")], {**environment, "OUT": str(folder)})
    run(["tar", "-C", environment["MEDIA"], "-cf", folder / "peer.tar", "."])


def media_cases(data: Data, tools: Tools, archive: Path) -> list[Case]:
    original = data.proof("media")

    def restored_by_us(form: str) -> Proof:
        def proof(out: Path) -> None:
            run(["bash", "-c", restore_media(out / f"b.{form}")], {**tools.environment(data), "OUT": str(out)})
            require_same_files(out / "media", original)

        return proof

    def untarred(line: str) -> Proof:
        def proof(out: Path) -> None:
            (out / "media").mkdir()
            run(["bash", "-o", "pipefail", "-c", line], {"OUT": str(out)})
            require_same_contents(out / "media", original)

        return proof

    def as_it_was(out: Path) -> None:
        require_same_files(out / "media", original)

    # GNU tar's own format cuts times to seconds.
    def contents_as_they_were(out: Path) -> None:
        require_same_contents(out / "media", original)

    ours = [
        Case(f"media {form}", backup("media", form), proof_once=restored_by_us(form))
        for form in ("tar.gz", "tar.zst", "tar")
    ]
    into = 'tar -C "$OUT/media" -x'
    return [
        *ours,
        Case(
            "tar | pigz",
            'tar -C "$MEDIA" -cf - . | pigz -6 -p2 >"$OUT/m.tar.gz" && sync "$OUT/m.tar.gz"',
            proof_once=untarred(f'pigz -dc "$OUT/m.tar.gz" | {into}'),
        ),
        Case(
            "tar | zstd",
            'tar -C "$MEDIA" -cf - . | zstd -q -3 -T2 -o "$OUT/m.tar.zst" && sync "$OUT/m.tar.zst"',
            proof_once=untarred(f'zstd -qdc "$OUT/m.tar.zst" | {into}'),
        ),
        Case(
            "tar",
            'tar -C "$MEDIA" -cf "$OUT/m.tar" . && sync "$OUT/m.tar"',
            proof_once=untarred(f'{into}f "$OUT/m.tar"'),
        ),
        Case("restore media", restore_media(archive / "b.tar"), proof=as_it_was, many_files=True),
        Case(
            "tar x",
            f'mkdir "$OUT/media" && tar -C "$OUT/media" -xf "{archive / "peer.tar"}" && sync -f "$OUT/media"',
            proof=contents_as_they_were,
            many_files=True,
        ),
    ]


def restore_media(archive: Path | str) -> str:
    """Into a new folder: nothing is replaced, and nothing backed up before."""
    return (
        '"$DALSEGNO" --project "$SITE" --python "$PYTHON" --format json'
        f' restore "{archive}" --force --no-pre-backup --to-media "$OUT/media"'
    )


def database_cases(data: Data, tools: Tools) -> list[Case]:
    original = data.proof("rows")

    def restored_by_us(form: str, journal: str) -> Proof:
        def proof(out: Path) -> None:
            made = out / ("b" if form == "folder" else f"b.{form}")
            line = (
                '"$DALSEGNO" --project "$SITE" --python "$PYTHON" --quiet'
                f' restore "{made}" --force --no-pre-backup --to-database "sqlite:///$OUT/r.sqlite3"'
            )
            environment = {"DATABASE_PATH": str(data.database(journal)), "OUT": str(out)}
            run(["bash", "-c", line], {**tools.environment(data), **environment})
            require_same_rows(out / "r.sqlite3", original)

        return proof

    def same_rows(line: str) -> Proof:
        def proof(out: Path) -> None:
            run(["bash", "-c", line], {"OUT": str(out)})
            require_same_rows(out / "r.sqlite3", original)

        return proof

    found = []
    for journal in ("delete", "wal"):
        where = {"DATABASE_PATH": str(data.database(journal))}
        found += [
            Case(f"{journal} {form}", backup("database", form), where, proof_once=restored_by_us(form, journal))
            for form in ("folder", "tar.zst", "tar.gz")
        ]
        found.append(
            Case(
                f"{journal} .backup",
                f'sqlite3 "${journal.upper()}" ".backup $OUT/r.sqlite3" && sync "$OUT/r.sqlite3"',
                proof_once=same_rows("true"),
            )
        )
    return [
        *found,
        Case(
            "zstd file",
            'zstd -q -3 -T2 "$DELETE" -o "$OUT/d.zst" && sync "$OUT/d.zst"',
            proof_once=same_rows('zstd -qd "$OUT/d.zst" -o "$OUT/r.sqlite3"'),
        ),
        Case(
            "pigz file",
            'pigz -6 -p2 -c "$DELETE" >"$OUT/d.gz" && sync "$OUT/d.gz"',
            proof_once=same_rows('pigz -dc "$OUT/d.gz" >"$OUT/r.sqlite3"'),
        ),
    ]


def dbbackup_cases() -> list[Case]:
    """django-dbbackup with its default connector.  What it loses is the subject of `comparing`."""

    def line(verb: str) -> str:
        return f'DBBACKUP_DIR="$OUT" "$PYTHON" "$SITE/manage.py" {verb} --noinput --quiet -z && sync -f "$OUT"'

    apps = {"EXTRA_APPS": "dbbackup"}
    return [Case(f"{verb} -z", line(verb), apps) for verb in ("mediabackup", "dbbackup")]


def small_site(data: Data, tools: Tools) -> Case:
    """A whole site of its own, backed up and restored in place, with two starts of Django."""

    def copied(out: Path) -> None:
        run(["cp", "-a", data.small_site, out / "shop72"])

    def as_it_was(out: Path) -> None:
        require_same_files(out / "shop72" / "media", data.proof("shop72-media"))
        require_same_rows(out / "shop72" / "db.sqlite3", data.proof("shop72-rows"))

    ours = '"$DALSEGNO" --project "$OUT/shop72" --python "$PYTHON" --format json'
    environment: dict[str, str] = {}
    if tools.door == "manage":
        ours = '"$PYTHON" "$OUT/shop72/manage.py"'
        # As if the package were installed, but with the binary that is measured.
        package = str(BENCHES.parent / "python")
        environment = {"EXTRA_APPS": "backups", "PYTHONPATH": package, "DALSEGNO_BINARY": str(tools.dalsegno)}
    report = " --format json" if tools.door == "manage" else ""
    restore = "restore b.tar.gz" if tools.door == "manage" else "restore b"
    line = (
        'export BACKUP_DIR="$OUT/backups" BACKUP_ROOT="$OUT/backups_data"'
        ' DATABASE_PATH="$OUT/shop72/db.sqlite3" MEDIA_ROOT="$OUT/shop72/media"'
        f" && {ours} backup --filename b{report}"
        # Some milliseconds of damage, or a restore that does nothing would be the quickest.
        """ && sqlite3 "$DATABASE_PATH" "UPDATE auth_user SET last_name = 'damaged'" """
        ' && find "$MEDIA_ROOT" -type f -exec truncate --size=1 {} +'
        f" && {ours} {restore} --force --no-pre-backup{report}"
    )
    return Case("small site", line, environment, prepare=copied, proof=as_it_was)
