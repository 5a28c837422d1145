"""A transducer's tokens as words with times, and words as utterances that end at pauses.

A transducer tells when it is sure of a token and not how long that lasts. So a word begins with its first token, and
ends where it becomes quiet after its last one, or where the next word begins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.speech.marks import is_mark
from engines.speech.pieces import FRAME, SAMPLE_RATE, level, quiet_level

TOKEN_SECONDS = 0.04
"""A transducer of four frames of 10 ms: what a token lasts at least."""

SHORTEST_WORD = 0.01

LONGEST_END = 0.6
"""Seconds that a word may go on after its last token, where it never becomes quiet (music, an engine)."""

PAUSE = 0.5
"""Seconds without a word that end an utterance, as with Vosk."""

FRAME_SECONDS = FRAME / SAMPLE_RATE

Words = list[dict[str, Any]]
"""As worker.py tells them: word, start, end, conf."""


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a word: its text, with a space in front where a word begins; when, in seconds from the sound's
    beginning; and the logarithm of its probability."""

    text: str
    at: float
    log_probability: float


@dataclass(slots=True)
class _Word:
    tokens: list[Token] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens).strip()

    @property
    def start(self) -> float:
        return self.tokens[0].at

    @property
    def sure_until(self) -> float:
        return self.tokens[-1].at + TOKEN_SECONDS

    @property
    def confidence(self) -> float:
        """The geometric mean of the tokens' probabilities: of each token, how sure the model was that it comes just
        there and no other. It is no share of right words, as Vosk's is not either, and the two do not compare."""
        return math.exp(sum(token.log_probability for token in self.tokens) / len(self.tokens))


def utterances(tokens: Sequence[Token], sound: bytes) -> list[Words]:
    """The utterances in `sound` (16 kHz mono int16), of which `tokens` are what the model heard, in order of time."""
    words = _words(tokens)
    if not words:
        return []
    seconds = len(sound) / 2 / SAMPLE_RATE
    levels = levels_of(sound)
    quiet = quiet_level(levels) if levels else 0.0
    # What the model is sure of late, after the end of the sound, still belongs to the sound.
    starts = [min(word.start, max(seconds - TOKEN_SECONDS, 0.0)) for word in words]
    limits = [*starts[1:], seconds]
    found: list[Words] = []
    ended = -math.inf
    for word, start, limit in zip(words, starts, limits, strict=True):
        if start - ended >= PAUSE:
            found.append([])
        ended = max(min(_quiet_from(word.sure_until, levels, quiet), limit), start + SHORTEST_WORD)
        found[-1].append({"word": word.text, "start": start, "end": ended, "conf": word.confidence})
    return found


def levels_of(sound: bytes | bytearray) -> list[float]:
    """How loud each whole frame is, in decibels."""
    size = FRAME * 2
    return [level(sound[at : at + size]) for at in range(0, len(sound) - size + 1, size)]


def _words(tokens: Sequence[Token]) -> list[_Word]:
    words: list[_Word] = []
    inside = False
    for token in tokens:
        # A model's marks (<unk>) are tokens of their own, which end a word and are none.
        if is_mark(token.text.strip()):
            inside = False
            continue
        if token.text.startswith(" ") or not inside:
            words.append(_Word())
        words[-1].tokens.append(token)
        inside = True
    return [word for word in words if word.text]


def _quiet_from(at: float, levels: Sequence[float], quiet: float) -> float:
    """Seconds at which it becomes quiet from `at` on; LONGEST_END later where it does not."""
    first = math.ceil(at / FRAME_SECONDS - 1e-6)
    last = first + round(LONGEST_END / FRAME_SECONDS)
    frame = next((number for number in range(first, min(last, len(levels))) if levels[number] <= quiet), None)
    return at + LONGEST_END if frame is None else max(at, frame * FRAME_SECONDS)
