"""A person's corrections: the words that they left keep their times, the others share the time of what they replace."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from engines.results import Segment, Word
from engines.speech.paragraphs import spread

MOST_COMPARED = 250_000
"""Words of a changed passage times words of its correction. Comparing takes as long; a longer passage that was written
anew shares its time as a whole."""

LETTER_SECONDS = 0.06
"""150 words a minute, of five letters and a space each, are 15 letters a second."""

MARKS = ".,;:!?…\"'“”„«»‘’()[]-–—"


def realigned(original: Sequence[Segment], text: str) -> tuple[Segment, ...]:
    """The corrected text, a segment for each of its lines, with times in seconds from the `original` paragraphs' words.

    A word that was only capitalised or given a comma is the same word. What a person wrote has confidence 1.
    """
    old = [segment.words for segment in original]
    new = [line.split() for line in text.splitlines() if line.strip()]
    matcher = SequenceMatcher(None, [_line([word.word for word in words]) for words in old], [*map(_line, new)], False)
    made: list[Sequence[Word]] = []
    for kind, first, last, begin, end in matcher.get_opcodes():
        if kind == "equal":
            made += old[first:last]
            continue
        left = old[first - 1][-1].end if first else 0.0
        right = old[last][0].start if last < len(old) else None
        texts = [word for line in new[begin:end] for word in line]
        words = _aligned([word for line in old[first:last] for word in line], texts, left, right)
        for line in new[begin:end]:
            made.append(words[: len(line)])
            words = words[len(line) :]
    return tuple(map(_segment, made))


def _aligned(words: list[Word], texts: list[str], left: float, right: float | None) -> list[Word]:
    """The texts with times. `left`, `right`: seconds where the words before end and those after begin."""
    if len(words) * len(texts) > MOST_COMPARED:
        return list(spread(texts, words[0].start, words[-1].end))
    matcher = SequenceMatcher(None, [_key(word.word) for word in words], [*map(_key, texts)])
    made: list[Word] = []
    for kind, first, last, begin, end in matcher.get_opcodes():
        if last - first == end - begin:
            made += map(_rewritten, words[first:last], texts[begin:end])
        elif kind == "replace":
            made += spread(texts[begin:end], words[first].start, words[last - 1].end)
        elif kind == "insert":
            since = words[first - 1].end if first else left
            until = words[first].start if first < len(words) else right
            made += _inserted(made, texts[begin:end], since, until)
    return made


def _inserted(made: list[Word], texts: list[str], since: float, until: float | None) -> tuple[Word, ...]:
    """Words in a pause; where the pause is too short for them, the word before it shares its own time with them.

    That word is taken off `made` then. `until` None: nothing comes after.
    """
    letters = sum(map(len, texts))
    needed = letters * LETTER_SECONDS
    if until is None or until - since >= needed:
        return spread(texts, since, since + needed)
    if not made:
        return spread(texts, min(since, until), max(since, until))
    shared = made.pop()
    words = spread([shared.word, *texts], shared.start, max(until, shared.end))
    return (words[0].model_copy(update={"confidence": shared.confidence}), *words[1:])


def _rewritten(word: Word, text: str) -> Word:
    return word if word.word == text else word.model_copy(update={"word": text, "confidence": 1.0})


def _segment(words: Sequence[Word]) -> Segment:
    return Segment(
        text=_line([word.word for word in words]), start=words[0].start, end=words[-1].end, words=tuple(words)
    )


def _line(words: Sequence[str]) -> str:
    return " ".join(words)


def _key(text: str) -> str:
    """Two spellings of one word have the same."""
    return text.casefold().strip(MARKS) or text
