"""Names, hashtags and other words that a model cannot spell: replaced after it has heard them, times kept, all told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from engines.requests import Correction
from engines.results import Corrected, Segment, Transcript, Word


def correct_segment(segment: Segment, corrections: Iterable[Correction]) -> tuple[Segment, tuple[Corrected, ...]]:
    """The segment with each correction's words in place of those heard, and what was replaced. Whole words only; of two
    corrections that fit at a place, the longer wins, then the first. What was written is not looked at again."""
    by_length = sorted(((item.heard.split(), item) for item in corrections), key=lambda pair: -len(pair[0]))
    words: list[Word] = []
    told: list[Corrected] = []
    at = 0
    while at < len(segment.words):
        found = next(((item, len(heard)) for heard, item in by_length if _fits(heard, item, segment.words[at:])), None)
        if found is None:
            words.append(segment.words[at])
            at += 1
            continue
        correction, count = found
        heard = segment.words[at : at + count]
        written = _spread(correction.written.split(), heard)
        if [word.word for word in written] != [word.word for word in heard]:
            before, after = (" ".join(word.word for word in part) for part in (heard, written))
            told.append(Corrected(start=heard[0].start, end=heard[-1].end, heard=before, written=after))
        words.extend(written)
        at += count
    if not told:
        return segment, ()
    text = " ".join(word.word for word in words)
    return segment.model_copy(update={"words": tuple(words), "text": text}), tuple(told)


def correct(transcript: Transcript, corrections: Sequence[Correction]) -> Transcript:
    """The transcript with the corrections made, and with what was heard in their places in `corrections`."""
    done = [correct_segment(segment, corrections) for segment in transcript.segments]
    told = tuple(item for _, items in done for item in items)
    if not told:
        return transcript
    segments = tuple(segment for segment, _ in done)
    text = " ".join(segment.text for segment in segments)
    return transcript.model_copy(update={"segments": segments, "text": text, "corrections": told})


def _fits(heard: Sequence[str], correction: Correction, words: Sequence[Word]) -> bool:
    found = [word.word for word in words[: len(heard)]]
    if correction.match_case:
        return found == list(heard)
    return [word.casefold() for word in found] == [word.casefold() for word in heard]


def _spread(written: Sequence[str], heard: Sequence[Word]) -> list[Word]:
    """The written words over the time of those heard: one for one where there are as many, else by their length. None
    is surer than the least sure of those heard."""
    if len(written) == len(heard):
        return [word.model_copy(update={"word": text}) for word, text in zip(heard, written, strict=True)]
    start, end = heard[0].start, heard[-1].end
    total, before, words = sum(map(len, written)), 0, []
    for text in written:
        after = before + len(text)
        words.append(
            Word(
                word=text,
                start=start + (end - start) * before / total,
                end=start + (end - start) * after / total,
                confidence=min(word.confidence for word in heard),
            )
        )
        before = after
    return words
