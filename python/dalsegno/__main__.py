"""``python -m dalsegno``: the program itself."""

import os
import sys

from dalsegno.binary import find_binary
from dalsegno.errors import BackupError

if __name__ == "__main__":
    try:
        binary = find_binary()
    except BackupError as error:
        sys.exit(f"error: {error}")
    os.execv(binary, [binary, *sys.argv[1:]])
