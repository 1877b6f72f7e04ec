#!/bin/sh
# Restores this backup with sh, coreutils, find, sed and xargs alone (GNU, as on any Linux server),
# and psql or mysql where there is such a database, on a machine without Dalsegno. Run it in the
# extracted folder of the backup:
#
#   sh restore.sh --list          what is in the backup, and where it would go
#   sh restore.sh                 checks everything, shows what will be replaced, asks, restores
#
# Options:
#   --database ALIAS=PATH   put this SQLite database there instead of where it came from
#   --database ALIAS=NAME   load this PostgreSQL or MySQL database into that one, which you have made
#                           and which is empty; psql and mysql find the server by their own settings
#                           (PGHOST, PGUSER, ~/.pgpass; ~/.my.cnf)
#   --media ALIAS=DIR       put this storage's files there instead
#   --skip-database         leave databases alone
#   --skip-media            leave files alone
#   --force                 do not ask
#
# Nothing is deleted: what was there is kept beside it, with .before-restore-<time> in its name.
set -u
LC_ALL=C
export LC_ALL
umask 077

# @@METADATA@@

say() { printf '%s\n' "$*"; }
die() {
    printf 'restore.sh: %s\n' "$*" >&2
    exit 1
}

started_in=$PWD
case $0 in
*/*) cd "${0%/*}" || exit 1 ;;
esac
here=$PWD
stamp=$(date -u +%Y%m%dT%H%M%SZ)
staged=
work=
clean() {
    if [ -n "$staged" ]; then rm -rf -- "$staged"; fi
    if [ -n "$work" ]; then rm -rf -- "$work"; fi
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

tab=$(printf '\t')
force=no
list=no
databases=yes
media=yes
parse() {
    while [ $# -gt 0 ]; do
        case $1 in
        --database | --media)
            [ $# -ge 2 ] || die "$1 needs ALIAS=PATH"
            case $2 in
            ?*=?*) ;;
            *) die "$1 needs ALIAS=PATH, not '$2'" ;;
            esac
            known=no
            if [ "$1" = --database ]; then each_database is_database "$2"; else each_storage is_storage "$2"; fi
            [ "$known" = yes ] || die "the backup holds nothing named '${2%%=*}' for $1; see --list"
            shift 2
            ;;
        --skip-database) databases=no; shift ;;
        --skip-media) media=no; shift ;;
        --force) force=yes; shift ;;
        --list) list=yes; shift ;;
        -h | --help) sed -n '2,/^set -u/{/^#/s/^# \{0,1\}//p;}' restore.sh; exit 0 ;;
        *) die "unknown option '$1'; see --help" ;;
        esac
    done
}
is_database() {
    if [ "${5%%=*}" = "$1" ]; then known=yes; fi
}
is_storage() {
    if [ "${4%%=*}" = "$1" ]; then known=yes; fi
}

# Sets target: the path given by option $1 for alias $2 among the arguments, else the default $3.
find_target() {
    option=$1
    wanted=$2
    target=$3
    shift 3
    while [ $# -gt 0 ]; do
        if [ "$1" = "$option" ] && [ "${2%%=*}" = "$wanted" ]; then
            target=${2#*=}
            case $target in
            /*) ;;
            *) target=$started_in/$target ;;
            esac
        fi
        case $1 in
        --database | --media) shift 2 ;;
        *) shift ;;
        esac
    done
    while [ "$target" != / ] && [ "${target%/}" != "$target" ]; do target=${target%/}; done
}

# each_database calls these with alias, vendor, folder, name and the script's arguments.
database() {
    alias=$1
    vendor=$2
    folder=$3
    default=$4
    shift 4
    case $vendor in
    postgresql | mysql) find_name "$alias" "$@" ;;
    *) find_target --database "$alias" "$default" "$@" ;;
    esac
}
# Sets target: the name given by --database for alias $1 among the other arguments, as it is.
find_name() {
    wanted=$1
    target=
    shift
    while [ $# -gt 0 ]; do
        if [ "$1" = --database ] && [ "${2%%=*}" = "$wanted" ]; then target=${2#*=}; fi
        case $1 in
        --database | --media) shift 2 ;;
        *) shift ;;
        esac
    done
}
show_database() {
    database "$@"
    case $vendor in
    sqlite) say "database $alias: SQLite, $target$(replaces "$target")" ;;
    postgresql | mysql)
        if [ -n "$target" ]; then
            say "database $alias: $vendor, into the empty database $target"
        else
            say "database $alias: $vendor, came from $default; give --database $alias=NAME"
        fi
        ;;
    *) say "database $alias: $vendor, not restored by this script (see $folder)" ;;
    esac
}
check_database() {
    database "$@"
    case $vendor in
    sqlite) check_sqlite ;;
    postgresql | mysql) check_server ;;
    *) die "database '$alias' is $vendor: restore $folder with its own tools, and run this with --skip-database" ;;
    esac
}
to_psql() { psql --no-psqlrc --quiet --no-align --tuples-only --set ON_ERROR_STOP=1 --dbname "$target" "$@"; }
to_mysql() {
    if command -v mariadb >/dev/null 2>&1; then
        mariadb --local-infile=1 --comments --binary-mode --default-character-set=utf8mb4 "$@" "$target"
    else
        mysql --local-infile=1 --comments --binary-mode --default-character-set=utf8mb4 "$@" "$target"
    fi
}
check_server() {
    if [ -z "$target" ]; then
        die "database '$alias' came from $default: make an empty one and give --database $alias=NAME"
    fi
    if [ "$vendor" = postgresql ]; then
        command -v psql >/dev/null 2>&1 || die "psql is missing: install postgresql-client"
        found=$(to_psql --command "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'") ||
            die "cannot look into database '$target'"
    else
        command -v mariadb >/dev/null 2>&1 || command -v mysql >/dev/null 2>&1 ||
            die "mysql is missing: install mariadb-client"
        found=$(to_mysql --batch --skip-column-names --execute \
            "SELECT count(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()") ||
            die "cannot look into database '$target'"
    fi
    [ "$found" = 0 ] || die "database '$target' is not empty: nothing was changed"
}
put_postgresql() {
    cd "$here/$folder" || exit 1
    failed="cannot load database '$alias': what is in '$target' is incomplete, drop it"
    to_psql --file 3-pre.sql >/dev/null || die "$failed"
    # A line is a table's number and the statement that takes its rows.
    while IFS="$tab" read -r number statement; do
        { printf '%s\n' "$statement" && cat -- "4-data/$number".*.copy && printf '\\.\n'; } |
            to_psql >/dev/null || die "$failed"
    done <6-load.tsv
    for part in 5-large/*.sql; do
        if [ -f "$part" ]; then to_psql --file "$part" >/dev/null || die "$failed"; fi
    done
    for part in 7-sequences.sql 8-post.sql; do
        to_psql --file "$part" >/dev/null || die "$failed"
    done
    to_psql --command ANALYZE >/dev/null || die "$failed"
    cd "$here" || exit 1
    say "restored: database $alias, $target"
}
put_mysql() {
    cd "$here/$folder" || exit 1
    for part in 3-pre.sql 6-load.sql 7-sequences.sql 8-post.sql; do
        to_mysql <"$part" || die "cannot load database '$alias': what is in '$target' is incomplete, drop it"
    done
    cd "$here" || exit 1
    say "restored: database $alias, $target"
}
check_sqlite() {
    [ -n "$target" ] || die "where database '$alias' lay is not known: give --database $alias=PATH"
    case $target in
    /*) ;;
    *) die "the path of database '$alias' is not absolute: give --database $alias=PATH" ;;
    esac
    [ ! -d "$target" ] || die "'$target' is a folder, not a database"
    database_file "$folder"
}
replaces() {
    if [ -e "$1" ] || [ -L "$1" ]; then printf ' (replaces what is there)'; fi
}
# Sets file: the one regular file in a database's folder.
database_file() {
    file=
    for candidate in "$here/$1"/*; do
        if [ -f "$candidate" ] && [ ! -L "$candidate" ]; then
            [ -z "$file" ] || die "$1 holds more than one file: restore it by hand"
            file=$candidate
        fi
    done
    [ -n "$file" ] || die "$1 holds no database file"
}
put_database() {
    database "$@"
    case $vendor in
    postgresql) put_postgresql ;;
    mysql) put_mysql ;;
    *) put_sqlite ;;
    esac
}
put_sqlite() {
    database_file "$folder"
    if [ -L "$target" ]; then target=$(readlink -f -- "$target"; printf x) && target=${target%?x}; fi
    parent=${target%/*}
    mkdir -p -- "${parent:-/}" || die "cannot create '$parent'"
    staged=$target.restoring-$stamp
    cp -- "$file" "$staged" || die "cannot copy database '$alias' to '$staged'"
    if [ -e "$target" ]; then
        chmod --reference="$target" -- "$staged" || die "cannot set the mode of '$staged'"
        if [ "$(id -u)" = 0 ]; then chown --reference="$target" -- "$staged"; fi
    else
        chmod 0640 -- "$staged"
        if [ "$(id -u)" = 0 ]; then chown --reference="${parent:-/}" -- "$staged"; fi
    fi
    if command -v sqlite3 >/dev/null 2>&1; then
        answer=$(sqlite3 -readonly "$staged" 'PRAGMA quick_check' 2>&1)
        [ "$answer" = ok ] || die "the copy of database '$alias' fails SQLite's own check: $answer"
    fi
    sync -- "$staged" || die "cannot sync '$staged'"
    kept=$target.before-restore-$stamp
    for suffix in -wal -shm -journal ''; do
        if [ -e "$target$suffix" ]; then
            mv -- "$target$suffix" "$kept$suffix" || die "cannot move '$target$suffix' aside"
            say "kept: $kept$suffix"
        fi
    done
    mv -- "$staged" "$target" || die "cannot move '$staged' into place; what was there is '$kept'"
    staged=
    sync -- "${parent:-/}"
    say "restored: database $alias, $target"
}

# each_storage calls these with alias, folder, location and the script's arguments.
storage() {
    alias=$1
    folder=$2
    default=$3
    shift 3
    find_target --media "$alias" "$default" "$@"
}
show_storage() {
    storage "$@"
    [ -d "$here/$folder" ] || return 0
    say "storage $alias: $target$(replaces "$target")"
}
check_storage() {
    storage "$@"
    [ -d "$here/$folder" ] || return 0
    [ -n "$target" ] || die "where storage '$alias' lay is not known: give --media $alias=DIR"
    case $target in
    /?*) ;;
    *) die "'$target' is no folder for storage '$alias': give --media $alias=DIR" ;;
    esac
    if [ -e "$target" ] && [ ! -d "$target" ]; then die "'$target' is not a folder"; fi
}
put_storage() {
    storage "$@"
    [ -d "$here/$folder" ] || return 0
    if [ -L "$target" ]; then target=$(readlink -f -- "$target"; printf x) && target=${target%?x}; fi
    parent=${target%/*}
    mkdir -p -- "${parent:-/}" || die "cannot create '$parent'"
    staged=$target.restoring-$stamp
    mkdir -- "$staged" || die "cannot create '$staged'"
    cp -a --sparse=always -- "$here/$folder/." "$staged/" || die "cannot copy storage '$alias'"
    apply_entries "$folder" "$staged"
    sync -f -- "$staged" || die "cannot sync '$staged'"
    kept=
    if [ -e "$target" ]; then
        kept=$target.before-restore-$stamp
        mv -T -- "$target" "$kept" ||
            die "cannot move '$target' aside (a mount point?): give another folder with --media $alias=DIR"
    fi
    if ! mv -T -- "$staged" "$target"; then
        if [ -n "$kept" ]; then mv -T -- "$kept" "$target"; fi
        die "cannot move the restored files to '$target'"
    fi
    staged=
    if [ -n "$kept" ]; then say "kept: $kept"; fi
    say "restored: storage $alias, $target"
}

# Turns lines of entries.tsv into records that end in NUL: those of folder $1 whose type is one of
# $3 and whose target begins with $4. $2 tells sed what to print: \1 type, \2 mode, \3 owner, group
# and their names, \4 time, \6 path in the folder, \7 the rest of the target. Escapes are undone
# last, when tabs and newlines have no meaning any more.
records() {
    field="[^$tab]*"
    sed -nE "s|^([$3])${tab}0*([0-7]+)${tab}($field$tab$field$tab$field$tab$field)${tab}($field)$tab$field$tab$1(/($field))?$tab$4(.*)\$|$2|p" "$here/entries.tsv" |
        tr '\n' '\0' |
        sed -zE 's/\\\\/\\b/g; s/\\n/\n/g; s/\\r/\r/g; s/\\t/\t/g; s/\\b/\\/g'
}

# Whether entries.tsv names a path, or the earlier name of a file, that goes up.
goes_up() {
    up="([^$tab]*/)?\.\.(/[^$tab]*)?"
    grep -qE "^([^$tab]*$tab){8}$up($tab|\$)|^h$tab([^$tab]*$tab){8}$up\$" entries.tsv
}

