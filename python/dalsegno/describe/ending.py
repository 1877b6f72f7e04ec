"""The end of the helper's process, which nothing of the site may put off."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Callable


def to_the_end(step: Callable[[], None]) -> None:
    """Take the last step of this process, whatever holds it above."""
    status = 1
    try:
        step()
        status = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        flush()
        # Threads and exit handlers of the site must not keep the process.
        os._exit(status)


def flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            if stream is not None:
                stream.flush()
        except Exception:
            continue
