"""Any frames to 16 kHz mono samples in which a voice is heard, whichever channel it is on.

A plain mix loses what is in opposite phase on two channels (a microphone wired the wrong way round), and makes a voice
on one of six channels faint. So silent channels are left out, and where the mix cancels, one channel is heard alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
"""What speech models are trained on. Feeding another rate would scale the times."""

MEMORY_SECONDS = 0.1
"""How long a level is remembered: about one syllable, so that a voice that turns its phase loses no word."""

SILENT_SHARE = 0.01
"""A channel 20 dB below the loudest one adds only its noise."""

CANCELLED_SHARE, RECOVERED_SHARE = 0.25, 0.4
"""Energy of the mix by that of its loudest channel: alike channels have 1, unlike ones 0.5, cancelling ones 0."""

OTHER_LOUDER = 4.0
"""A channel heard alone is left for one of this many times its energy."""

Samples = NDArray[np.float64]


class Mono:
    """Frames of one track in, little-endian int16 bytes out. `cancelled` tells whether channels ever cancelled."""

    def __init__(self) -> None:
        self.cancelled = False
        self._resampler: AudioResampler | None = None
        self._setup: tuple[str, str, int] | None = None
        self._mixer = _Mixer(1)

    def convert(self, frame: AudioFrame) -> Iterator[bytes]:
        """Samples of one frame. A file may change its format half way, and a resampler is made for one."""
        setup = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != self._setup or self._resampler is None:
            yield from self.flush()
            # Packed where there is nothing to mix: many a frame is what is wanted already, and passes as it is.
            packed = frame.layout.nb_channels == 1
            self._resampler = AudioResampler(format="s16" if packed else "s16p", layout=frame.layout, rate=SAMPLE_RATE)
            self._setup = setup
            self._mixer = _Mixer(frame.layout.nb_channels)
        # The times are the clock's business: the resampler would invent or drop samples by them.
        frame.pts = None
        yield from self._mixed(frame)

    def flush(self) -> Iterator[bytes]:
        """What the resampler holds back: the last milliseconds before an end or a gap."""
        if self._resampler is not None:
            yield from self._mixed(None)
            self._resampler = None

    def _mixed(self, frame: AudioFrame | None) -> Iterator[bytes]:
        assert self._resampler is not None
        for converted in self._resampler.resample(frame):
            if converted.layout.nb_channels == 1:
                yield bytes(converted.planes[0])[: 2 * converted.samples]
            elif converted.samples:
                channels = converted.to_ndarray().astype(np.float64)
                yield self._mixer.mix(channels).round().astype("<i2").tobytes()
        self.cancelled = self.cancelled or self._mixer.cancelled


class _Mixer:
    """Weights of the channels, from their levels of the last moments."""

    def __init__(self, channels: int) -> None:
        self.cancelled = False
        self._energies = np.zeros(channels)
        self._mix_energy = 0.0
        self._weights: Samples | None = None
        self._alone: int | None = None

    def mix(self, samples: Samples) -> Samples:
        """Shape (channels, n) to (n,)."""
        count = samples.shape[1]
        kept = math.exp(-count / (MEMORY_SECONDS * SAMPLE_RATE))
        # Without the mean: a constant offset is no sound.
        self._energies = self._energies * kept + samples.var(axis=1) * count
        loudest = int(self._energies.argmax())
        heard = self._energies >= SILENT_SHARE * self._energies[loudest]
        shares: Samples = heard / heard.sum()
        self._mix_energy = self._mix_energy * kept + float((shares @ samples).var()) * count
        weights = self._choose(loudest, shares)
        before = weights if self._weights is None else self._weights
        self._weights = weights
        if np.array_equal(before, weights):
            return np.asarray(weights @ samples)
        # Glide from the old weights to the new: a step would be heard as a click.
        glide = np.linspace(0.0, 1.0, count)
        return np.asarray((before @ samples) * (1 - glide) + (weights @ samples) * glide)

    def _choose(self, loudest: int, shares: Samples) -> Samples:
        share = self._mix_energy / self._energies[loudest] if self._energies[loudest] else 1.0
        if share < CANCELLED_SHARE and self._alone is None:
            self._alone = loudest
            self.cancelled = True
        elif share > RECOVERED_SHARE:
            self._alone = None
        if self._alone is None:
            return shares
        if self._energies[loudest] > OTHER_LOUDER * self._energies[self._alone]:
            self._alone = loudest
        return np.asarray(np.eye(len(shares))[self._alone])
