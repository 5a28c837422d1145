"""Captions from a transcript: SRT for players and editors, WebVTT for web pages, TSV as whisper writes it.

The rules are those of Netflix's Timed Text Style Guide, General Requirements and English (2024): at most two lines of
42 characters, 5/6 to 7 seconds, two frames between cues, at most 20 characters a second for adults where the speech
leaves the time, one line where the text fits it, lines and cues that end at punctuation and pauses and before
conjunctions and prepositions, never after an article, the lower line the longer one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from engines.results import Transcript, Word
from engines.speech.paragraphs import words_of

LINE_CHARS = 42
LINES = 2
MIN_SECONDS = 5 / 6
MAX_SECONDS = 7.0
CHARS_PER_SECOND = 20.0
GAP_SECONDS = 2 / 24
"""Two frames; a sound file has none, so those of film."""

PAUSE_SECONDS = 0.8
"""A silence of this length between two words ends a cue: the next words should not be read before they are said."""

CONJUNCTIONS = {
    "de": "und oder aber denn weil dass wenn als ob obwohl damit sondern während",
    "en": "and or but because that which who when while if although so than where unless until since",
    "es": "y e o u pero porque que cuando si aunque donde mientras sino",
    "fr": "et ou mais car que qui quand si parce lorsque puisque donc où",
    "it": "e o ma perché che quando se anche dove mentre",
    "nl": "en of maar want dat die omdat als wanneer terwijl",
    "pt": "e ou mas porque que quando se embora onde enquanto",
}
"""By language: a line or cue ends before them rather than after."""

BINDERS = {
    "de": "der die das den dem des ein eine einen einem einer in im an am auf mit von zu zum zur für bei nach aus",
    "en": "a an the my your his her its our their of in on at to for with from by into about is are was very not i",
    "es": "el la los las un una unos unas de del en a al con por para mi tu su no",
    "fr": "le la les un une des du de d l à au aux en dans pour par avec sur mon ton son ne",
    "it": "il lo la i gli le un uno una di del della a al in con per da su mio tuo suo non",
    "nl": "de het een van in op aan met voor te bij naar uit mijn jouw zijn haar niet",
    "pt": "o a os as um uma de do da em no na com por para meu seu não",
}
"""By language: what belongs to the word after it, so that no line ends with it."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: up to `LINES` lines, shown from `start` to `end` seconds."""

    lines: tuple[str, ...]
    start: float
    end: float
    speaker: str | None = None


def cues(transcript: Transcript) -> tuple[Cue, ...]:
    """A transcript as cues: in order, without overlap, each word in exactly one."""
    words: list[Word] = []
    speakers: list[str | None] = []
    for segment in transcript.segments:
        words += words_of(segment)
        # Who is too short to be told is taken for whoever spoke before.
        speaker = segment.speaker or (speakers[-1] if speakers else None)
        speakers += [speaker] * (len(words) - len(speakers))
    if not words:
        return ()
    language = transcript.language.partition("-")[0].lower()
    layout = _Layout(
        words,
        speakers,
        frozenset(CONJUNCTIONS.get(language, "").split()),
        frozenset(BINDERS.get(language, "").split()),
    )
    cuts = layout.cuts()
    timed = _timed([(layout.lines(first, last), words[first:last]) for first, last in cuts])
    return tuple(replace(cue, speaker=speakers[first]) for cue, (first, _) in zip(timed, cuts, strict=True))


def to_srt(transcript: Transcript) -> str:
    """SubRip. Empty for a transcript without speech. Who is known to speak is named where they begin."""
    blocks = []
    before = None
    for number, cue in enumerate(cues(transcript), start=1):
        named = f"{cue.speaker}: " if cue.speaker not in (None, before) else ""
        before = cue.speaker
        times = f"{_time(cue.start, ',')} --> {_time(cue.end, ',')}"
        blocks.append(f"{number}\n{times}\n{named}" + "\n".join(cue.lines) + "\n")
    return "\n".join(blocks)


def to_vtt(transcript: Transcript) -> str:
    """WebVTT. Only the header for a transcript without speech. Who is known to speak is a voice span."""
    blocks = (
        f"{_time(cue.start, '.')} --> {_time(cue.end, '.')}\n{f'<v {cue.speaker}>' if cue.speaker else ''}"
        + "\n".join(map(_escape, cue.lines))
        + "\n"
        for cue in cues(transcript)
    )
    return "\n".join(["WEBVTT\n", *blocks])


def to_tsv(transcript: Transcript) -> str:
    """Whisper's TSV: start and end in whole milliseconds and the text of each segment, below a line that says so."""
    rows = (
        f"{_milliseconds(segment.start)}\t{_milliseconds(segment.end)}\t{' '.join(segment.text.split())}\n"
        for segment in transcript.segments
    )
    return "start\tend\ttext\n" + "".join(rows)


