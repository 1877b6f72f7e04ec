"""File contents made without any encoder, so that they are the same whatever libraries are installed."""

import json
import struct
import zlib

from .words import NASTY, phrase


def png(rng, width, height):
    """A valid RGB image of noise; its deflate stream is stored, since encoders differ in what they make of it."""
    rows = b"".join(b"\0" + rng.randbytes(3 * width) for _ in range(height))
    stream = b"\x78\x01"
    for start in range(0, len(rows), 65_535):
        block = rows[start : start + 65_535]
        last = start + 65_535 >= len(rows)
        stream += struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    stream += struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", stream), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def jpeg(rng, size):
    """`size` bytes framed as a JPEG: markers in the right order around noise that no decoder will like."""
    head = (
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    )
    return head + rng.randbytes(size - len(head) - 2).replace(b"\xff", b"\xfe") + b"\xff\xd9"


def lines(rng, size, opening):
    """About `size` bytes of text that compresses well."""
    out = [opening]
    while size > 0:
        out.append(f"{len(out)};{phrase(rng, 3, 9)};{rng.randrange(10**6) / 100:.2f}\n")
        size -= len(out[-1].encode())
    return "".join(out).encode()


def chapter(rng, number):
    paragraphs = [phrase(rng, 20, 90) for _ in range(rng.randint(2, 9))]
    if number % 5 == 0:
        paragraphs.append(NASTY[number // 5 % len(NASTY)])
    return json.dumps(
        {"version": 1, "chapter": number, "paragraphs": paragraphs}, ensure_ascii=number % 2 == 0
    ).encode()


def content(rng, kind, number, name):
    """The bytes of the file `name`, the `number`th of its kind."""
    if kind == "content":
        return chapter(rng, number)
    if kind == "document" and number == 1:
        return b""
    if name.endswith(".png"):
        return png(rng, rng.randint(20, 110), rng.randint(20, 110))
    if name.endswith(".jpg"):
        return jpeg(rng, rng.randint(3_000, 50_000))
    if name.endswith((".csv", ".pdf")):
        return lines(rng, rng.randint(1_000, 40_000), "%PDF-1.4\n" if name.endswith(".pdf") else "line;text;amount\n")
    return rng.randbytes(rng.randint(2_000, 60_000))
