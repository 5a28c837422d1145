"""Other rooms, speeds, microphones and noise, so that the model does not learn its synthesisers by heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve, lfilter, resample_poly

from training.speech_demo.corpus import SAMPLE_RATE

Signal = NDArray[np.float64]
"""Samples in the range of int16, shape (n,), 16 kHz."""


@dataclass(frozen=True, slots=True)
class Augmented:
    """A changed signal, and how to find a moment of the original in it.

    The original's time t is at `padding + t / speed` seconds.
    """

    samples: Signal
    speed: float
    padding: float


def augment(samples: NDArray[np.int16], rng: np.random.Generator, *, light: bool = False) -> Augmented:
    """One random variation. `light` changes only the level, the silence around, and a little noise."""
    signal, speed = samples.astype(np.float64), 1.0
    if not light:
        signal, speed = _other_speed(signal, rng)
        signal = _other_microphone(signal, rng)
        signal = _in_a_room(signal, rng)
        if rng.random() < 0.15:  # as over an 8 kHz telephone line
            signal = resample_poly(resample_poly(signal, 1, 2), 2, 1)
    before, after = int(SAMPLE_RATE * rng.uniform(0, 0.5)), int(SAMPLE_RATE * rng.uniform(0, 0.6))
    padded = np.concatenate([np.zeros(before), signal, np.zeros(after)])
    padded *= _amplitude(rng.uniform(-32, -12)) * 32768 / (_level(signal) + 1e-9)
    if rng.random() < 0.9:
        ratio_db = rng.uniform(15 if light else 3, 50)
        padded += coloured_noise(len(padded), rng) * _level(padded) * _amplitude(-ratio_db)
    if rng.random() < 0.7:  # a converter's own noise, independent of the speech's level
        padded += rng.standard_normal(len(padded)) * 10 ** rng.uniform(-1, 1)
    return Augmented(np.clip(np.round(padded), -32768, 32767), speed, before / SAMPLE_RATE)


def coloured_noise(count: int, rng: np.random.Generator) -> Signal:
    """White or low-pass noise of level 1."""
    warm_up = 64
    poles = (0.0, 0.9, 0.98, rng.uniform(-0.95, 0.95))
    noise = lfilter([1], [1, -poles[int(rng.integers(len(poles)))]], rng.standard_normal(count + warm_up))[warm_up:]
    return np.asarray(noise / (noise.std() + 1e-9))


def without_speech(rng: np.random.Generator, *, silent: bool) -> NDArray[np.int16]:
    """Half a second to two seconds of nothing, or of nothing but noise."""
    count = int(rng.uniform(0.5, 2.0) * SAMPLE_RATE)
    if silent:
        return np.zeros(count, np.int16)
    return (coloured_noise(count, rng) * 10 ** rng.uniform(0, 3.2)).astype(np.int16)


def _other_speed(signal: Signal, rng: np.random.Generator) -> tuple[Signal, float]:
    """Play faster or slower, which also moves pitch and formants, as another speaker's size does."""
    if rng.random() >= 0.7:
        return signal, 1.0
    percent = int(rng.integers(82, 119))
    return resample_poly(signal, 100, percent), percent / 100


def _other_microphone(signal: Signal, rng: np.random.Generator) -> Signal:
    """A spectral tilt, and one resonance or notch between 200 and 6,000 Hz."""
    if rng.random() >= 0.6:
        return signal
    tilted = lfilter([1, rng.uniform(-0.6, 0.6)], [1], signal)
    angle = 2 * np.pi * rng.uniform(200, 6000) / SAMPLE_RATE
    radius = rng.uniform(0.3, 0.9)
    curve = [1, -2 * radius * np.cos(angle), radius**2]
    return np.asarray(lfilter([1], curve, tilted) if rng.random() < 0.5 else lfilter(curve, [1], tilted))


def _in_a_room(signal: Signal, rng: np.random.Generator) -> Signal:
    """An exponentially decaying random echo of 50 to 350 ms."""
    if rng.random() >= 0.4:
        return signal
    count = int(SAMPLE_RATE * rng.uniform(0.05, 0.35))
    echo = rng.standard_normal(count) * np.exp(-np.arange(count) / (count / 6)) * rng.uniform(0.02, 0.15)
    echo[0] = 1
    return np.asarray(fftconvolve(signal, echo)[: len(signal)])


def _level(signal: Signal) -> float:
    return float(np.sqrt(np.mean(signal**2)))


def _amplitude(decibels: float) -> float:
    return float(10 ** (decibels / 20))
