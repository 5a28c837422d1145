"""Spoken utterances with the times of their phones, in memory and on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16000
"""Hz. Everything in this package is mono at this rate."""

Span = tuple[str, float]
"""A phone and the time at which it ends, in seconds; it starts where the one before it ends."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """One spoken text. `samples`: int16, shape (n,), 16 kHz. `spans`: the whole signal, as the synthesiser guesses."""

    text: str
    voice: str
    samples: NDArray[np.int16]
    spans: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE


def save_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write an .npz in one step: an interrupted run leaves no half file under the final name."""
    part = path.with_suffix(".part.npz")
    np.savez(part, allow_pickle=False, **arrays)
    part.replace(path)


def as_bytes(value: Any) -> NDArray[np.uint8]:
    """JSON as an array, so that it can sit beside arrays in an .npz."""
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def from_bytes(array: NDArray[np.uint8]) -> Any:
    """The inverse of `as_bytes`."""
    return json.loads(array.tobytes())


def save(utterances: Sequence[Utterance], path: Path) -> None:
    """Write utterances as one .npz: all samples end to end, and an index."""
    index = [(u.text, u.voice, len(u.samples), u.spans) for u in utterances]
    save_arrays(path, samples=np.concatenate([u.samples for u in utterances]), index=as_bytes(index))


def load(path: Path) -> list[Utterance]:
    """Read what `save` wrote."""
    with np.load(path) as file:
        samples, index = file["samples"], from_bytes(file["index"])
    utterances, start = [], 0
    for text, voice, length, spans in index:
        piece = samples[start : start + length]
        utterances.append(Utterance(text, voice, piece, tuple((phone, end) for phone, end in spans)))
        start += length
    return utterances
