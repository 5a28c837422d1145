"""Live sound of any rate as the recogniser wants it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.speech.mono import SAMPLE_RATE
from engines.speech.recording import BYTES_PER_SAMPLE, pcm_frame

if TYPE_CHECKING:
    from av import AudioFrame


class Resampler:
    """PCM, 16 bit, one channel, from one rate to SAMPLE_RATE, over any cuts: half a sample, and what a filter still
    holds, come with the next sound, or at `flush`."""

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` in hertz."""
        self._rate = sample_rate
        self._half = b""
        self._start()

    def _start(self) -> None:
        import av

        self._filter = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)

    def resampled(self, sound: bytes) -> bytes:
        """As much of the sound at SAMPLE_RATE as can be told yet."""
        sound = self._half + sound
        whole = len(sound) - len(sound) % BYTES_PER_SAMPLE
        sound, self._half = sound[:whole], sound[whole:]
        if not sound or self._rate == SAMPLE_RATE:
            return sound
        return _bytes_of(self._filter.resample(pcm_frame(sound, self._rate)))

    def flush(self) -> bytes:
        """The last milliseconds, which the filter has held back. More sound may follow."""
        if self._rate == SAMPLE_RATE:
            return b""
        rest = _bytes_of(self._filter.resample(None))
        self._start()
        return rest


def _bytes_of(frames: list[AudioFrame]) -> bytes:
    # A plane is longer than its samples: libav aligns it.
    return b"".join(bytes(frame.planes[0])[: frame.samples * BYTES_PER_SAMPLE] for frame in frames)
