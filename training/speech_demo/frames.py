"""What the network learns from: 40 numbers a frame, 100 frames a second, and a phone for every third of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.speech_demo.corpus import Span, as_bytes, from_bytes, save_arrays
from training.speech_demo.vocabulary import SILENCE_PHONE

COEFFICIENTS = 40
LOWEST_HZ, HIGHEST_HZ = 20, 7600
FRAME_SECONDS = 0.01
SUBSAMPLING = 3
"""Frames per output of the network. Vosk takes 0.03 s an output for its word times, so it cannot be another."""

_WINDOW_MIDDLE = 0.0125
"""Seconds from the start of a 25 ms window to its middle."""

Features = NDArray[np.float32]
"""Shape (frames, COEFFICIENTS)."""

Labels = NDArray[np.int64]
"""Shape (ceil(frames / SUBSAMPLING),): the index of a phone in `phone_names`."""


@dataclass(slots=True)
class Example:
    """One utterance as the trainer has it. `labels` is replaced at every realignment."""

    text: str
    features: NDArray[np.float16]
    labels: Labels


def output_times(frames: int) -> NDArray[np.float64]:
    """The middle of each output's first window, in seconds, for so many frames."""
    outputs = -(-frames // SUBSAMPLING)
    return np.arange(outputs, dtype=np.float64) * (SUBSAMPLING * FRAME_SECONDS) + _WINDOW_MIDDLE


def labels_from_spans(spans: Sequence[Span], times: NDArray[np.float64], phones: Sequence[str]) -> Labels:
    """The phone spoken at each of `times` (seconds); silence before the first span and after the last."""
    index = {phone: i for i, phone in enumerate(phones)}
    silence = index[SILENCE_PHONE]
    ids = np.array([*(index.get(phone, silence) for phone, _ in spans), silence])
    labels = ids[np.searchsorted([end for _, end in spans], times, side="right")]
    return np.where(times >= 0, labels, silence).astype(np.int64)


def save(items: Sequence[Example], path: Path) -> None:
    """Write examples as one .npz: all features and all labels end to end, and an index."""
    index = [(e.text, len(e.features), len(e.labels)) for e in items]
    features = np.concatenate([e.features for e in items])
    save_arrays(path, features=features, labels=np.concatenate([e.labels for e in items]), index=as_bytes(index))


def load(path: Path) -> list[Example]:
    """Read what `save` wrote."""
    with np.load(path) as file:
        features, labels, index = file["features"], file["labels"], from_bytes(file["index"])
    items, frame, label = [], 0, 0
    for text, frames, outputs in index:
        items.append(Example(text, features[frame : frame + frames], labels[label : label + outputs]))
        frame, label = frame + frames, label + outputs
    return items