class _Layout:
    """Where cues and lines end: over all words, the ends that together cost least.

    Costs are in cues: what costs one is as bad as one cue more.
    """

    def __init__(
        self,
        words: Sequence[Word],
        speakers: Sequence[str | None],
        conjunctions: frozenset[str],
        binders: frozenset[str],
    ) -> None:
        self._speakers = speakers
        self._texts = [word.word for word in words]
        self._starts = [word.start for word in words]
        self._ends = [word.end for word in words]
        plain = [text.casefold().strip(".,;:!?…\"'“”„«»()") for text in self._texts]
        self._breaks = [
            _break_cost(text, before, after, conjunctions, binders)
            for text, (before, after) in zip(self._texts, pairwise(plain), strict=False)
        ]
        """Of ending a line after each word but the last: -1 is best, 1 is worst."""

    def cuts(self) -> list[tuple[int, int]]:
        """The first word of each cue, and the one after its last."""
        count = len(self._texts)
        best = [0.0] + [float("inf")] * count
        came_from = [0] * (count + 1)
        for first in range(count):
            for end, cost in self._cues_from(first):
                if best[first] + cost < best[end]:
                    best[end], came_from[end] = best[first] + cost, first
        cuts = []
        end = count
        while end:
            cuts.append((came_from[end], end))
            end = came_from[end]
        return cuts[::-1]

    def _cues_from(self, first: int) -> Iterator[tuple[int, float]]:
        """The ends that a cue from this word may have, and what each costs."""
        start, count = self._starts[first], len(self._texts)
        chars, line, lines = -1, -1, 1
        for last in range(first, count):
            length = len(self._texts[last]) + 1
            if line + length > LINE_CHARS and last > first:
                lines, line = lines + 1, -1
            line += length
            chars += length
            if last > first and (
                lines > LINES
                or self._speakers[last] != self._speakers[first]
                or self._ends[last] - start > MAX_SECONDS
                or self._starts[last] - self._ends[last - 1] >= PAUSE_SECONDS
            ):
                return
            yield last + 1, self._cost(first, last, chars)

    def _cost(self, first: int, last: int, chars: int) -> float:
        cost = 1.0
        start = self._starts[first]
        room = MAX_SECONDS
        if last + 1 < len(self._texts):
            room = min(room, self._starts[last + 1] - start - GAP_SECONDS)
            pause = self._starts[last + 1] - self._ends[last]
            if pause < PAUSE_SECONDS:
                cost += 0.5 + 0.6 * self._breaks[last] - pause
        if room < MIN_SECONDS:
            cost += 3.0
        if chars > room * CHARS_PER_SECOND:
            cost += min(chars / (CHARS_PER_SECOND * max(room, 0.1)) - 1.0, 1.0)
        return cost

    def lines(self, first: int, last: int) -> tuple[str, ...]:
        """The cue's words in one line, or in two where they do not fit."""
        texts = self._texts[first:last]
        whole = " ".join(texts)
        if len(whole) <= LINE_CHARS or len(texts) == 1:
            return (whole,)
        upper = -1
        options = []
        for number, text in enumerate(texts[:-1]):
            upper += len(text) + 1
            lower = len(whole) - upper - 1
            over = max(upper - LINE_CHARS, lower - LINE_CHARS, 0)
            # The lower line is to be the longer one, and not by much.
            uneven = (lower - upper if lower >= upper else 1.5 * (upper - lower)) / LINE_CHARS
            options.append((over, self._breaks[first + number] + uneven, number + 1))
        _, _, cut = min(options)
        return " ".join(texts[:cut]), " ".join(texts[cut:])


def _break_cost(text: str, before: str, after: str, conjunctions: frozenset[str], binders: frozenset[str]) -> float:
    """Of a line that ends between these two words: -1 is best, 1 is worst. `text`: the first as it is written."""
    if text.endswith((".", "?", "!", "…")):
        return -1.0
    if text.endswith((",", ";", ":")):
        return -0.7
    if before in binders or before in conjunctions:
        return 1.0
    if after in conjunctions:
        return -0.6
    return -0.2 if after in binders else 0.0


def _timed(groups: Sequence[tuple[tuple[str, ...], Sequence[Word]]]) -> Iterator[Cue]:
    """Each cue from its first word on, held for as long as it takes to read where the next one leaves the time."""
    following = [words[0].start for _, words in groups[1:]] + [float("inf")]
    free_from = 0.0
    for (lines, words), limit in zip(groups, following, strict=True):
        # Words that begin at the same time, or before the last one has ended, come one after another.
        start = max(words[0].start, free_from)
        reading = max(MIN_SECONDS, sum(map(len, lines)) / CHARS_PER_SECOND)
        end = min(max(words[-1].end, start + reading), start + MAX_SECONDS)
        if end > limit - GAP_SECONDS:
            # Where there is no room for the gap, half of the room; where there is none at all, the least of times.
            end = max(limit - GAP_SECONDS, (start + limit) / 2, start + 0.04)
        free_from = end
        yield Cue(lines, start, end)


def _time(seconds: float, separator: str) -> str:
    """HH:MM:SS and milliseconds; counted in whole milliseconds, so that 59.9996 s becomes the next minute."""
    minutes, milliseconds = divmod(_milliseconds(seconds), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{separator}{milliseconds % 1000:03}"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _escape(line: str) -> str:
    """WebVTT reads & and < as markup, and `-->` as the next cue's times."""
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
