"""Frames over two descriptors: four bytes of length and one JSON object."""

from __future__ import annotations

import json
import os
import struct

from .errors import HelperError
from .values import Json

MAX_FRAME = 64 * 1024 * 1024


class Conversation:
    """Frames over two descriptors of its own."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests = requests
        self._answers = answers

    def receive(self) -> Json | None:
        """The next request; None at the end of requests."""
        head = self._read(4, at_boundary=True)
        if head is None:
            return None
        (length,) = struct.unpack(">I", head)
        if length > MAX_FRAME:
            raise HelperError("protocol", f"a request of {length} bytes is too large")
        body = self._read(length, at_boundary=False)
        request = json.loads((body or b"").decode("utf-8"))
        if not isinstance(request, dict):
            raise HelperError("protocol", "a request is not an object")
        return request

    def send(self, message: Json) -> None:
        body = encoded(message)
        if len(body) > MAX_FRAME:
            refusal = {
                "kind": "too_large",
                "message": f"the answer has {len(body)} bytes, more than {MAX_FRAME}",
            }
            body = encoded({"id": message.get("id"), "error": refusal})
        view = memoryview(struct.pack(">I", len(body)) + body)
        while view:
            view = view[os.write(self._answers, view) :]

    def _read(self, length: int, at_boundary: bool) -> bytes | None:
        parts: list[bytes] = []
        missing = length
        while missing:
            part = os.read(self._requests, min(missing, 1 << 20))
            if not part:
                if at_boundary and missing == length:
                    return None
                raise HelperError("protocol", "the requests ended inside a frame")
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)


def encoded(message: Json) -> bytes:
    """JSON in UTF-8, whatever is in it."""
    # Names that are not UTF-8 reach Python as lone surrogates, which JSON cannot carry.
    text = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
