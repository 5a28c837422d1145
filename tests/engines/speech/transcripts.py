"""Transcripts made by hand, for tests of what is made of them."""

from __future__ import annotations

import random

from engines.results import Segment, Transcript, Word

COMMON = """
the of and a to in is you that it he was for on are with as his they be at one have this from or had by hot
word but what some we can out other were all there when up use your how said each she which do their time if
will way about many then them write would like so these her long make thing see him two has look more day
could go come did number sound no most people my over know water than call first who may down side been now
find transcription
"""


def said(text: str, start: float, end: float, confidence: float = 0.9) -> Word:
    return Word(word=text, start=start, end=end, confidence=confidence)


def segment(*words: Word) -> Segment:
    text = " ".join(word.word for word in words)
    return Segment(text=text, start=words[0].start, end=words[-1].end, words=words)


def evenly(text: str, start: float = 0.0, step: float = 0.4) -> Segment:
    """A word every `step` seconds."""
    words = text.split()
    return segment(*(said(word, start + i * step, start + (i + 0.9) * step) for i, word in enumerate(words)))


def transcript(*segments: Segment, language: str = "en", duration: float = 4000.0) -> Transcript:
    text = " ".join(item.text for item in segments)
    return Transcript(
        text=text, segments=segments, duration=duration, language=language, engine="test", where="local", demo=False
    )


def spoken(minutes: float, seed: int = 1) -> Transcript:
    """Common words at 150 a minute, with the pauses of a person who tells something."""
    chance = random.Random(seed)
    common = COMMON.split()
    segments: list[Segment] = []
    at = 0.3
    while at < minutes * 60:
        words = []
        for _ in range(chance.randint(4, 24)):
            word = chance.choice(common)
            long = 0.08 + 0.06 * len(word) * chance.uniform(0.6, 1.4)
            words.append(said(word, at, at + long, chance.choice((1.0, 1.0, 1.0, 0.93, 0.7, 0.41))))
            at += long + chance.choice((0.0, 0.0, 0.03, 0.25))
        segments.append(segment(*words))
        at += chance.choice((0.5, 0.55, 0.6, 0.7, 0.8, 1.9))
    return transcript(*segments, duration=at)
