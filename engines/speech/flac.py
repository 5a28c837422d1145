"""Sound made small without loss, for the way to a service: half the bytes of a voice."""

from __future__ import annotations

import io

import av
from av.audio.stream import AudioStream

from engines.speech.pieces import SAMPLE_RATE

FRAME_SAMPLES = 4096


def to_flac(sound: bytes) -> bytes:
    """`sound`: 16 kHz mono int16. The samples come back exactly."""
    out = io.BytesIO()
    with av.open(out, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        assert isinstance(stream, AudioStream)
        for at in range(0, len(sound), FRAME_SAMPLES * 2):
            part = sound[at : at + FRAME_SAMPLES * 2]
            frame = av.AudioFrame(format="s16", layout="mono", samples=len(part) // 2, align=1)
            frame.planes[0].update(part)
            frame.sample_rate = SAMPLE_RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()
