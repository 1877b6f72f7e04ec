"""What must not be shown: mails and pages about errors print the local variables of every frame."""

from __future__ import annotations

MASK = "***"


class Secret:
    """Bytes that ``repr``, ``str`` and formats mask."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    def reveal(self) -> bytes:
        return self._content

    def __repr__(self) -> str:
        return f"Secret({MASK})"
