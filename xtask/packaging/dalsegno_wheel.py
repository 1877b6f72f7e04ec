"""Builds the wheel with maturin, where it can be of use."""

import sys

if sys.platform in ("win32", "cygwin"):
    sys.exit("Dalsegno does not run on Windows: install it on the Linux machine (or in the WSL) that runs the site.")

from maturin import *  # noqa: F403
