"""Paragraphs end where a person would end them."""

from __future__ import annotations

from engines.results import Segment
from engines.speech.paragraphs import ParagraphRule, paragraphs, text_of
from tests.engines.speech.transcripts import evenly, spoken


def with_pauses(*pauses: float) -> list[Segment]:
    """Segments of two words, with these pauses between them."""
    made = [evenly("hello there")]
    for pause in pauses:
        made.append(evenly("hello there", start=made[-1].end + pause))
    return made


def breaks(*pauses: float) -> list[int]:
    """Numbers of the pauses that end a paragraph."""
    rule = ParagraphRule()
    parts = [rule.separator(segment) for segment in with_pauses(*pauses)]
    assert parts[0] == ""
    return [number for number, part in enumerate(parts[1:]) if part == "\n"]


def test_a_long_pause_is_a_line_break() -> None:
    assert text_of(with_pauses(0.5, 10.0)) == "hello there hello there\nhello there"


def test_breath_is_none() -> None:
    assert breaks(0.5, 0.6, 0.9, 0.5, 0.7) == []


def test_whoever_pauses_long_everywhere_needs_a_longer_one() -> None:
    assert breaks(*[1.3] * 8, 2.1, 1.3) == [0, 1, 2, 3, 8]
    assert breaks(0.5, 0.5, 0.5, 0.5, 1.3) == [4]


def test_very_long_pauses_always_count() -> None:
    assert breaks(*[3.0] * 8) == list(range(8))


def test_a_wall_of_text_is_divided() -> None:
    made, at = [], 0.0
    for _ in range(40):
        made.append(evenly("ten words are in this one segment of the wall", start=at))
        at = made[-1].end + 0.45
    lengths = [len(paragraph.words) for paragraph in paragraphs(made)]
    assert lengths == [120, 120, 120, 40]


def test_paragraphs_hold_every_word_in_order_with_its_times() -> None:
    talk = spoken(10)
    made = paragraphs(talk.segments)
    assert [word for item in made for word in item.words] == [word for item in talk.segments for word in item.words]
    assert text_of(talk.segments) == "\n".join(item.text for item in made)
    assert 10 < len(made) < 60


def test_a_remote_segment_without_words_gets_their_times() -> None:
    [paragraph] = paragraphs([Segment(text="a word from far away", start=2.0, end=4.0, words=())])
    assert [word.word for word in paragraph.words] == ["a", "word", "from", "far", "away"]
    assert (paragraph.words[0].start, paragraph.words[-1].end) == (2.0, 4.0)
