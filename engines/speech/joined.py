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
from dataclasses import dataclass, replace
from functools import partial
from typing import IO

from engines.speech.sizes import sizes_of

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
    b"caff": rb"caff\0\x01\0\0desc\0{4}",
    b".snd": rb"\.snd\0\0.{6}\0{3}[\x01-\x1d]\0[\0-\x0b]..\0{3}[\x01-\x10]",
    b"FLV\x01": rb"FLV\x01[\0\x01\x04\x05]\0{3}\x09\0{4}",
    b"TTA1": rb"TTA1[\x01\x02]\0[\x01-\x10]\0[\x08\x10\x18\x20]\0",
    b"Crea": rb"Creative Voice File\x1a",
    b".SoX": rb"\.SoX...\0.{16}[\x01-\x10]\0{3}",
    b"nut/": rb"nut/multimedia container\0",
    b".RMF": rb"\.RMF\0{3}\x12\0",
    b"\x30\x26\xb2\x75": rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c",
    # A block of its own, the first of its file (index 0), and the first of the channels (flag 0x800).
    b"wvpk": rb"wvpk...\0[\x02-\x10]\x04\0.{5}\0{4}.{4}.[\x08-\x0f\x18-\x1f\x28-\x2f\x38-\x3f\x48-\x4f\x58-\x5f"
    rb"\x68-\x6f\x78-\x7f\x88-\x8f\x98-\x9f\xa8-\xaf\xb8-\xbf\xc8-\xcf\xd8-\xdf\xe8-\xef\xf8-\xff]",
}
# A page that begins a stream: at time 0, with one short packet.
_OGG = rb"OggS\0[\x02\x06]\0{8}.{12}\x01[^\0\xff]"
_MP3_FRAME = rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x10-\xef]"
# What begins or ends an MP3: a tag, a frame that counts the others and has no sound, a tag behind all.
_MP3 = (
    rb"ID3[\x02-\x04]\0.[\0-\x7f]{4}"
    rb"|" + _MP3_FRAME + rb".(?:(?:\0{9}|\0{17}|\0{32})(?:Xing|Info)|.{32}VBRI)"
    rb"|TAG[^\xff]{124}."
)
_ID3V1 = 128
_LONGEST = 160
"""Bytes that any of these needs."""

_CHUNK_ID = re.compile(rb"[A-Za-z0-9_ \-]{4}")


@dataclass(frozen=True)
class Part:
    """One whole file in the bytes `start` to `end`.

    `cut`: by its structure it goes on after `end`. `open_ended`: its sound goes on after the end that its header gives.
    `patches`: bytes to be read instead of the file's, by their position. `edited`: an MP4's list of edits is followed.
    """

    start: int
    end: int
    cut: bool = False
    open_ended: bool = False
    patches: tuple[tuple[int, bytes], ...] = ()
    edited: bool = True


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
        at = self._part.start + self._at
        data = _read(self._file, at, left if size < 0 else min(size, left))
        self._at += len(data)
        for place, patch in self._part.patches:
            if at < place + len(patch) and place < at + len(data):
                data = _overlaid(data, place - at, patch)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._part.end - self._part.start}[whence]
        self._at = max(base + offset, 0)
        return self._at


def _overlaid(data: bytes, place: int, patch: bytes) -> bytes:
    """`data` with `patch` at `place`, which may begin before it or end behind it."""
    begin, end = max(place, 0), min(place + len(patch), len(data))
    return data[:begin] + patch[begin - place : end - place] + data[end:]


def parts_of(file: IO[bytes], size: int) -> list[Part]:
    """The files that `file`, `size` bytes long, is joined from, in order; at least one."""
    parts: list[Part] = []
    start = 0
    while start < size and len(parts) < MAX_PARTS:
        part = _part_at(file, start, size)
        sizes = sizes_of(partial(_within, file, size), part.start, part.end)
        parts.append(replace(part, cut=part.cut or sizes.cut, patches=sizes.patches))
        start = part.end
    return parts


def _part_at(file: IO[bytes], start: int, size: int) -> Part:
    head = _read(file, start, 12)
    if head[4:8] in (b"ftyp", b"styp"):
        return _mp4(file, start, size)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return _wav(file, start, size)
    if head[:4] == b"OggS":
        return _ogg(file, start, size)
    sound = _behind_tags(file, start)
    if pattern := _BEGINNINGS.get(_read(file, sound, 4)):
        return Part(start, next(_beginnings(file, pattern, sound + 1, size), size))
    return _mp3(file, start, size) if _begins_mp3(file, start) else Part(start, size)


def _ogg(file: IO[bytes], start: int, size: int) -> Part:
    """Streams that sound together begin with pages one behind another; any later beginning is the next file's."""
    behind = start
    for at in _beginnings(file, _OGG, start, size):
        if at != behind:
            return Part(start, at)
        head = _read(file, at, 28)
        behind = at + len(head) + head[27]
    return Part(start, size)


def _mp3(file: IO[bytes], start: int, size: int) -> Part:
    sound = next(_beginnings(file, _MP3_FRAME, _behind_tags(file, start), size), size)
    for at in _beginnings(file, _MP3, sound + 1, size):
        begin = at + _ID3V1 if _read(file, at, 3) == b"TAG" else at
        if _begins_mp3(file, begin):
            return Part(start, begin)
    return Part(start, size)


def _begins_mp3(file: IO[bytes], at: int) -> bool:
    return re.match(_MP3_FRAME, _read(file, _behind_tags(file, at), 3), re.DOTALL) is not None


def _behind_tags(file: IO[bytes], at: int) -> int:
    while length := id3_length(_read(file, at, 10)):
        at += length
    return at


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
            part = _wav_data(file, Part(start, size), at + 8, length if wide is None else wide)
            # ffmpeg takes the 0 of an RF64 for its size.
            return replace(part, open_ended=part.open_ended or wide == 0)
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


def _within(file: IO[bytes], size: int, at: int, length: int) -> bytes:
    """As `_read`, for positions that a header gives: it may point anywhere, also to where no file can seek."""
    return _read(file, at, length) if at < size else b""


def _read(file: IO[bytes], at: int, length: int) -> bytes:
    file.seek(at)
    return file.read(length)
