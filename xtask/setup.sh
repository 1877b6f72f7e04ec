#!/bin/sh
# Makes a machine ready for Dalsegno: finds what is missing, installs it by name, and says so.
#
#   sh xtask/setup.sh build     Rust, and the C compiler of the bundled SQLite, zstd and libdeflate
#   sh xtask/setup.sh check     rustfmt, clippy and git
#   sh xtask/setup.sh test      what the tests start
#   sh xtask/setup.sh bench     the tools that Dalsegno is measured and compared with
#   sh xtask/setup.sh python    .venv with requirements-dev.txt; quick if nothing changed since
#
# Packages are Debian's: installed with apt-get by root, through sudo by others.  Where neither will do, the line to
# run is printed and the exit code is 1.  PYTHON names the interpreter that .venv is made from.
set -eu
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# missing COMMAND=PACKAGE...: the packages of the commands that are not there.
missing() {
    for pair; do
        command -v "${pair%%=*}" >/dev/null 2>&1 || printf ' %s' "${pair#*=}"
    done
}

# apt_get VERB...: as root, without a question, and silent unless it fails.
apt_get() {
    if [ "$(id -u)" -eq 0 ]; then
        said=$(DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet "$@" </dev/null 2>&1) && return 0
    else
        said=$(sudo DEBIAN_FRONTEND=noninteractive apt-get --quiet --quiet "$@" </dev/null 2>&1) && return 0
    fi
    printf '%s\n' "$said" >&2
    return 1
}

# install PACKAGE...: only what is asked for.
updated=
install() {
    [ $# -gt 0 ] || return 0
    command -v apt-get >/dev/null 2>&1 || fail "install these, or what they are called here, and try again: $*"
    by_hand="apt-get update && apt-get install --yes $*"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail "run this as root and try again: $by_hand"
    fi
    say "Installing the Debian packages: $*"
    [ -n "$updated" ] || apt_get update || fail "apt-get failed; run by hand: $by_hand"
    updated=yes
    apt_get install --yes --no-install-recommends "$@" || fail "apt-get failed; run by hand: $by_hand"
}

# need COMMAND=PACKAGE...
need() {
    # shellcheck disable=SC2046 # package names have no spaces
    install $(missing "$@" | tr ' ' '\n' | sort -u)
    left=$(missing "$@")
    [ -z "$left" ] || fail "still not on PATH after the installation:$left"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# servers COMMAND=PACKAGE...: Debian's own service of each is not started; the tests start theirs as they need them.
servers() {
    PATH=$PATH:/usr/sbin
    [ -n "$(missing "$@")" ] || return 0
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ] && command -v apt-get >/dev/null 2>&1; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        trap 'as_root rm -f "$policy"' EXIT
        as_root chmod 755 "$policy"
    fi
    need "$@"
}

build() {
    command -v cargo >/dev/null 2>&1 ||
        fail "Rust is missing; Debian's is too old. Run: curl --proto '=https' -sSf https://sh.rustup.rs | sh"
    # gcc alone has no C headers.
    if ! command -v cc >/dev/null 2>&1; then install gcc libc6-dev; fi
    echo '#include <stdlib.h>' | cc -E -x c - >/dev/null 2>&1 || install libc6-dev
}

check() {
    need git=git
    for component in fmt clippy; do
        cargo "$component" --version >/dev/null 2>&1 && continue
        name=$([ "$component" = fmt ] && echo rustfmt || echo "$component")
        command -v rustup >/dev/null 2>&1 || fail "cargo $component is missing: install $name for your Rust"
        say "Installing the Rust component $name"
        rustup component add "$name" || fail "run by hand to see why: rustup component add $name"
    done
}

# The archives are opened with the tools that an operator has; other users and mounts are real ones.
run_by_tests() {
    need tar=tar gzip=gzip zstd=zstd sha256sum=coreutils setpriv=util-linux unshare=util-linux mount=mount
    need openssl=openssl
    postgres_server
    servers mariadbd=mariadb-server mariadb=mariadb-client
}

# The tests start servers of their own: the package shall make no cluster and start none.
postgres_server() {
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        [ ! -x "$initdb" ] || return 0
    done
    install postgresql-common
    conf=/etc/postgresql-common/createcluster.conf
    set -- sed -i 's/^#* *create_main_cluster.*/create_main_cluster = false/' "$conf"
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
    install postgresql
}

bench() {
    need cp=coreutils sync=coreutils tar=tar pigz=pigz zstd=zstd sqlite3=sqlite3
}

python() {
    python=${PYTHON:-python3}
    if [ "$python" = python3 ]; then need python3=python3; fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "$python is missing or older than 3.10, the oldest that Django 5.2 takes: set PYTHON to another"
    "$python" -c 'import sqlite3' || fail "$python has no sqlite3 module: set PYTHON to another"
    # An active .venv is not what it is made from.
    python=$("$python" -c 'import sys; print(sys._base_executable)')

    wanted=$({
        "$python" -VV
        echo "$python $PWD"
        cat requirements-dev.txt examples/bookshop/requirements.txt benches/requirements.txt
    } | sha256sum)
    if [ "$(cat .venv/made-from 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c '' 2>/dev/null; then
        return 0
    fi
    # Debian keeps a part of the standard library in a package of its own.
    "$python" -c 'import ensurepip, venv' 2>/dev/null || install python3-venv
    say "Making .venv from $("$python" --version), with requirements-dev.txt"
    "$python" -m venv --clear .venv || fail "cannot make .venv with $python"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt ||
        fail "pip failed; run by hand to see why: .venv/bin/python -m pip install -r requirements-dev.txt"
    printf '%s\n' "$wanted" >.venv/made-from
}

for part; do
    case $part in
    build | check | bench | python) "$part" ;;
    test) run_by_tests ;;
    *) fail "no such part: $part" ;;
    esac
done
