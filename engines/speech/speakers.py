"""Who speaks when: utterances with a vector of the voice each, put into groups of one speaker.

Agglomerative clustering with average linkage over cosine distances of x-vectors, which Vosk's speaker model computes,
as in Kaldi's callhome_diarization (Garcia-Romero et al., "Speaker diarization using deep neural network embeddings",
ICASSP 2017). By chains of nearest neighbours (Murtagh, "A survey of recent advances in hierarchical clustering
algorithms", 1983) it takes the square of the number of utterances in place of its cube.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

FARTHEST = 0.6
"""Cosine distance up to which two groups are one speaker. Vosk's maintainers give none for their model and leave it to
one's own recordings (alphacep/vosk-api#921); users tell of 0.07 to 0.5 within one speaker (#284, #312)."""

ENOUGH_FRAMES = 150
"""Voiced frames of 10 ms. A vector of less is too rough to found a group: it joins the nearest."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Vosk's x-vector of an utterance, and how many voiced frames of 10 ms it is made of."""

    vector: tuple[float, ...]
    frames: int


def tell_apart(voices: Sequence[Voice | None]) -> list[str | None]:
    """A letter for each utterance's speaker: A for who speaks first, B for the next, after Z comes AA.

    None for an utterance without a voice: it was too short to tell.
    """
    import numpy as np

    heard = [number for number, voice in enumerate(voices) if voice is not None]
    known = [voice for voice in voices if voice is not None]
    if not known:
        return [None] * len(voices)
    vectors = np.array([voice.vector for voice in known], np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    long = [number for number, voice in enumerate(known) if voice.frames >= ENOUGH_FRAMES] or list(range(len(known)))
    groups = dict(zip(long, _clusters(1 - vectors[long] @ vectors[long].T), strict=True))
    centres = {group: vectors[[n for n in long if groups[n] == group]].mean(axis=0) for group in {*groups.values()}}
    letters: dict[int, str] = {}
    told: list[str | None] = [None] * len(voices)
    for number, at in enumerate(heard):
        vector = vectors[number]
        group = groups[number] if number in groups else max(centres, key=lambda one: float(centres[one] @ vector))
        told[at] = letters.setdefault(group, _letter(len(letters)))
    return told


def _clusters(distances: NDArray[float32]) -> list[int]:
    """For each row, the number of its group. Destroys `distances`."""
    import numpy as np

    count = len(distances)
    group = list(range(count))
    sizes = np.ones(count)
    np.fill_diagonal(distances, np.inf)
    chain: list[int] = []
    for _ in range(count - 1):
        while True:
            if not chain:
                # Some row that is left: those that are gone are infinitely far from all.
                chain = [int(np.argmin(distances.min(axis=1)))]
            last = chain[-1]
            near = int(np.argmin(distances[last]))
            if len(chain) > 1 and distances[last, chain[-2]] <= distances[last, near]:
                break
            chain.append(near)
        one, other = chain.pop(), chain.pop()
        # Average linkage never gets nearer by joining: what is joined farther away than this is no group of ours.
        if distances[one, other] <= FARTHEST:
            joined, into = group[one], group[other]
            group = [into if number == joined else number for number in group]
        average = (sizes[one] * distances[one] + sizes[other] * distances[other]) / (sizes[one] + sizes[other])
        distances[other], distances[:, other] = average, average
        distances[other, other] = np.inf
        distances[one], distances[:, one] = np.inf, np.inf
        sizes[other] += sizes[one]
    return group


def _letter(number: int) -> str:
    letters = string.ascii_uppercase
    return (
        letters[number]
        if number < len(letters)
        else _letter(number // len(letters) - 1) + letters[number % len(letters)]
    )
