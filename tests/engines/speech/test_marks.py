"""What is left out of a transcript, and what is a word and stays."""

from __future__ import annotations

import pytest

from engines.speech.marks import is_mark
from engines.speech.segments import read_segment


@pytest.mark.parametrize(
    "mark",
    [
        "[unk]",
        "<unk>",
        "<UNK>",
        "[noise]",
        "[laughter]",
        "<eps>",
        "!SIL",
        "[spn]",
        "<s>",
        "</s>",
        "{breath}",
        "++um++",
        "#0",
    ],
)
def test_marks_of_any_model_are_known_by_their_shape(mark: str) -> None:
    assert is_mark(mark)


@pytest.mark.parametrize(
    "word",
    [
        "unk",
        "noise",
        "laughter",
        "sil",
        "o'clock",
        "c++",
        "#carrot",
        "уважаемый",
        "你好",
        "l'été",
        "!",
        "wow!",
        "a<b>c",
    ],
)
def test_words_stay(word: str) -> None:
    assert not is_mark(word)


def test_noise_alone_is_no_segment_and_words_keep_their_times() -> None:
    def heard(word: str, start: float) -> dict[str, object]:
        return {"word": word, "start": start, "end": start + 0.3, "conf": 1.0}

    assert read_segment([heard("<UNK>", 0.0), heard("[noise]", 1.0)]) is None
    segment = read_segment([heard("!SIL", 0.0), heard("hello", 1.0), heard("[laughter]", 2.0)])
    assert segment is not None
    assert (segment.text, segment.start, segment.end) == ("hello", 1.0, 1.3)
