"""What pieces tell comes in the order of the file, also where one of them had to begin again."""

from __future__ import annotations

from typing import Any

from engines.speech.long_file import InOrder
from engines.speech.reading import Cut
from engines.wire import Message

FIRST, SECOND = Cut(0, 0, 16_000 * 30, -1), Cut(1, 16_000 * 30, 16_000 * 30, -1)


def said(*words: tuple[str, float]) -> Message:
    return {"event": "segment", "words": [{"word": word, "start": start, "end": start + 0.4} for word, start in words]}


def told_by(*messages: tuple[Cut, Message]) -> list[tuple[str, float]]:
    """Each word with its time in the file."""
    told: list[tuple[str, float]] = []

    def on_utterance(begins: float, utterance: dict[str, Any]) -> None:
        told.extend((word["word"], begins + word["start"]) for word in utterance["words"])

    order = InOrder(on_utterance)
    for cut, message in messages:
        order.take(cut, message)
    return told


def test_a_later_piece_waits_for_the_one_before() -> None:
    told = told_by(
        (SECOND, said(("three", 1.0))),
        (FIRST, said(("one", 1.0))),
        (SECOND, {"event": "done"}),
        (FIRST, said(("two", 5.0))),
        (FIRST, {"event": "done"}),
    )
    assert told == [("one", 1.0), ("two", 5.0), ("three", 31.0)]


def test_a_second_try_in_other_words_tells_nothing_twice_and_leaves_nothing_out() -> None:
    told = told_by(
        (FIRST, said(("one", 1.0), ("two", 2.0))),
        (FIRST, {"event": "again"}),
        # As one utterance now, with a word heard otherwise.
        (FIRST, said(("won", 1.0), ("two", 2.0), ("three", 3.0))),
        (FIRST, said(("four", 4.0))),
        (FIRST, {"event": "done"}),
        (SECOND, said(("five", 0.5))),
    )
    assert told == [("one", 1.0), ("two", 2.0), ("three", 3.0), ("four", 4.0), ("five", 30.5)]
