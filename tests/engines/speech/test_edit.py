"""Corrections keep the times of what was left."""

from __future__ import annotations

from itertools import pairwise

import pytest

from engines.results import Segment, Word
from engines.speech.edit import realigned
from engines.speech.paragraphs import paragraphs
from tests.engines.speech.transcripts import evenly, spoken

HEARD = (evenly("hello this is a test of the carrot app"), evenly("good morning please send a message", start=10.0))
TEXT = "\n".join(item.text for item in HEARD)


def times(segments: tuple[Segment, ...]) -> dict[str, tuple[float, float]]:
    return {word.word: (word.start, word.end) for item in segments for word in item.words}


def all_words(segments: tuple[Segment, ...]) -> list[Word]:
    return [word for item in segments for word in item.words]


def test_the_same_text_changes_nothing() -> None:
    assert realigned(HEARD, TEXT) == HEARD


def test_a_replaced_word_takes_the_place_of_the_old_one() -> None:
    made = realigned(HEARD, TEXT.replace("carrot", "parrot"))
    assert times(made)["parrot"] == pytest.approx(times(HEARD)["carrot"])
    assert [word for word in all_words(made) if word.word != "parrot"] == [
        word for word in all_words(HEARD) if word.word != "carrot"
    ]
    assert {word.confidence for word in all_words(made) if word.word == "parrot"} == {1.0}


def test_two_words_for_one_share_its_time() -> None:
    made = times(realigned(HEARD, TEXT.replace("carrot", "car rotates")))
    start, end = times(HEARD)["carrot"]
    assert made["car"][0] == start
    assert made["car"][1] == made["rotates"][0]
    assert made["rotates"][1] == pytest.approx(end)
    assert made["app"] == times(HEARD)["app"]


def test_capitals_and_marks_keep_the_times() -> None:
    made = realigned(HEARD, "Hello, this is a test of the Carrot app.\nGood morning! Please send a message.")
    assert [(word.start, word.end) for word in all_words(made)] == [(word.start, word.end) for word in all_words(HEARD)]


def test_an_inserted_word_fits_between_its_neighbours() -> None:
    made = realigned(HEARD, TEXT.replace("a test", "a small little test"))
    assert all(one.end <= following.start + 1e-9 for one, following in pairwise(all_words(made)))
    assert times(made)["test"] == times(HEARD)["test"]


def test_words_before_the_first_and_after_the_last_are_allowed() -> None:
    made = realigned(HEARD, f"well {TEXT} now")
    words = all_words(made)
    assert (words[0].word, words[-1].word) == ("well", "now")
    assert 0 <= words[0].start <= words[0].end <= words[1].start + 1e-9
    assert words[-2].end <= words[-1].start < words[-1].end


def test_paragraphs_may_be_joined_and_divided() -> None:
    one = realigned(HEARD, TEXT.replace("\n", " "))
    assert len(one) == 1
    assert all_words(one) == all_words(HEARD)
    three = realigned(HEARD, TEXT.replace(" of", "\n\n of"))
    assert [item.text for item in three][:2] == ["hello this is a test", "of the carrot app"]
    assert all_words(three) == all_words(HEARD)


def test_a_deleted_paragraph_is_gone() -> None:
    assert realigned(HEARD, HEARD[1].text) == HEARD[1:]
    assert realigned(HEARD, " \n ") == ()


def test_hours_that_are_written_anew_are_still_in_order() -> None:
    heard = paragraphs(spoken(60).segments)
    made = realigned(heard, "\n".join("word " * 100 for _ in range(100)))
    words = all_words(made)
    assert len(words) == 10_000
    assert all(one.end <= following.start + 1e-6 for one, following in pairwise(words))
    assert words[-1].end == pytest.approx(heard[-1].end)


def test_one_correction_in_three_hours_leaves_all_else() -> None:
    heard = paragraphs(spoken(180).segments)
    lines = [item.text for item in heard]
    lines[100] = f"Altogether new. {lines[100]}"
    made = realigned(heard, "\n".join(lines))
    assert made[:100] == heard[:100]
    assert made[101:] == heard[101:]
    assert made[100].words[2:] == heard[100].words
