"""How long a file's sound is by its packets, which are read and not decoded: a twentieth of the time."""

from __future__ import annotations

import contextlib

import av
from av.audio.stream import AudioStream
from av.container import InputContainer

from engines.speech.avi import Stamp
from engines.speech.clock import MAX_GAP


def seconds_of(container: InputContainer, stream: AudioStream, stamp: Stamp, enough: float) -> float:
    """Seconds of sound and pauses in `stream`, counted until the end, or until they are more than `enough`.

    What the times cannot tell, because they jump, is counted by packets' lengths.
    """
    total = length = 0.0
    last: float | None = None
    # A damaged end is counted as far as it goes; it is reported where it is decoded.
    with contextlib.suppress(av.FFmpegError, EOFError):
        for packet in container.demux(stream):
            stamp(packet)
            time = None if packet.pts is None else float(packet.pts * (packet.time_base or 0))
            step = length if time is None or last is None else time - last
            if not 0 <= step <= MAX_GAP:
                step = length
            total += step
            if time is not None:
                last = time
            elif last is not None:
                last += length
            length = float((packet.duration or 0) * (packet.time_base or 0))
            if total > enough:
                break
    return total + length
