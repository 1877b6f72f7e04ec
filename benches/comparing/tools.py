"""How each tool is used: the shell lines that its own manual gives, with the options that lose least."""

from dataclasses import dataclass
from pathlib import Path

DALSEGNO = '"$DALSEGNO" --project "$CODE" --python "$PYTHON" --quiet'
MANAGE = '"$PYTHON" "$CODE/manage.py"'
DBBACKUP = f'EXTRA_APPS=dbbackup DBBACKUP_DIR="$OUT" {MANAGE}'


@dataclass(frozen=True)
class Tool:
    """Lines for the shell, see Site.environment for what they find in it."""

    name: str
    backup: str
    restore: str
    # The file below `out` that holds the data, if it is one file.
    archive: str | None
    # It copies the file, and is quick.
    whole_file: bool = False
    # Before `restore`, where there is no database any more.
    into_nothing: str = "true"
    # The same with compression, where the tool compresses.
    compressed: "Tool | None" = None

    def archive_in(self, out: Path) -> Path | None:
        if self.archive is None:
            return None
        (found,) = out.glob(self.archive)
        return found


def dalsegno(kind: str, form: str) -> tuple[str, str]:
    skip = {"media": "--skip-database", "database": "--skip-media"}[kind]
    return (
        f'{DALSEGNO} backup --type {kind} --form {form} --output-dir "$OUT" --filename b',
        f"{DALSEGNO} restore b {skip} --force --no-pre-backup",
    )


MEDIA_TOOLS = [
    Tool(
        "Dalsegno",
        *dalsegno("media", "tar"),
        "b.tar",
        compressed=Tool("Dalsegno", *dalsegno("media", "tar.gz"), "b.tar.gz"),
    ),
    Tool(
        "mediabackup",
        f"{DBBACKUP} mediabackup --noinput --quiet",
        f"{DBBACKUP} mediarestore --noinput --quiet --replace",
        "*.tar",
        compressed=Tool(
            "mediabackup",
            f"{DBBACKUP} mediabackup --noinput --quiet -z",
            f"{DBBACKUP} mediarestore --noinput --quiet --replace -z",
            "*.tar.gz",
        ),
    ),
    Tool(
        "tar",
        'tar -C "$MEDIA" -cf "$OUT/b.tar" .',
        'mkdir -p "$MEDIA" && tar -C "$MEDIA" -xf "$OUT/b.tar"',
        "b.tar",
        compressed=Tool(
            "tar",
            'tar -C "$MEDIA" -czf "$OUT/b.tar.gz" .',
            'mkdir -p "$MEDIA" && tar -C "$MEDIA" -xzf "$OUT/b.tar.gz"',
            "b.tar.gz",
        ),
    ),
    Tool(
        "tar, pax, sparse",
        'tar --format=posix -S -C "$MEDIA" -cf "$OUT/b.tar" .',
        'mkdir -p "$MEDIA" && tar -C "$MEDIA" -xf "$OUT/b.tar"',
        "b.tar",
        compressed=Tool(
            "tar, pax, sparse",
            'tar --format=posix -S -C "$MEDIA" -czf "$OUT/b.tar.gz" .',
            'mkdir -p "$MEDIA" && tar -C "$MEDIA" -xzf "$OUT/b.tar.gz"',
            "b.tar.gz",
        ),
    ),
    Tool("cp -a", 'cp -a "$MEDIA" "$OUT/b"', 'mkdir -p "$MEDIA" && cp -a "$OUT/b/." "$MEDIA"', None),
]


def dbbackup(connector: str) -> Tool:
    path = f"dbbackup.db.django.{connector}" if connector == "DjangoConnector" else f"dbbackup.db.sqlite.{connector}"
    return Tool(
        connector,
        f"DBBACKUP_CONNECTOR={path} {DBBACKUP} dbbackup --noinput --quiet",
        f"DBBACKUP_CONNECTOR={path} {DBBACKUP} dbrestore --noinput --quiet",
        # Beside it lies b.metadata.
        "*[!a]",
        whole_file=connector in ("SqliteBackupConnector", "SqliteCPConnector"),
        # Fixtures need tables; the others bring their own.
        into_nothing=f"{MANAGE} migrate --verbosity=0" if connector == "DjangoConnector" else "true",
    )


DATABASE_TOOLS = [
    Tool("Dalsegno", *dalsegno("database", "tar"), "b.tar", whole_file=True),
    dbbackup("SqliteBackupConnector"),
    dbbackup("SqliteCPConnector"),
    dbbackup("SqliteConnector"),
    dbbackup("DjangoConnector"),
    Tool(
        "dumpdata, loaddata",
        f'{MANAGE} dumpdata --all --output "$OUT/b.json"',
        # `flush` would number the content types in another order, and their rows could not be loaded.
        'rm -f "$DB.new"; export DATABASE_PATH="$DB.new"'
        f' && {MANAGE} migrate --verbosity=0 && {MANAGE} loaddata --verbosity=0 "$OUT/b.json" && mv "$DB.new" "$DB"',
        "b.json",
    ),
    Tool(
        "sqlite3 .backup, .restore",
        'sqlite3 "$DB" ".backup $OUT/b.sqlite3"',
        'sqlite3 "$DB" ".restore $OUT/b.sqlite3"',
        "b.sqlite3",
        whole_file=True,
    ),
    Tool(
        "sqlite3 .dump",
        'sqlite3 "$DB" .dump >"$OUT/b.sql"',
        'sqlite3 -bail "$DB.new" <"$OUT/b.sql" && mv "$DB.new" "$DB"',
        "b.sql",
        whole_file=True,
    ),
    Tool("cp", 'cp "$DB" "$OUT/b.sqlite3"', 'cp "$OUT/b.sqlite3" "$DB"', "b.sqlite3", whole_file=True),
]
