"""Where a transcript's paragraphs end, and word times where none are known.

A recogniser ends a segment at any pause; a person reads paragraphs, which end at the pauses that are long for whoever
speaks.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence

from engines.results import Segment, Word

LEAST_PAUSE = 1.0
"""Seconds. Shorter ones are breath: speakers reading aloud pause 0.4 to 0.7 s between sentences."""

ALWAYS_PAUSE = 2.5
"""Seconds. Nobody is silent for so long within a thought, however slowly they speak."""

TIMES_USUAL = 1.5
"""A pause so many times as long as the usual one is long for this recording."""

KNOWN_PAUSES = 4
"""With fewer there is no usual one yet."""

MANY_WORDS = 120
"""A paragraph of so many words ends at the next pause of a sentence's length, because a wall of text is not read."""

SENTENCE_PAUSE = 0.4
"""Seconds."""


class ParagraphRule:
    """Tells, segment by segment and in their order, where a paragraph ends.

    It does where the pause before the segment is at least `TIMES_USUAL` the median of the pauses so far, which is the
    recording's own measure, but no less than `LEAST_PAUSE` and no more than `ALWAYS_PAUSE`; and after `MANY_WORDS`; and
    where another speaker is known to begin.
    What comes later changes nothing, so that a text can be sent while it is heard.
    """

    def __init__(self) -> None:
        self._pauses: list[float] = []
        self._last: Segment | None = None
        self._words = 0
        self._speaker: str | None = None

    def separator(self, segment: Segment) -> str:
        """What parts the segment from the text before it: nothing before the first, a line break, or a space."""
        last, self._last = self._last, segment
        before = self._speaker
        self._speaker = segment.speaker or before
        if last is None:
            self._words = _count(segment)
            return ""
        pause = max(segment.start - last.end, 0.0)
        ends = (
            (before or self._speaker) != self._speaker
            or pause >= self._long_pause()
            or (self._words >= MANY_WORDS and pause >= SENTENCE_PAUSE)
        )
        insort(self._pauses, pause)
        self._words = _count(segment) + (0 if ends else self._words)
        return "\n" if ends else " "

    def _long_pause(self) -> float:
        if len(self._pauses) < KNOWN_PAUSES:
            return LEAST_PAUSE
        usual = self._pauses[len(self._pauses) // 2]
        return min(max(TIMES_USUAL * usual, LEAST_PAUSE), ALWAYS_PAUSE)


def paragraphs(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """One segment a paragraph, each with its words; see `ParagraphRule`."""
    rule = ParagraphRule()
    groups: list[list[Segment]] = []
    for segment in segments:
        if rule.separator(segment) != " ":
            groups.append([])
        groups[-1].append(segment)
    return tuple(_joined(group) for group in groups)


def text_of(segments: Iterable[Segment]) -> str:
    """The text with a line for each paragraph."""
    rule = ParagraphRule()
    return "".join(rule.separator(segment) + segment.text for segment in segments)


def words_of(segment: Segment) -> tuple[Word, ...]:
    """The segment's words. A remote engine may give none: its text's words share the segment's span then."""
    return segment.words or spread(segment.text.split(), segment.start, segment.end)


def spread(words: Sequence[str], start: float, end: float, confidence: float = 1.0) -> tuple[Word, ...]:
    """Words that share the span from `start` to `end` seconds, each as long as its letters ask for."""
    letters = sum(map(len, words)) or 1
    made, at, said = [], start, 0
    for word in words:
        said += len(word)
        until = start + (end - start) * said / letters
        made.append(Word(word=word, start=at, end=until, confidence=confidence))
        at = until
    return tuple(made)


def _joined(group: list[Segment]) -> Segment:
    words = tuple(word for segment in group for word in words_of(segment))
    return Segment(
        text=" ".join(segment.text for segment in group),
        start=group[0].start,
        end=group[-1].end,
        words=words,
        speaker=next((segment.speaker for segment in group if segment.speaker), None),
    )


def _count(segment: Segment) -> int:
    return len(segment.words) or len(segment.text.split())
