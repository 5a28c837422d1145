"""The parts that picture files are made of, and the texts in them that tell how a picture was made.

Our own, since Pillow unpacks all texts of a PNG when it opens one: of strangers' files no more is read than is asked
for, and no pixel is decoded.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from PIL import ExifTags, Image

MAX_PARTS = 50_000
"""Chunks or segments of a file. 64 MB of pixels in parts of 4 kB are a third of this; more are made to keep us busy."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

SOS, EOI, APP0, APP1, APP2, APP14, COM = 0xDA, 0xD9, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE

BARE_MARKERS = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
"""JPEG's markers that have no length and no content."""

MAX_TEXT_BYTES = 256 * 1024
"""Of one text, unpacked. A recipe with two prompts of 4,000 characters has 32 kB."""

EXIF_SEGMENT = b"Exif\0\0"
UNICODE = b"UNICODE\0"
"""How Exif's UserComment begins where it is UTF-16 (Exif 2.32, section 4.6.5)."""

COMMENT = "UserComment"


def read_texts(file: BinaryIO) -> dict[str, str]:
    """The texts of a PNG by their names; of a JPEG or WebP what its Exif data has as `UserComment`.

    Of those with one name the first; those that are broken or above MAX_TEXT_BYTES are passed over. Raises ValueError
    for a file that is damaged around them or of another kind.
    """
    file.seek(0)
    head = file.read(12)
    if head.startswith(PNG_SIGNATURE):
        return _png_texts(file)
    if head.startswith(b"\xff\xd8\xff"):
        return _comment(_jpeg_exif(file))
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _comment(_webp_exif(file))
    raise ValueError("it is no PNG, JPEG or WebP")


def exif_with(text: str, software: str) -> bytes:
    """Exif data with this UserComment, for Pillow's `exif=`."""
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = software
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = UNICODE + text.encode("utf-16-be")
    return exif.tobytes()


def _png_texts(file: BinaryIO) -> dict[str, str]:
    texts: dict[str, str] = {}
    for kind, length in png_chunks(file):
        if kind in (b"tEXt", b"zTXt", b"iTXt") and length <= MAX_TEXT_BYTES:
            name, _, rest = file.read(length).partition(b"\0")
            with suppress(ValueError, zlib.error):  # not the encoding that it should be, or packed in no known way
                texts.setdefault(name.decode("latin-1"), _png_text(kind, rest))
    return texts


def _png_text(kind: bytes, rest: bytes) -> str:
    """What follows a text chunk's name (PNG, section 11.3.3). Raises ValueError, zlib.error."""
    if kind == b"tEXt":
        return _decoded(rest)
    if kind == b"zTXt":
        return _decoded(_unpacked(rest[1:]))
    packed = rest[:1] == b"\1"
    _, _, text = rest[2:].split(b"\0", 2)
    return (_unpacked(text) if packed else text).decode()


def _decoded(text: bytes) -> str:
    """Latin-1, as the standard has it; other programs write UTF-8 all the same."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _unpacked(data: bytes) -> bytes:
    text = zlib.decompressobj().decompress(data, MAX_TEXT_BYTES + 1)
    if len(text) > MAX_TEXT_BYTES:
        raise ValueError("too large")
    return text


def _jpeg_exif(file: BinaryIO) -> bytes:
    for marker, length in jpeg_segments(file):
        if marker == SOS:
            break
        if marker == APP1 and file.read(len(EXIF_SEGMENT)) == EXIF_SEGMENT:
            return exactly(file, length - len(EXIF_SEGMENT))
    return b""


def _webp_exif(file: BinaryIO) -> bytes:
    """Chunks lie behind each other, each filled up to an even number of bytes; Exif is among the last."""
    file.seek(12)
    for _ in range(MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            break
        length = int.from_bytes(head[4:], "little")
        if head[:4] == b"EXIF" and length <= MAX_TEXT_BYTES:
            return exactly(file, length).removeprefix(EXIF_SEGMENT)
        file.seek(length + length % 2, os.SEEK_CUR)
    return b""


def _comment(exif: bytes) -> dict[str, str]:
    """Nothing where there is no comment."""
    read = Image.Exif()
    try:
        read.load(exif)
        comment = read.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment)
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, struct.error):  # what Pillow raises on damage
        return {}
    if not isinstance(comment, bytes | str) or len(comment) > MAX_TEXT_BYTES:
        return {}
    with suppress(ValueError):
        return {COMMENT: comment if isinstance(comment, str) else _comment_text(comment)}
    return {}


def _comment_text(comment: bytes) -> str:
    """Raises ValueError."""
    kind, text = comment[:8], comment[8:]
    if kind != UNICODE:
        return (text if kind in (b"ASCII\0\0\0", bytes(8)) else comment).decode().strip("\0")
    # The standard does not say which half comes first. Latin letters tell: their first half is 0.
    little = text[1::2].count(0) > text[::2].count(0)
    return text.decode("utf-16-le" if little else "utf-16-be").removeprefix("\ufeff").strip("\0")


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kind and bytes of each chunk. The file stands at these bytes; it may be read on."""
    file.seek(len(PNG_SIGNATURE))
    for _ in range(MAX_PARTS):
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        end = file.tell() + length + 4
        yield kind, length
        if kind == b"IEND":
            return
        file.seek(end)
    raise ValueError(f"it has more than {MAX_PARTS} parts")


def jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Marker and bytes of each segment up to the first scan. The file stands at these bytes; it may be read on."""
    file.seek(2)
    for _ in range(MAX_PARTS):
        if exactly(file, 1) != b"\xff":
            continue  # cameras leave a few bytes between segments, and decoders pass over them
        marker = exactly(file, 1)[0]
        if marker == 0xFF:
            file.seek(-1, os.SEEK_CUR)
        elif marker not in BARE_MARKERS:
            length = max(int.from_bytes(exactly(file, 2)) - 2, 0)
            end = file.tell() + length
            yield marker, length
            file.seek(end)
    raise ValueError(f"it has more than {MAX_PARTS} parts before its pixels")


def exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise ValueError("it ends within its header")
    return data
