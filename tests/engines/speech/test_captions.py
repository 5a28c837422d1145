"""Captions that a person can read and a player accepts; read back by parsers that others wrote."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from itertools import pairwise

import pytest
import srt
import webvtt

from engines.results import Segment, Transcript
from engines.speech.captions import (
    CHARS_PER_SECOND,
    GAP_SECONDS,
    LINE_CHARS,
    LINES,
    MAX_SECONDS,
    MIN_SECONDS,
    cues,
    to_srt,
    to_tsv,
    to_vtt,
)
from tests.engines.speech.transcripts import evenly, said, segment, spoken, transcript

HELLO = transcript(segment(said("hello", 0.21, 0.57), said("there", 0.6, 1.3)))
TALK = spoken(30)


def test_srt() -> None:
    assert to_srt(HELLO) == "1\n00:00:00,210 --> 00:00:01,300\nhello there\n"


def test_vtt() -> None:
    assert to_vtt(HELLO) == "WEBVTT\n\n00:00:00.210 --> 00:00:01.300\nhello there\n"


def test_tsv_is_whispers() -> None:
    assert to_tsv(HELLO) == "start\tend\ttext\n210\t1300\thello there\n"


def test_nothing_said_gives_no_cues() -> None:
    assert to_srt(transcript()) == ""
    assert to_vtt(transcript()) == "WEBVTT\n"
    assert to_tsv(transcript()) == "start\tend\ttext\n"


def test_half_an_hour_of_talk_keeps_the_rules() -> None:
    made = cues(TALK)
    for cue in made:
        assert 1 <= len(cue.lines) <= LINES
        assert all(len(line) <= LINE_CHARS for line in cue.lines)
        assert MIN_SECONDS - 0.001 <= cue.end - cue.start <= MAX_SECONDS
        if len(cue.lines) == 2:
            assert len(" ".join(cue.lines)) > LINE_CHARS
    assert all(following.start - one.end >= GAP_SECONDS - 1e-6 for one, following in pairwise(made))
    assert [word.word for item in TALK.segments for word in item.words] == " ".join(
        line for cue in made for line in cue.lines
    ).split()
    # This talk has passages that are spoken faster than anybody reads.
    fast = [cue for cue in made if sum(map(len, cue.lines)) > CHARS_PER_SECOND * (cue.end - cue.start) + 1]
    assert len(fast) < len(made) / 100


def test_every_word_is_on_the_screen_when_it_is_said() -> None:
    shown = iter(cues(TALK))
    cue = next(shown)
    waiting = " ".join(cue.lines).split()
    for word in (word for item in TALK.segments for word in item.words):
        if not waiting:
            cue = next(shown)
            waiting = " ".join(cue.lines).split()
        assert waiting.pop(0) == word.word
        assert cue.start <= word.start < cue.end


def test_a_parser_of_srt_reads_back_what_was_written() -> None:
    read = list(srt.parse(to_srt(TALK), ignore_errors=False))
    made = cues(TALK)
    assert [item.index for item in read] == list(range(1, len(made) + 1))
    assert [item.content for item in read] == ["\n".join(cue.lines) for cue in made]
    for item, cue in zip(read, made, strict=True):
        assert abs(item.start - timedelta(seconds=cue.start)) <= timedelta(milliseconds=1)
        assert abs(item.end - timedelta(seconds=cue.end)) <= timedelta(milliseconds=1)
    assert all(one.end <= following.start for one, following in pairwise(read))
    assert srt.compose(read) == to_srt(TALK) + "\n"


def test_a_parser_of_webvtt_reads_back_what_was_written() -> None:
    read = webvtt.from_buffer(StringIO(to_vtt(TALK)), format="vtt").captions
    assert [item.text for item in read] == ["\n".join(cue.lines) for cue in cues(TALK)]
    assert all(one.end_in_seconds <= following.start_in_seconds for one, following in pairwise(read))


def test_a_pause_ends_a_cue() -> None:
    made = cues(transcript(segment(said("one", 0, 0.5), said("two", 1.4, 2.9))))
    assert [cue.lines for cue in made] == [("one",), ("two",)]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("please send me the long report about the water and then call me", "please send me the long report|"),
        ("we will go down to the river when the water is hot enough today", "we will go down to the river|when"),
        ("i know that this is right, but you must come and look at it now", "right,|but you"),
        ("when you come back tomorrow bring me a very long book about hot water", "bring me|a very long"),
    ],
)
def test_lines_end_where_a_reader_pauses(text: str, lines: str) -> None:
    [cue] = cues(transcript(evenly(text, step=0.3)))
    assert lines in "|".join(cue.lines)


def test_a_short_cue_is_held_but_never_into_the_next() -> None:
    made = cues(transcript(segment(said("a", 1.0, 1.1)), segment(said("b", 3.0, 3.1)), segment(said("c", 3.91, 4.0))))
    times = [(round(cue.start, 3), round(cue.end, 3)) for cue in made]
    assert times == [(1.0, 1.833), (3.0, 3.827), (3.91, 4.743)]


def test_much_text_is_held_until_it_can_be_read() -> None:
    [cue] = cues(transcript(evenly("transcription transcription transcription transcription", step=0.25)))
    assert cue.end == pytest.approx(55 / CHARS_PER_SECOND, abs=0.1)


def test_times_that_make_no_sense_still_give_cues_in_order() -> None:
    words = [said(f"word{number}", 5.0, 5.0) for number in range(60)] + [said("early", 2.0, 2.1)]
    made = cues(transcript(segment(*words)))
    assert all(cue.start < cue.end for cue in made)
    assert all(one.end <= following.start for one, following in pairwise(made))
    assert len(list(srt.parse(to_srt(transcript(segment(*words)))))) == len(made)


def test_a_word_longer_than_a_line_stays_whole() -> None:
    word = "x" * 60
    assert cues(transcript(segment(said(word, 0, 1))))[0].lines == (word,)


def test_times_carry_over() -> None:
    late = transcript(segment(said("late", 3599.9996, 3601.5)))
    assert "01:00:00,000 --> 01:00:01,500" in to_srt(late)


def test_vtt_escapes_markup() -> None:
    text = to_vtt(transcript(segment(said("<b>&-->", 0, 1))))
    assert text.endswith("&lt;b&gt;&amp;--&gt;\n")
    assert text.count("-->") == 1


def test_segments_without_words_are_cut_as_well() -> None:
    def remote(text: str, end: float) -> Transcript:
        return transcript(Segment(text=text, start=1.0, end=end, words=()))

    [cue] = cues(remote("from another service", 3.0))
    assert (cue.lines, cue.start, cue.end) == (("from another service",), 1.0, 3.0)
    made = cues(remote("a long sentence from another service, which has no words with times of their own at all", 9.0))
    assert len(made) == 2
    assert made[0].end < made[1].start < made[1].end <= 9.0
