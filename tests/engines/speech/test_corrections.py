"""Corrections as who reads the transcript meets them: words, their times, and what is told of the change."""

from __future__ import annotations

import pytest

from engines.requests import Correction
from engines.results import Segment, Transcript, Word
from engines.speech.corrections import correct


def transcript(*texts: str) -> Transcript:
    """Segments of these texts, a word each second, half a second long."""
    at, segments = 0, []
    for text in texts:
        words = []
        for word in text.split():
            words.append(Word(word=word, start=at, end=at + 0.5, confidence=0.9 - at / 100))
            at += 1
        segments.append(Segment(text=text, start=words[0].start, end=words[-1].end, words=tuple(words)))
    whole = " ".join(texts)
    return Transcript(
        text=whole, segments=tuple(segments), duration=at, language="en", engine="x", where="local", demo=False
    )


def corrected(text: str, *pairs: tuple[str, str], match_case: bool = False) -> Transcript:
    return correct(transcript(text), [Correction(heard=a, written=b, match_case=match_case) for a, b in pairs])


@pytest.mark.parametrize(
    ("text", "pair", "right"),
    [
        ("hello carrot app", ("carrot app", "#CarrotApp"), "hello #CarrotApp"),
        ("Hello jon", ("JON", "John"), "Hello John"),
        ("carrots are no carrot", ("carrot", "Carrot"), "carrots are no Carrot"),
        ("a b a b", ("a b", "ab"), "ab ab"),
        ("you are", ("you are", "you're"), "you're"),
        ("carrot", ("carrot", "carrot carrot"), "carrot carrot"),
        ("carrot at the end car", ("car rot", "x"), "carrot at the end car"),
    ],
)
def test_whole_words_are_replaced(text: str, pair: tuple[str, str], right: str) -> None:
    made = corrected(text, pair)
    assert made.text == made.segments[0].text == " ".join(word.word for word in made.words) == right


def test_times_stay_those_of_what_was_heard_and_the_difference_is_told() -> None:
    made = corrected("post it on carrot app now", ("carrot app", "#CarrotApp"))
    word = made.words[3]
    assert (word.word, word.start, word.end) == ("#CarrotApp", 3.0, 4.5)
    assert word.confidence == pytest.approx(0.86), "of the least sure"
    (told,) = made.corrections
    assert (told.start, told.end, told.heard, told.written) == (3.0, 4.5, "carrot app", "#CarrotApp")
    more = corrected("one two", ("two", "2 hundred")).words[1:]
    assert [(round(word.start, 4), round(word.end, 4)) for word in more] == [(1.0, 1.0625), (1.0625, 1.5)]


def test_the_longer_wins_and_nothing_is_corrected_twice() -> None:
    made = corrected("new york", ("new", "old"), ("new york", "new Amsterdam"), ("Amsterdam", "York"))
    assert made.text == "new Amsterdam"


def test_match_case_leaves_other_cases_alone() -> None:
    assert corrected("us and US", ("US", "USA"), match_case=True).text == "us and USA"


def test_what_changes_nothing_is_not_told() -> None:
    made = corrected("hello", ("hello", "hello"), ("other", "word"))
    assert made == transcript("hello")


def test_no_correction_reaches_over_a_pause() -> None:
    assert correct(transcript("new", "york"), [Correction(heard="new york", written="NY")]).text == "new york"
