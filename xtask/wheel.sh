#!/bin/sh
# Builds the wheel as pip does and installs it into a fresh virtual environment.
#
#   sh xtask/wheel.sh FOLDER [PYTHON]
#
# FOLDER/dist gets the wheel and FOLDER/venv the environment.  It is made from PYTHON (.venv/bin/python), an interpreter
# that has what the site needs: its packages are lent to the environment, the wheel alone is installed.  Build tools
# come from .venv.  PROFILE is cargo's (dev); CARGO_TARGET_DIR is where it builds, as for cargo itself.
set -eu
FOLDER=$1
mkdir -p "$FOLDER"
FOLDER=$(cd "$FOLDER" && pwd)
cd "$(dirname "$0")/.."
TOOLS=$PWD/.venv/bin
PYTHON=${2:-$TOOLS/python}

rm -rf "$FOLDER/dist" "$FOLDER/venv"
# What the environment of the caller would add to either.
unset PYTHONPATH PYTHONHOME DALSEGNO_BINARY
PATH="$TOOLS:$PATH" MATURIN_PEP517_ARGS="--profile ${PROFILE:-dev}" "$TOOLS/python" -m pip wheel . \
    --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir "$FOLDER/dist" >"$FOLDER/log" 2>&1 ||
    { cat "$FOLDER/log" >&2 && exit 1; }

BASE=$("$PYTHON" -c 'import sys; print(sys._base_executable)')
"$BASE" -m venv --without-pip "$FOLDER/venv"
lent=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$FOLDER/venv/bin/python" -c '
import os, sys, sysconfig
with open(os.path.join(sysconfig.get_path("purelib"), "lent.pth"), "w") as file:
    file.write(sys.argv[1] + "\n")
' "$lent"
"$TOOLS/python" -m pip --python "$FOLDER/venv/bin/python" install --quiet --disable-pip-version-check \
    --no-index --no-deps "$FOLDER"/dist/*.whl
