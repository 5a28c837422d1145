"""Captions from a transcript: SRT for players and editors, WebVTT for web pages.

A cue is what a person can read at a glance: at most two lines of 42 characters and six seconds, ended at pauses.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from engines.results import Segment, Transcript, Word

LINE_CHARS = 42
LINES = 2
MAX_SECONDS = 6.0
PAUSE_SECONDS = 0.8
"""A silence of this length between two words ends a cue: the next words should not be read before they are said."""

MIN_SECONDS = 0.5
"""A shorter cue only flickers; it is held this long where the next one leaves the time."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: up to `LINES` lines, shown from `start` to `end` seconds."""

    lines: tuple[str, ...]
    start: float
    end: float


def cues(transcript: Transcript) -> tuple[Cue, ...]:
    """Split a transcript into cues, in order and without overlap."""
    raw = [cue for segment in transcript.segments for cue in _cues_of(segment)]
    following = [*(cue.start for cue in raw), float("inf")][1:]
    return tuple(
        Cue(cue.lines, cue.start, min(max(cue.end, cue.start + MIN_SECONDS), max(limit, cue.end)))
        for cue, limit in zip(raw, following, strict=True)
    )


def to_srt(transcript: Transcript) -> str:
    """SubRip. Empty for a transcript without speech."""
    blocks = (
        f"{number}\n{_time(cue.start, ',')} --> {_time(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n"
        for number, cue in enumerate(cues(transcript), start=1)
    )
    return "\n".join(blocks)


def to_vtt(transcript: Transcript) -> str:
    """WebVTT. Only the header for a transcript without speech."""
    blocks = (
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n" + "\n".join(map(_escape, cue.lines)) + "\n"
        for cue in cues(transcript)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _cues_of(segment: Segment) -> Iterator[Cue]:
    group: list[Word] = []
    for word in segment.words:
        if group and not _fits(group, word):
            yield _cue(group)
            group = []
        group.append(word)
    if group:
        yield _cue(group)
    elif segment.text:
        # A remote engine may give no words; its own segment is then the best there is.
        yield Cue(tuple(_wrap(segment.text)), segment.start, segment.end)


def _fits(group: list[Word], word: Word) -> bool:
    return (
        word.start - group[-1].end < PAUSE_SECONDS
        and word.end - group[0].start <= MAX_SECONDS
        and len(_wrap(_text([*group, word]))) <= LINES
    )


def _cue(group: list[Word]) -> Cue:
    return Cue(tuple(_wrap(_text(group))), group[0].start, group[-1].end)


def _text(words: list[Word]) -> str:
    return " ".join(word.word for word in words)


def _wrap(text: str) -> list[str]:
    """Lines of at most `LINE_CHARS`; a longer single word keeps a line of its own, whole."""
    return textwrap.wrap(text, LINE_CHARS, break_long_words=False, break_on_hyphens=False)


def _time(seconds: float, separator: str) -> str:
    """HH:MM:SS and milliseconds; counted in whole milliseconds, so that 59.9996 s becomes the next minute."""
    milliseconds = round(seconds * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{separator}{milliseconds % 1000:03}"


def _escape(line: str) -> str:
    """WebVTT reads & and < as markup, and `-->` as the next cue's times."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
