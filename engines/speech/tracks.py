"""Which of several sound tracks a voice is on.

Screen recorders put the microphone on the second track, phones a commentary on the third. The track that a player would
choose is kept unless another has clearly more speech: syllables rise and fall, silence, hum and noise do not.
"""

from __future__ import annotations

import math

import numpy as np

from engines.speech.mono import SAMPLE_RATE

WINDOW = int(0.032 * SAMPLE_RATE)
"""Samples over which a level is measured: shorter than a syllable, longer than a period of the voice."""

SWING_DB = 9.0
"""Rise and fall of a syllable."""

FLOOR = 30.0
"""Levels below this (16-bit units) count as silence."""

ENOUGH = 40
"""Syllables after which a track is known to be speech: about ten seconds of it."""

CLEARLY = 2
"""Another track wins with more than this many times the syllables."""


class Syllables:
    """Counts syllables in mono samples, a hint whether they are speech."""

    def __init__(self) -> None:
        self.count = 0
        self._rest = np.zeros(0, np.int16)
        self._low = self._high = 20 * math.log10(FLOOR)
        self._up = False

    def add(self, samples: bytes) -> None:
        joined = np.concatenate([self._rest, np.frombuffer(samples, "<i2")])
        whole = len(joined) // WINDOW * WINDOW
        self._rest = joined[whole:]
        energies = (joined[:whole].reshape(-1, WINDOW).astype(np.float64) ** 2).mean(axis=1)
        for level in (10 * np.log10(np.maximum(energies, FLOOR**2))).tolist():
            self._step(level)

    def _step(self, level: float) -> None:
        if self._up:
            self._high = max(self._high, level)
            if level < self._high - SWING_DB:
                self._up, self._low = False, level
        else:
            self._low = min(self._low, level)
            if level > self._low + SWING_DB:
                self._up, self._high = True, level
                self.count += 1


def decided(counts: list[int]) -> bool:
    """True when more of the file cannot change the choice."""
    return counts[0] >= ENOUGH or max(counts) > ENOUGH * CLEARLY


def chosen(counts: list[int]) -> int:
    """The index of the track to hear; the first is the one a player would choose."""
    best = max(range(len(counts)), key=lambda index: counts[index])
    return best if counts[best] > CLEARLY * counts[0] else 0
