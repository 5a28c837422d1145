"""Captions that a person can read and a player accepts."""

from __future__ import annotations

import itertools
import re

from engines.results import Segment, Transcript, Word
from engines.speech.captions import LINE_CHARS, LINES, MAX_SECONDS, cues, to_srt, to_vtt


def segment(*words: Word) -> Segment:
    text = " ".join(word.word for word in words)
    return Segment(text=text, start=words[0].start, end=words[-1].end, words=words)


def said(text: str, start: float, end: float) -> Word:
    return Word(word=text, start=start, end=end, confidence=1.0)


def transcript(*segments: Segment) -> Transcript:
    text = " ".join(item.text for item in segments)
    return Transcript(
        text=text, segments=segments, duration=4000.0, language="en", engine="test", where="local", demo=False
    )


def evenly(count: int, start: float = 0.0, step: float = 0.4, word: str = "carrot") -> Segment:
    return segment(*(said(word, start + i * step, start + i * step + step * 0.9) for i in range(count)))


HELLO = transcript(segment(said("hello", 0.21, 0.57), said("there", 0.6, 1.0)))


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
    made = cues(transcript(segment(said("one", 0, 0.5), said("two", 1.4, 1.9))))
    assert [cue.lines for cue in made] == [("one",), ("two",)]


def test_a_short_cue_is_held_but_never_into_the_next() -> None:
    made = cues(transcript(segment(said("a", 1.0, 1.1)), segment(said("b", 1.3, 1.4))))
    assert [(cue.start, cue.end) for cue in made] == [(1.0, 1.3), (1.3, 1.8)]


def test_a_word_longer_than_a_line_stays_whole() -> None:
    word = "x" * 60
    assert cues(transcript(segment(said(word, 0, 1))))[0].lines == (word,)


def test_times_carry_over() -> None:
    late = transcript(segment(said("late", 3599.9996, 3661.5)))
    assert "01:00:00,000 --> 01:01:01,500" in to_srt(late)


def test_vtt_escapes_markup() -> None:
    text = to_vtt(transcript(segment(said("<b>&-->", 0, 1))))
    assert text.endswith("&lt;b&gt;&amp;--&gt;\n")
    assert text.count("-->") == 1


def test_a_segment_without_words_is_one_cue() -> None:
    made = cues(transcript(Segment(text="from another service", start=1.0, end=3.0, words=())))
    assert [(cue.lines, cue.start, cue.end) for cue in made] == [(("from another service",), 1.0, 3.0)]
