"""Picture files of strangers: what the header tells, the colour profile, and the parts that the pixels need. Nothing is
decoded.

Our own, since Pillow's lazy opening is not lazy enough for them: it unpacks all texts and colour profiles of a PNG,
keeps all segments of a JPEG, and reads a whole WebP and sets its canvases up.
"""

from __future__ import annotations

import io
import re
import struct
import zlib
from typing import BinaryIO, NamedTuple

from engines.picture_parts import (
    APP0,
    APP1,
    APP2,
    APP14,
    BARE_MARKERS,
    COM,
    EOI,
    MAX_PARTS,
    PNG_SIGNATURE,
    SOS,
    exactly,
    jpeg_segments,
    png_chunks,
)

MAX_SCANS = 100
"""Times that a JPEG may go over its pixels. Encoders make about 10; each takes 0.1 s of 64 megapixels and a hundred
bytes of the file."""

MAX_PROFILE_BYTES = 2 * 2**20
"""Of a colour profile, unpacked. Those of screens and cameras have 0.5 to 50 kB, of the presses that people print on up
to 1.8 MB (ISO Coated v2); what is larger is made to fill our memory."""

PNG_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"IEND"})
"""What makes the picture, and which way is up. The rest is text, further frames, and colour profiles, which
`read_profile` reads: a kilobyte of it unpacks to a megabyte."""

PROFILE_SEGMENT = b"ICC_PROFILE\0"
"""How APP2 begins where it holds a colour profile; behind it the part's number, from 1, and how many there are."""

SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's start of frame in all its kinds; the three left out are tables."""

MARKER_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd9-\xfe]")


class PhotoHeader(NamedTuple):
    """`format` as Pillow names it; width and height in pixels as they are stored, before any turning."""

    format: str
    width: int
    height: int


def read_header(file: BinaryIO) -> PhotoHeader | None:
    """The header of a PNG, JPEG or WebP file, None for anything else. Raises ValueError for one that is damaged."""
    head = file.read(30)
    if head.startswith(PNG_SIGNATURE):
        header = PhotoHeader("PNG", *_png_size(head))
    elif head.startswith(b"\xff\xd8\xff"):
        header = PhotoHeader("JPEG", *_jpeg_size(file))
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        header = PhotoHeader("WEBP", *_webp_size(head))
    else:
        return None
    if not header.width or not header.height:
        raise ValueError(f"its size is {header.width} x {header.height}")
    return header


def without_extras(file: BinaryIO, kind: str) -> BinaryIO:
    """The file with what its pixels need and which way is up. Raises ValueError for one that is damaged."""
    if kind == "WEBP":
        return file
    kept = io.BytesIO()
    (_keep_png if kind == "PNG" else _keep_jpeg)(file, kept)
    return kept


def read_profile(file: BinaryIO, kind: str) -> bytes | None:
    """The colour profile as it stands in the file; None without one and for one that is broken or too large.

    Raises ValueError for a file that is damaged around it.
    """
    profile = {"PNG": _png_profile, "JPEG": _jpeg_profile, "WEBP": _webp_profile}[kind](file)
    return profile if profile and len(profile) <= MAX_PROFILE_BYTES else None


def _png_profile(file: BinaryIO) -> bytes | None:
    for kind, length in png_chunks(file):
        if kind == b"IDAT":
            break
        if kind == b"iCCP" and length <= MAX_PROFILE_BYTES:
            _, _, packed = file.read(length).partition(b"\0")
            try:
                # A byte more than allowed tells that it is too large. The first byte names the only way of packing.
                return zlib.decompressobj().decompress(packed[1:], MAX_PROFILE_BYTES + 1)
            except zlib.error:
                return None
    return None


def _jpeg_profile(file: BinaryIO) -> bytes | None:
    parts: dict[int, bytes] = {}
    wanted, left = 0, MAX_PROFILE_BYTES
    for marker, length in jpeg_segments(file):
        if marker == SOS:
            break
        start = len(PROFILE_SEGMENT) + 2
        if marker != APP2 or length < start or file.read(len(PROFILE_SEGMENT)) != PROFILE_SEGMENT:
            continue
        number, wanted = file.read(2)
        left -= length - start
        if left < 0:
            return None
        parts[number] = file.read(length - start)
    return b"".join(parts[number] for number in sorted(parts)) if sorted(parts) == [*range(1, wanted + 1)] else None


def _webp_profile(file: BinaryIO) -> bytes | None:
    """Only VP8X has one, in the chunk behind it."""
    file.seek(12)
    head = file.read(26)
    if head[:8] != b"VP8X\x0a\0\0\0" or head[18:22] != b"ICCP":
        return None
    length = int.from_bytes(head[22:26], "little")
    return file.read(length) if length <= MAX_PROFILE_BYTES else None


def _png_size(head: bytes) -> tuple[int, int]:
    if len(head) < 24 or head[12:16] != b"IHDR":
        raise ValueError("its header is not complete")
    width, height = struct.unpack_from(">II", head, 16)
    return width, height


def _webp_size(head: bytes) -> tuple[int, int]:
    kind = head[12:16]
    if len(head) < 30 or kind not in (b"VP8 ", b"VP8L", b"VP8X"):
        raise ValueError("its header is not complete")
    if kind == b"VP8 ":  # two numbers of 14 bits, each under 2 bits of scale
        width, height = struct.unpack_from("<HH", head, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":  # 14 bits each, less 1
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1  # VP8X, less 1


def _jpeg_size(file: BinaryIO) -> tuple[int, int]:
    for marker, _ in jpeg_segments(file):
        if marker in SIZE_MARKERS:
            height, width = struct.unpack(">xHH", exactly(file, 5))
            return width, height
        if marker == SOS:
            break
    raise ValueError("its pixels begin before its size is told")


def _keep_png(file: BinaryIO, kept: BinaryIO) -> None:
    kept.write(PNG_SIGNATURE)
    for kind, length in png_chunks(file):
        if kind in PNG_CHUNKS:
            kept.write(struct.pack(">I4s", length, kind))
            _copy(file, kept, length + 4)


def _keep_jpeg(file: BinaryIO, kept: BinaryIO) -> None:
    kept.write(b"\xff\xd8")
    exif_left = 2  # Exif and XMP, both of which tell the orientation; further ones go on with what is not used.
    for marker, length in jpeg_segments(file):
        if marker == SOS:
            kept.write(struct.pack(">BBH", 0xFF, SOS, length + 2))
            scans = file.read()
            _check_scans(scans)
            kept.write(scans)
            return
        extra = marker == COM or APP0 < marker < APP14 or marker == 0xEF
        if marker == APP1 and exif_left:
            exif_left -= 1
            extra = False
        if not extra:
            kept.write(struct.pack(">BBH", 0xFF, marker, length + 2))
            _copy(file, kept, length)


def _check_scans(data: bytes) -> None:
    scans, at = 1, 0
    for _ in range(MAX_PARTS):
        found = MARKER_IN_SCAN.search(data, at)
        if found is None or data[found.end() - 1] == EOI:
            return
        at = found.end()
        if data[at - 1] not in BARE_MARKERS:
            at += int.from_bytes(data[at : at + 2])
        scans += data[found.end() - 1] == SOS
        if scans > MAX_SCANS:
            break
    raise ValueError(f"it goes over its pixels more than {MAX_SCANS} times")


def _copy(file: BinaryIO, kept: BinaryIO, count: int) -> None:
    """As many bytes as there are, a megabyte at a time: Python makes room for all that is asked for."""
    while count > 0 and (data := file.read(min(count, 2**20))):
        kept.write(data)
        count -= len(data)
