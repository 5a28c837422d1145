"""Which output frame belongs to which phone: the best path through a text's pronunciations (Viterbi)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.speech_demo.vocabulary import SILENCE_PHONE, Lexicon

_IMPOSSIBLE = -1e9


@dataclass(frozen=True, slots=True)
class Path:
    """All ways to speak one text. State i emits `phones[i]`; it follows itself or one of `before[i]`.

    `before[i]` is padded with the number of states, whose score is always impossible.
    """

    phones: NDArray[np.int64]
    before: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]


def path_of(text: str, lexicon: Lexicon, index: Mapping[str, int]) -> Path:
    """The states of a text: optional silence, then each word in any of its pronunciations, silence optional between."""
    phones: list[int] = []
    before: list[list[int]] = []
    first: list[int] = []

    def add(phone: str, entries: Sequence[int], *, at_start: bool) -> int:
        phones.append(index[phone])
        before.append(list(entries))
        if at_start:
            first.append(len(phones) - 1)
        return len(phones) - 1

    ends: list[int] = []  # empty at the start of the text, where states need no predecessor
    for word_number, word in enumerate(text.split()):
        at_start = word_number == 0
        silence = add(SILENCE_PHONE, ends, at_start=at_start)
        entries = [*ends, silence]
        ends = []
        for pronunciation in lexicon[word]:
            state = add(pronunciation[0], entries, at_start=at_start)
            for phone in pronunciation[1:]:
                state = add(phone, [state], at_start=False)
            ends.append(state)
    silence = add(SILENCE_PHONE, ends, at_start=not ends)
    table = np.full((len(phones), max(map(len, before)) + 1), len(phones), np.int64)
    for i, states in enumerate(before):
        table[i, 0] = i
        table[i, 1 : 1 + len(states)] = states
    return Path(np.array(phones), table, np.array(first), np.array([*ends, silence]))


def align(scores: NDArray[np.float32], path: Path) -> NDArray[np.int64]:
    """The phone of every output frame on the best path. `scores`: log likelihoods, shape (outputs, phones)."""
    states = np.arange(len(path.phones))
    emitted = scores[:, path.phones]
    best = np.full(len(states) + 1, _IMPOSSIBLE)
    best[path.first] = emitted[0, path.first]
    came_from = np.zeros((len(scores), len(states)), np.int64)
    for t in range(1, len(scores)):
        candidates = best[path.before]
        choice = candidates.argmax(1)
        came_from[t] = path.before[states, choice]
        best[:-1] = candidates[states, choice] + emitted[t]
    state = path.last[best[path.last].argmax()]
    visited = np.zeros(len(scores), np.int64)
    for t in range(len(scores) - 1, -1, -1):
        visited[t] = state
        state = came_from[t, state]
    return path.phones[visited]
