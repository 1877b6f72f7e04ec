"""Text on its way to a terminal: names of files and tables come from strangers. The rules are those
of the program's own ``printable.rs``."""

from __future__ import annotations

import re

# Control characters, and what changes the direction of writing or ends a line.
_HARMFUL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def one_line(text: str) -> str:
    """The text as one line that may be printed."""
    return _HARMFUL.sub(lambda found: _SHORT.get(found[0], f"\\u{{{ord(found[0]):x}}}"), text)
