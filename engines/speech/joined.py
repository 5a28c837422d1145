"""Where one file ends and the next begins, in recordings that were joined byte by byte.

Streaming recorders write a new header when they start again. ffmpeg stops at the end of the first file, so each is
opened by itself. Structure is followed, never guessed from letters that a comment may hold as well; what a header
says about its length is kept as what it is: an announcement.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

UNKNOWN_RIFF_SIZES = (range(1), range(0x7FFF0000, 0x80000001), range(0xFFFFF000, 0x100000000))
"""Sizes that recorders write into a WAV header when they do not know the length yet, and never correct in a pipe."""

SCAN_BYTES = 1 << 20

MAX_PARTS = 1_000
"""More than any recorder joins: each costs the opening of a file."""

# Each begins with the magic of its kind and goes on into its structure: samples do not look like that by chance.
_BEGINNINGS = {
    b"RIFF": rb"RIFF.{4}(?:WAVE(?:fmt |JUNK|LIST|bext|fact|id3 )|AVI LIST)",
    b"RF64": rb"RF64.{4}WAVEds64",
    b"FORM": rb"FORM.{4}AIF[FC](?:COMM|FVER|COMT|NAME|AUTH|ANNO)",
    b"\x1aE\xdf\xa3": rb"\x1aE\xdf\xa3.{1,48}\x42\x82.(?:webm|matroska)",
    b"fLaC": rb"fLaC[\x00\x80]\x00\x00\x22",
    b"riff": rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00",
    b"#!AM": rb"#!AMR(?:-WB)?\n",
}
_LONGEST = 80
"""Bytes that any of these needs."""

_CHUNK_ID = re.compile(rb"[A-Za-z0-9_ \-]{4}")


@dataclass(frozen=True)
class Part:
    """One whole file in the bytes `start` to `end`.

    `cut`: by its structure it goes on after `end`. `open_ended`: its sound goes on after the end that its header gives.
    """

    start: int
    end: int
    cut: bool = False
    open_ended: bool = False


class Window(io.RawIOBase):
    """The bytes of one part as a file of its own."""

    def __init__(self, file: IO[bytes], part: Part) -> None:
        self._file = file
        self._part = part
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        left = max(self._part.end - self._part.start - self._at, 0)
        # A damaged index may point anywhere, also to where no file can seek.
        if left == 0:
            return b""
        self._file.seek(self._part.start + self._at)
        data = self._file.read(left if size < 0 else min(size, left))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.end - self._part.start}[whence]
        self._at = max(base + offset, 0)
        return self._at


def parts_of(file: IO[bytes], size: int) -> list[Part]:
    """The files that `file`, `size` bytes long, is joined from, in order; at least one."""
    parts: list[Part] = []
    start = 0
    while start < size and len(parts) < MAX_PARTS:
        part = _part_at(file, start, size)
        parts.append(part)
        start = part.end
    return parts


def _part_at(file: IO[bytes], start: int, size: int) -> Part:
    head = _read(file, start, 12)
    if head[4:8] in (b"ftyp", b"styp"):
        return _mp4(file, start, size)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wav(file, start, size)
    pattern = _BEGINNINGS.get(head[:4])
    return Part(start, next(_beginnings(file, pattern, start + 1, size), size) if pattern else size)


def mp3_tells_length(head: bytes) -> bool:
    """Whether an MP3 begins with a frame that counts its frames: without it, ffmpeg guesses from the bit rate.

    `head`: the file's first bytes, after any ID3v2 tag.
    """
    # Behind the frame's header and side information, 9 to 32 bytes, or 36 bytes in for VBRI.
    return head[:1] == b"\xff" and any(head[at : at + 4] in (b"Xing", b"Info", b"VBRI") for at in (13, 21, 36))


def id3_length(head: bytes) -> int:
    """Bytes of the ID3v2 tag that begins the file, 0 without one."""
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def _mp4(file: IO[bytes], start: int, size: int) -> Part:
    """Boxes one after another; a second `ftyp` after an index begins the next file."""
    at, indexed = start, False
    while at + 8 <= size:
        head = _read(file, at, 16)
        length, kind = struct.unpack_from(">I4s", head)
        if kind == b"ftyp" and indexed:
            return Part(start, at)
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack_from(">Q", head, 8)
        if length == 0:
            length = size - at
        if length < 8 or not _CHUNK_ID.fullmatch(kind):
            break
        indexed = indexed or kind == b"moov"
        at += length
    return Part(start, size, cut=at > size)


def _wav(file: IO[bytes], start: int, size: int) -> Part:
    wide: int | None = None
    at = start + 12
    while at + 8 <= size:
        kind, length = struct.unpack("<4sI", _read(file, at, 8))
        if kind == b"ds64" and len(sizes := _read(file, at + 8, 16)) == 16:
            (wide,) = struct.unpack_from("<Q", sizes, 8)
        elif kind == b"data":
            return _wav_data(file, Part(start, size), at + 8, length if wide is None else wide)
        at += 8 + length + length % 2
    return Part(start, size)


def _wav_data(file: IO[bytes], whole: Part, data: int, length: int) -> Part:
    known = not any(length in unknown for unknown in UNKNOWN_RIFF_SIZES) and length < 1 << 60
    data_end = data + length if known else whole.end
    after = _after_chunks(file, data_end, whole.end)
    pattern = _BEGINNINGS[b"RIFF"] + b"|" + _BEGINNINGS[b"RF64"]
    hits = _beginnings(file, pattern, data, whole.end)
    # Between the sound and the end of the chunks behind it are comments: they may hold any letters.
    end = next((hit for hit in hits if hit <= data_end + 1 or hit >= after), whole.end)
    return Part(
        whole.start,
        end,
        cut=known and data_end > end,
        open_ended=known and after <= data_end and end - data_end > 1,
    )


def _after_chunks(file: IO[bytes], at: int, size: int) -> int:
    """The end of the well-formed chunks that begin at `at`; `at` itself where there is none."""
    while at + 8 <= size:
        for begin in (at + at % 2, at):
            kind, length = struct.unpack("<4sI", _read(file, begin, 8).ljust(8, b"\0"))
            if _CHUNK_ID.fullmatch(kind) and kind not in (b"RIFF", b"RF64") and begin + 8 + length <= size:
                at = begin + 8 + length
                break
        else:
            break
    return at


def _beginnings(file: IO[bytes], pattern: bytes, at: int, size: int) -> Iterator[int]:
    """Where the pattern is found from `at` on, read piece by piece."""
    search = re.compile(pattern, re.DOTALL)
    while at < size:
        piece = _read(file, at, SCAN_BYTES + _LONGEST)
        for found in search.finditer(piece):
            if found.start() < SCAN_BYTES:
                yield at + found.start()
        at += SCAN_BYTES


def _read(file: IO[bytes], at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)
