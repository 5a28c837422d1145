"""Captions that a person can read and a player accepts."""

from __future__ import annotations

import itertools
import re

from engines.speech.captions import LINE_CHARS, LINES, MAX_SECONDS, cues, to_srt, to_vtt
from engines.types import Segment, Transcript, Word


def segment(*words: Word) -> Segment:
    return Segment(" ".join(word.word for word in words), words[0].start, words[-1].end, words)


def transcript(*segments: Segment) -> Transcript:
    text = " ".join(item.text for item in segments)
    return Transcript(text, segments, 4000.0, "en", "test", "local", demo=False)


def evenly(count: int, start: float = 0.0, step: float = 0.4, word: str = "carrot") -> Segment:
    return segment(*(Word(word, start + i * step, start + i * step + step * 0.9, 1.0) for i in range(count)))


HELLO = transcript(segment(Word("hello", 0.21, 0.57, 1.0), Word("there", 0.6, 1.0, 0.9)))


def test_srt() -> None:
    assert to_srt(HELLO) == "1\n00:00:00,210 --> 00:00:01,000\nhello there\n"


def test_vtt() -> None:
    assert to_vtt(HELLO) == "WEBVTT\n\n00:00:00.210 --> 00:00:01.000\nhello there\n"


def test_srt_numbers_cues_and_parts_them_by_an_empty_line() -> None:
    both = to_srt(transcript(evenly(3), evenly(3, start=20)))
    assert re.findall(r"^(\d+)\n\d\d:", both, flags=re.MULTILINE) == ["1", "2"]
    assert both.count("\n\n") == 1


def test_nothing_said_gives_no_cues() -> None:
    assert to_srt(transcript()) == ""
    assert to_vtt(transcript()) == "WEBVTT\n"


def test_long_speech_is_cut_into_readable_cues() -> None:
    made = cues(transcript(evenly(120)))
    assert sum(line.count("carrot") for cue in made for line in cue.lines) == 120
    for cue in made:
        assert len(cue.lines) <= LINES
        assert all(len(line) <= LINE_CHARS for line in cue.lines)
        assert cue.end - cue.start <= MAX_SECONDS
    assert all(one.end <= following.start for one, following in itertools.pairwise(made))


def test_fast_speech_is_cut_by_length() -> None:
    made = cues(transcript(evenly(60, step=0.1, word="transcription")))
    assert max(len(line) for cue in made for line in cue.lines) <= LINE_CHARS
    assert len(made) == 10


def test_a_pause_ends_a_cue() -> None:
    made = cues(transcript(segment(Word("one", 0, 0.5, 1), Word("two", 1.4, 1.9, 1))))
    assert [cue.lines for cue in made] == [("one",), ("two",)]


def test_a_short_cue_is_held_but_never_into_the_next() -> None:
    made = cues(transcript(segment(Word("a", 1.0, 1.1, 1)), segment(Word("b", 1.3, 1.4, 1))))
    assert [(cue.start, cue.end) for cue in made] == [(1.0, 1.3), (1.3, 1.8)]


def test_a_word_longer_than_a_line_stays_whole() -> None:
    word = "x" * 60
    assert cues(transcript(segment(Word(word, 0, 1, 1))))[0].lines == (word,)


def test_times_carry_over() -> None:
    late = transcript(segment(Word("late", 3599.9996, 3661.5, 1)))
    assert "01:00:00,000 --> 01:01:01,500" in to_srt(late)


def test_vtt_escapes_markup() -> None:
    text = to_vtt(transcript(segment(Word("<b>&-->", 0, 1, 1))))
    assert text.endswith("&lt;b&gt;&amp;--&gt;\n")
    assert text.count("-->") == 1


def test_a_segment_without_words_is_one_cue() -> None:
    made = cues(transcript(Segment("from another service", 1.0, 3.0, ())))
    assert [(cue.lines, cue.start, cue.end) for cue in made] == [(("from another service",), 1.0, 3.0)]
