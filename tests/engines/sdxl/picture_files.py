"""Picture files as they come, and as somebody makes them who means harm."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MEGABYTE_OF_ZEROS = zlib.compress(bytes(2**20), 9)
"""A kilobyte."""


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    """The chunk that tells the size of an RGB picture."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))


def huge_png(width: int, height: int) -> bytes:
    """A PNG whose header promises a size and whose data is a few bytes."""
    return SIGNATURE + png_header(width, height) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND")


def with_chunks(png: bytes, before: bytes = b"", after: bytes = b"") -> bytes:
    """The PNG with more chunks before and after its pixels."""
    start, end = len(SIGNATURE) + len(chunk(b"IHDR", bytes(13))), len(png) - len(chunk(b"IEND"))
    return png[:start] + before + png[start:end] + after + png[end:]


def with_segments(jpeg: bytes, segments: bytes) -> bytes:
    """The JPEG with more segments at its beginning."""
    return jpeg[:2] + segments + jpeg[2:]


def with_scans(jpeg: bytes, times: int) -> bytes:
    """The progressive JPEG with its last scan so many times more."""
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + last * times + jpeg[-2:]
