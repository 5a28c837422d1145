"""A recogniser's words as one utterance."""

from __future__ import annotations

from typing import Any

from engines.results import Segment, Word
from engines.speech.marks import is_mark


def read_segment(words: list[dict[str, Any]], begins: float = 0.0) -> Segment | None:
    """One utterance from the recogniser's words, or None when no known word is left in it.

    `begins`: where in the recording the words' times count from, seconds. Times are given to the millisecond: the
    recogniser's own steps are 10 ms, and the rest of a sum's digits is noise.
    """
    known = tuple(
        Word(
            word=word["word"],
            start=round(begins + word["start"], 3),
            end=round(begins + word["end"], 3),
            confidence=min(max(word["conf"], 0.0), 1.0),
        )
        for word in words
        if not is_mark(word["word"])
    )
    if not known:
        return None
    return Segment(text=" ".join(word.word for word in known), start=known[0].start, end=known[-1].end, words=known)
