"""What the headers of a file say about its size, where ffmpeg would believe it.

Recorders write a size at the end, and one that is killed, or writes into a pipe, leaves 0 or a wrong one. The sound is
there all the same: a size that cannot be right is replaced by the one that the file has.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass

_CHUNK_ID = re.compile(rb"[A-Za-z0-9_ \-]{4}")

Read = Callable[[int, int], bytes]
"""Position and length -> bytes of the file."""


@dataclass(frozen=True)
class Sizes:
    """`patches`: bytes to be read instead of the file's, by their position. `cut`: there should be more."""

    patches: tuple[tuple[int, bytes], ...] = ()
    cut: bool = False


def sizes_of(read: Read, start: int, end: int) -> Sizes:
    """Of the file in the bytes `start` to `end`."""
    head = read(start, 16)
    if head[:4] == b"FORM" and head[8:11] == b"AIF":
        return _aiff(read, start, end)
    if head[:8] == b"caff\0\x01\0\0":
        return _caf(read, start, end)
    if head[:4] == b".snd":
        # Nothing ever follows the sound.
        data, claimed = int.from_bytes(head[4:8], "big"), int.from_bytes(head[8:12], "big")
        cut = claimed != 0xFFFFFFFF and start + data + claimed > end
        return Sizes(((start + 8, b"\xff" * 4),), cut)
    if head == _W64_RIFF:
        return _w64(read, start, end)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        claimed = int.from_bytes(head[4:8], "little")
        return Sizes(cut=claimed < 0xFFFFF000 and start + 8 + claimed > end)
    if head[:4] == b"\x1aE\xdf\xa3":
        return Sizes(cut=_ebml_end(read, start) > end)
    return Sizes()


def _aiff(read: Read, start: int, end: int) -> Sizes:
    at, frame, patches, counted = start + 12, 0, [], start
    while at + 8 <= end:
        kind, length = struct.unpack(">4sI", read(at, 8))
        if kind == b"COMM":
            channels, _, bits = struct.unpack(">HIH", read(at + 8, 8).ljust(8, b"\0"))
            frame, counted = max(channels * (bits + 7) // 8, 1), at + 10
        elif kind == b"SSND":
            room = end - at - 8
            if not _is_wrong(read, at + 8 + length, end, length <= 8):
                return Sizes()
            patches.append((at + 4, struct.pack(">I", room)))
            if frame:
                patches.append((counted, struct.pack(">I", (room - 8) // frame)))
            return Sizes(tuple(patches), cut=length > room)
        at += 8 + length + length % 2
    return Sizes()


def _caf(read: Read, start: int, end: int) -> Sizes:
    at = start + 8
    while at + 12 <= end:
        kind, length = struct.unpack(">4sq", read(at, 12))
        if kind == b"data":
            if length == -1 or not _is_wrong(read, at + 12 + length, end, length <= 4):
                return Sizes()
            return Sizes(((at + 4, struct.pack(">q", -1)),), cut=length > end - at - 12)
        if length < 0:
            break
        at += 12 + length
    return Sizes()


_W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"


def _w64(read: Read, start: int, end: int) -> Sizes:
    at = start + 40
    while at + 24 <= end:
        head = read(at, 24)
        length = int.from_bytes(head[16:], "little")
        if head[:16] == _W64_DATA:
            if not _is_wrong(read, at + (length + 7) // 8 * 8, end, length <= 24):
                return Sizes()
            return Sizes(((at + 16, struct.pack("<Q", end - at)),), cut=length > end - at)
        at += max((length + 7) // 8 * 8, 24)
    return Sizes()


def _is_wrong(read: Read, behind: int, end: int, empty: bool) -> bool:
    """Whether a chunk of sound that is said to end at `behind` does not: no other chunk begins there."""
    if empty or behind > end:
        return True
    return end - behind > 1 and not any(_CHUNK_ID.fullmatch(read(at, 4)) for at in (behind, behind + behind % 2))


def _ebml_end(read: Read, start: int) -> int:
    """Where a Matroska or WebM file says that it ends; `start` where it does not say."""
    at = start + 4
    at += sum(_ebml_number(read(at, 8)))
    if read(at, 4) != b"\x18\x53\x80\x67":
        return start
    width, length = _ebml_number(read(at + 4, 8))
    unknown = (1 << 7 * width) - 1
    return start if length == unknown else at + 4 + width + length


def _ebml_number(data: bytes) -> tuple[int, int]:
    """Its own width in bytes, and its value."""
    width = 9 - (data[0] if data else 0x80).bit_length()
    value = int.from_bytes(data[:width], "big")
    return width, value & ((1 << 7 * width) - 1)
