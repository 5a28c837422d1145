"""The times of sound in an AVI, whose packets have none: they are counted.

Its writers keep a late start and a pause as chunks without bytes. ffmpeg drops those, so that what follows would be
heard too early: here they are counted in.
"""

from __future__ import annotations

import bisect
import struct
from array import array
from collections.abc import Callable
from typing import Any

from av.packet import Packet

from engines.speech.joined import Window

Stamp = Callable[["Packet[Any]"], None]
"""Corrects the time of a packet."""

MAX_CHUNKS = 4_000_000
"""Of sound and picture, twice what four hours have: a file of nothing but heads would take minutes."""

_LISTS = frozenset({b"AVI ", b"AVIX", b"hdrl", b"strl", b"movi", b"rec "})


class AviTimes:
    """Corrects the times of one sound track."""

    def __init__(self, file: Window, track: int) -> None:
        """Walk from head to head through the file. `track`: the sound's number among all its tracks."""
        self._empty = array("q")
        wanted, headers, at = b"%02dwb" % track, 0, 0
        for _ in range(MAX_CHUNKS):
            file.seek(at)
            head = file.read(12)
            if len(head) < 8:
                return
            kind, length = struct.unpack_from("<4sI", head)
            if kind in (b"RIFF", b"LIST") and head[8:] in _LISTS:
                at += 12
                continue
            if kind == b"strh":
                if headers == track and _has_samples_of_one_size(head[8:] + file.read(44)):
                    # ffmpeg counts these in samples, and a chunk without bytes has none.
                    return
                headers += 1
            elif kind == wanted and length == 0:
                self._empty.append(at)
            at += 8 + length + length % 2

    def stamp(self, packet: Packet[Any]) -> None:
        """Move a packet, counted in chunks, behind the empty ones before it."""
        if packet.pts is not None and packet.pos is not None and self._empty:
            packet.pts += bisect.bisect_left(self._empty, packet.pos)
            packet.dts = packet.pts


def _has_samples_of_one_size(header: bytes) -> bool:
    return int.from_bytes(header[44:48], "little") > 0
