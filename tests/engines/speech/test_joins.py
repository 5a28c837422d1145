"""Recordings that were joined byte by byte: each is heard, at its place, whatever the two have in common."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engines.speech.audio import MISSING
from tests.engines.speech.test_times import KINDS
from tests.engines.speech.tones import Heard, Track, expected, hear, track, worst, written

FIRST = Track(starts=(0.4, 1.0), seconds=1.5, pitches=(500, 900))
SECOND = Track(starts=(0.4, 1.0), seconds=1.5, pitches=(1300, 1700))

ENCODERS = 0.1
"""Seconds: lossy encoders begin and end some milliseconds outside of what they were given, at both files."""

FRAMES_ONLY = {"adts", "latm", "mp2", "ac3"}
"""Frames one after another, without a beginning: nothing shows a join, and nothing is lost."""

ONE_RATE = {"avi ac3", "amr", "3gp", "g722", "g726", "ac3", "real"}

ID3 = b"ID3\x04\0\0\0\0\0\x17" + b"TIT2\0\0\0\x0d\0\0\x03a title here"
ID3V1 = b"TAG" + b"a title".ljust(124) + b"\xff"
RAW = {"write_xing": "0", "id3v2_version": "0"}


def two(name: str) -> tuple[bytes, bytes]:
    """Two recordings, the second of another rate and number of channels where its codec has them."""
    kind, codec, options, _ = KINDS[name]
    first = track(kind, codec, starts=FIRST.starts, seconds=1.5, pitches=FIRST.pitches)
    second = replace(first, pitches=SECOND.pitches)
    if name not in ONE_RATE:
        second = replace(second, rate=22_050 if kind == "flv" else 24_000, layout="stereo")
    return written(kind, first, options=options), written(kind, second, options=options)


def hear_bytes(folder: Path, content: bytes) -> Heard:
    path = folder / "recording"
    path.write_bytes(content)
    return hear(path)


def check(found: Heard, begin: float, *, joined: bool = True) -> None:
    assert worst(found, expected(FIRST) + expected(SECOND, begin)) < ENCODERS, found.tones
    notes = [note for note in found.notes if "joined on at" in note]
    assert list(found.notes) == notes
    assert len(notes) == joined


@pytest.mark.parametrize("name", KINDS)
def test_two_different_recordings_are_both_heard(tmp_path: Path, name: str) -> None:
    first, second = two(name)
    begin = hear_bytes(tmp_path, first).seconds
    check(hear_bytes(tmp_path, first + second), begin, joined=name not in FRAMES_ONLY)


def test_an_ogg_of_several_streams_is_one_recording(tmp_path: Path) -> None:
    """Their first pages stand together at the beginning: no join."""
    tracks = [track("ogg"), track("ogg", starts=(), seconds=2.8)]
    found = hear_bytes(tmp_path, written("ogg", *tracks))
    assert worst(found, expected(Track())) < ENCODERS
    assert not any("joined" in note for note in found.notes)


@pytest.mark.parametrize("tags", ["id3", "id3v1", "both"])
@pytest.mark.parametrize("counted", [False, True])
def test_joined_mp3_with_tags_in_between(tmp_path: Path, tags: str, counted: bool) -> None:
    options = {} if counted else RAW
    first, second = (
        written("mp3", track("mp3", starts=one.starts, seconds=1.5, pitches=one.pitches), options=options)
        for one in (FIRST, SECOND)
    )
    before, behind = ID3 * (tags != "id3v1"), ID3V1 * (tags != "id3")
    begin = hear_bytes(tmp_path, before + first + behind).seconds
    check(hear_bytes(tmp_path, before + first + behind + before + second + behind), begin)


def test_a_tag_at_the_end_joins_nothing(tmp_path: Path) -> None:
    content = written("mp3", track("mp3"))
    for end in (ID3, ID3V1, ID3 + ID3V1):
        found = hear_bytes(tmp_path, content + end)
        assert worst(found, expected(Track())) < ENCODERS
        assert not any("joined" in note for note in found.notes)


def test_mp3_frames_that_go_on_are_heard(tmp_path: Path) -> None:
    frames = [
        written("mp3", track("mp3", starts=one.starts, seconds=1.5, pitches=one.pitches), options=RAW)
        for one in (FIRST, SECOND)
    ]
    check(hear_bytes(tmp_path, b"".join(frames)), hear_bytes(tmp_path, frames[0]).seconds, joined=False)


def test_what_is_joined_on_and_cannot_be_read_is_said(tmp_path: Path) -> None:
    first, second = two("mp4")
    found = hear_bytes(tmp_path, first + second[:200])
    assert found.notes == (MISSING,)
    assert worst(found, expected(FIRST)) < ENCODERS