# Gives the files in $2 the links, owners, times and modes of folder $1 in entries.tsv. Only what
# differs is changed: after tar that is little.
apply_entries() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/restore.XXXXXX") || die "cannot create a temporary folder"
    (
        cd "$2" || exit 1
        # A list that calls a link a file would have its target's mode changed.
        records "$1" './\6' l '' | sort -z >"$work/want"
        find . -type l -printf './%P\0' | sort -z >"$work/have"
        comm -z -3 "$work/want" "$work/have" >"$work/differ"
        [ ! -s "$work/differ" ] || exit 1
        # Two records for each hard link: its path and the earlier file's.
        records "$1" '\6\n\7' h "$1/" | xargs -0 -r -n 2 sh -c '
            [ "./$1" -ef "./$2" ] || ln -f -- "./$2" "./$1"' sh || exit 1
        if [ "$(id -u)" = 0 ]; then owners "$1" || exit 1; fi
        records "$1" '\40 ./\6' fsdl '' | sed -z 's|/$||' | sort -z >"$work/want"
        find . -printf '%T@ ./%P\0' | sed -z 's|/$||' | sort -z >"$work/have"
        comm -z -23 "$work/want" "$work/have" | xargs -0 -r sh -c '
            for record; do
                time=${record%% *}
                path=${record#* }
                seconds=${time%.*}
                fraction=${time#*.}
                fraction=${fraction%0}
                # Before 1970 the list counts the fraction upwards, touch downwards.
                if [ "${seconds#-}" != "$seconds" ] && [ "$fraction" != 000000000 ]; then
                    fraction=$((2000000000 - 1$fraction))
                    fraction=$(printf %09d "$fraction")
                    seconds=$((seconds + 1))
                    if [ "$seconds" = 0 ]; then seconds=-0; fi
                fi
                touch -h -m -d "@$seconds.$fraction" -- "$path" || exit 255
            done' sh || exit 1
        # All files of one mode at once.
        records "$1" '\2 ./\6' fsd '' | sed -z 's|/$||' | sort -z >"$work/want"
        find . ! -type l -printf '%m ./%P\0' | sed -z 's|/$||' | sort -z >"$work/have"
        comm -z -23 "$work/want" "$work/have" >"$work/differ"
        for mode in $(tr '\n\0' ' \n' <"$work/differ" | sed -nE 's/^([0-7]+) .*/\1/p' | sort -u); do
            sed -zn "s|^$mode ||p" "$work/differ" | xargs -0 -r chmod "$mode" -- || exit 1
        done
    ) || die "cannot set links, owners, times or modes in '$2'"
    rm -rf -- "$work"
    work=
}

# Gives all files below the working folder the owners of folder $1 in entries.tsv: the recorded
# name where this machine knows it, else the recorded number.
owners() {
    records "$1" '\3 ./\6' fsdl '' >"$work/all"
    records "$1" '\3' fsdl '' | tr '\0' '\n' | sort -u >"$work/owners"
    while IFS= read -r line; do
        uid=${line%%"$tab"*}
        rest=${line#*"$tab"}
        gid=${rest%%"$tab"*}
        rest=${rest#*"$tab"}
        user=${rest%%"$tab"*}
        group=${rest#*"$tab"}
        if [ -n "$user" ]; then uid=$(id -u -- "$user" 2>/dev/null || printf %s "$uid"); fi
        if [ -n "$group" ]; then
            known=$(getent group "$group" 2>/dev/null | cut -d: -f3)
            gid=${known:-$gid}
        fi
        pattern=$(printf '%s' "$line" | sed 's/[][\.*^$|/]/\\&/g')
        sed -zn "s|^$pattern \./|./|p" "$work/all" | xargs -0 -r chown -h "$uid:$gid" -- || return 1
    done <"$work/owners"
}

[ -f backup_complete.json ] && [ -f entries.tsv ] && [ -f checksums.sha256 ] ||
    die "run this in the extracted folder of a whole backup: backup_complete.json or a list is missing"
parse "$@"
if [ "$list" = yes ]; then
    say "backup $backup_name ($backup_id), made $backup_created"
    each_database show_database "$@"
    each_storage show_storage "$@"
    exit 0
fi

say "Checking all files of $backup_name ..."
digest=$(sha256sum <checksums.sha256)
grep -q "${digest%% *}" backup_complete.json || die "checksums.sha256 is damaged: nothing was changed"
sha256sum --strict --quiet -c checksums.sha256 || die "the backup is damaged: nothing was changed"
if goes_up; then die "entries.tsv names a path outside the backup: nothing was changed"; fi
if [ "$databases" = yes ]; then each_database check_database "$@"; fi
if [ "$media" = yes ]; then each_storage check_storage "$@"; fi
say "To be restored from $backup_name, made $backup_created:"
if [ "$databases" = yes ]; then each_database show_database "$@"; fi
if [ "$media" = yes ]; then each_storage show_storage "$@"; fi
if [ "$force" = no ]; then
    say "Stop the site first: what it writes from now on would be lost or mixed in."
    printf 'Type yes to go on: '
    read -r answer || answer=
    [ "$answer" = yes ] || die "not confirmed: nothing was changed"
fi
if [ "$databases" = yes ]; then each_database put_database "$@"; fi
if [ "$media" = yes ]; then each_storage put_storage "$@"; fi
say "Done. Start the site, look at it, then delete what is named .before-restore-$stamp."
