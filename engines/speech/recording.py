"""Sound that comes in pieces, kept as one FLAC file."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av import AudioFrame

BYTES_PER_SAMPLE = 2


def pcm_frame(sound: bytes, sample_rate: int) -> AudioFrame:
    """PCM, 16 bit, one channel, as libav takes it. `sound` holds whole samples, one at least."""
    import av

    frame = av.AudioFrame(format="s16", layout="mono", samples=len(sound) // BYTES_PER_SAMPLE)
    frame.sample_rate = sample_rate
    plane = frame.planes[0]
    # The plane is longer than its samples: libav aligns it.
    plane.update(sound + bytes(plane.buffer_size - len(sound)))
    return frame


class SoundFile:
    """A FLAC file in memory: about half of the sound's own size, which is 115 MB an hour at 16 kHz."""

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` in hertz, of 16 bit PCM with one channel."""
        import av

        self._rate = sample_rate
        self._bytes = BytesIO()
        self._container = av.open(self._bytes, "w", format="flac")
        self._stream = self._container.add_stream("flac", rate=sample_rate)
        self._stream.layout = "mono"
        self._stream.format = "s16"
        self._fifo = av.AudioFifo()
        self._half = b""

    def write(self, sound: bytes) -> None:
        sound = self._half + sound
        whole = len(sound) - len(sound) % BYTES_PER_SAMPLE
        self._half = sound[whole:]
        if whole:
            self._fifo.write(pcm_frame(sound[:whole], self._rate))
            self._encode(partial=False)

    def finish(self) -> bytes:
        """The whole file. Nothing can be written after it."""
        self._encode(partial=True)
        for packet in self._stream.encode(None):
            self._container.mux(packet)
        self._container.close()
        return self._bytes.getvalue()

    def _encode(self, *, partial: bool) -> None:
        # The encoder takes blocks of one size, and only a shorter last one.
        size = self._stream.codec_context.frame_size or 4096
        while self._fifo.samples >= size or (partial and self._fifo.samples):
            frame = self._fifo.read(size, partial)
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
