#!/bin/sh
# Backs up a small Django site, damages it, restores it, and proves that every row and every file is back.
#
#   DALSEGNO=target/release/dalsegno PYTHON=.venv/bin/python sh examples/demo.sh
#
# DALSEGNO is the binary, PYTHON an interpreter that has examples/bookshop/requirements.txt.  Everything happens in
# a temporary folder, which is removed at the end; KEEP=1 keeps it.  The proof is examples/prove.py, which shares no
# code with Dalsegno.
set -eu

: "${DALSEGNO:?must be the path of the dalsegno binary}"
: "${PYTHON:?must be an interpreter that has Django and Pillow}"
case $DALSEGNO in */*) DALSEGNO=$(cd "$(dirname "$DALSEGNO")" && pwd)/$(basename "$DALSEGNO") ;; esac
case $PYTHON in */*) PYTHON=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON") ;; esac
EXAMPLES=$(cd "$(dirname "$0")" && pwd)

# The copy must be the site that it looks like, whatever the caller's shell is set up for.
unset DATABASE_URL MEDIA_ROOT INVOICES_ROOT DJANGO_SETTINGS_MODULE DJANGO_DEBUG VIRTUAL_ENV
export PYTHONDONTWRITEBYTECODE=1

say() { printf '\n%s\n' "== $*"; }
fail() {
    printf 'demo failed: %s\n' "$*" >&2
    exit 1
}

# Dalsegno runs the site's own interpreter: an active virtual environment, else the first on PATH.
VIRTUAL_ENV=$("$PYTHON" -c 'import sys; print(sys.prefix if sys.prefix != sys.base_prefix else "")')
if [ -n "$VIRTUAL_ENV" ]; then
    export VIRTUAL_ENV
else
    unset VIRTUAL_ENV
    case $PYTHON in */*) PATH=$(dirname "$PYTHON"):$PATH ;; esac
fi
"$PYTHON" -c 'import django, PIL' || fail "$PYTHON lacks Django or Pillow: pip install -r examples/bookshop/requirements.txt"

TEMP=$(mktemp -d "${TMPDIR:-/tmp}/dalsegno-demo.XXXXXX")
clean_up() {
    if [ "${KEEP:-0}" = 1 ]; then
        printf '\nkept: %s\n' "$TEMP"
    else
        rm -rf "$TEMP"
    fi
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
SITE=$TEMP/bookshop

dalsegno() {
    printf '$ dalsegno %s\n' "$*"
    "$DALSEGNO" "$@" || fail "dalsegno $* ended with exit code $?"
}
prove() { "$PYTHON" "$EXAMPLES/prove.py" "$@"; }

# record NAME: what the site holds now, in NAME.rows, NAME.media and NAME.invoices.
record() {
    prove rows "$SITE/db.sqlite3" >"$TEMP/$1.rows" || fail "cannot read the rows of the site"
    prove files "$SITE/media" --times --modes >"$TEMP/$1.media" || fail "cannot read the media of the site"
    prove files "$SITE/private" --times --modes >"$TEMP/$1.invoices" || fail "cannot read the invoices of the site"
}
# differing A B WHAT: 0 and a count of the lines if A and B differ, 1 if they are equal.
differing() {
    status=0
    prove compare "$TEMP/$1.$3" "$TEMP/$2.$3" >"$TEMP/difference" || status=$?
    case $status in
    0) return 1 ;;
    1) printf '%-9s differ in %d lines, such as\n' "$3" "$(wc -l <"$TEMP/difference")" && head -n 2 "$TEMP/difference" ;;
    *) fail "cannot compare $1.$3 with $2.$3" ;;
    esac
}

say "1. A copy of the site examples/bookshop, with nothing of Dalsegno installed in it"
cp -R "$EXAMPLES/bookshop" "$SITE"
rm -rf "$SITE/media" "$SITE/private" "$SITE"/db.sqlite3* "$SITE/backups" "$SITE/backups_data"
"$PYTHON" "$SITE/manage.py" migrate --verbosity 0
"$PYTHON" "$SITE/manage.py" fill --rows 5000 --media 300
record before
printf 'recorded: %s\n' "a hash of every table, and size, hash, mode and time of every file"

say "2. Back it up"
dalsegno backup --project "$SITE"
dalsegno --project "$SITE" list

say "3. Verify the stored bytes"
dalsegno --project "$SITE" verify latest

say "4. A bad day: rows changed and deleted, a table dropped, files deleted and overwritten"
"$PYTHON" - "$SITE" <<'DAMAGE'
import os
import shutil
import sqlite3
import sys

site = sys.argv[1]
db = sqlite3.connect(os.path.join(site, "db.sqlite3"))
changed = db.execute("UPDATE books_book SET price = 0, title = 'oops ' || id WHERE id % 2").rowcount
deleted = db.execute("DELETE FROM books_chapter WHERE id % 3 = 0").rowcount
deleted += db.execute("DELETE FROM books_changelog").rowcount
db.execute("DROP TABLE books_note")
db.commit()
db.close()
print(f"{changed} rows changed, {deleted} deleted, table books_note dropped")

overwritten = removed = 0
for root in ("media", "private"):
    paths = []
    for folder, _, names in os.walk(os.path.join(site, root)):
        # Dalsegno leaves hidden files and files ending in ~ alone, and so does this bad day.
        paths += [os.path.join(folder, name) for name in names if name[0] != "." and name[-1] != "~"]
    for number, path in enumerate(sorted(paths)):
        if number % 4 == 0:
            os.remove(path)
            removed += 1
        elif number % 4 == 1 and not os.path.islink(path):
            with open(path, "r+b") as file:
                file.write(b"overwritten")
            overwritten += 1
media = os.path.join(site, "media")
shutil.rmtree(os.path.join(media, "images", "avatars"))
with open(os.path.join(media, "content", "ransom note.txt"), "w") as file:
    file.write("This file was not there before.\n")
print(f"{removed} files deleted, {overwritten} overwritten, one folder deleted, one file added")
DAMAGE
# Made after the backup, with names that are left out by rule: the restore has to leave them where they are.
echo "keep me" >"$SITE/media/images/.made-after-the-backup"
echo "keep me" >"$SITE/media/content/made-after-the-backup~"
record damaged
for what in rows media invoices; do
    differing before damaged $what || fail "the damage to the $what does not show: the proof proves nothing"
done

say "5. Restore the latest backup"
dalsegno --project "$SITE" restore latest --force

say "6. Is everything back?"
for name in images/.made-after-the-backup content/made-after-the-backup~; do
    [ "$(cat "$SITE/media/$name" 2>/dev/null)" = "keep me" ] || fail "media/$name, left out by rule, did not survive"
    rm "$SITE/media/$name"
done
printf 'hidden files and files ending in ~ survived, those made after the backup too\n'
record after
for what in rows media invoices; do
    if differing before after $what; then fail "the $what are not what they were"; fi
    printf '%-9s equal to before: %s\n' "$what" "$(tail -n 1 "$TEMP/after.$what" | cut -f 3)"
done
"$PYTHON" "$SITE/manage.py" check --database default
"$PYTHON" "$SITE/manage.py" migrate --check
dalsegno --project "$SITE" list

say "Done: every row and every file is back."
