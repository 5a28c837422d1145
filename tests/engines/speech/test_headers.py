"""What a header says of length and size is a hint, and what is left of a cut recording is heard."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from engines.errors import InvalidMedia
from engines.speech import audio
from engines.speech.audio import MISSING, open_audio
from tests.engines.speech.test_times import KINDS
from tests.engines.speech.tones import TIGHT, TONE_SECONDS, Heard, Track, expected, hear, track, worst, written

CLAIMS = {"nothing": 0.0, "too little": 1.0, "a day": 86_400.0}

Patch = Callable[[bytearray, float], None]


def put(content: bytearray, at: int, form: str, value: float) -> None:
    size = struct.calcsize(form)
    struct.pack_into(form, content, at, value if form[1] == "d" else min(int(value), (1 << 8 * size - 1) - 1))


def _mp4(content: bytearray, seconds: float) -> None:
    for kind in (b"mvhd", b"mdhd"):
        at = content.find(kind)
        put(content, at + 20, ">I", seconds * int.from_bytes(content[at + 16 : at + 20], "big"))
    put(content, content.find(b"tkhd") + 24, ">I", seconds * 1000)


def _flac(content: bytearray, seconds: float) -> None:
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36 | int(seconds * 48_000)
    content[18:26] = packed.to_bytes(8, "big")


def _aiff(content: bytearray, seconds: float) -> None:
    put(content, content.find(b"COMM") + 10, ">I", seconds * 48_000)
    put(content, content.find(b"SSND") + 4, ">I", seconds * 96_000)


def at(found: bytes, offset: int, form: str, a_second: float) -> Patch:
    def patch(content: bytearray, seconds: float) -> None:
        put(content, content.find(found) + offset, form, seconds * a_second)

    return patch


PATCHES: dict[str, Patch] = {
    "mp4": _mp4,
    "mov": _mp4,
    "mkv": at(b"\x44\x89\x88", 3, ">d", 1000),
    "webm": at(b"\x44\x89\x88", 3, ">d", 1000),
    "flv": at(b"duration", 9, ">d", 1),
    "flac": _flac,
    "aiff": _aiff,
    "au": at(b".snd", 8, ">I", 96_000),
    "caf": at(b"data", 4, ">q", 96_000),
    "w64": at(b"data\xf3\xac", 16, "<Q", 96_000),
    "wav": at(b"data", 4, "<I", 96_000),
    "rf64": at(b"ds64", 16, "<Q", 96_000),
    "wavpack": at(b"wvpk", 12, "<I", 48_000),
    "avi": at(b"auds", 32, "<I", 48_000 / 1152),
    "sox": at(b".SoX", 8, "<Q", 48_000),
    "mp3": at(b"Info", 8, ">I", 48_000 / 1152),
}


def lying(name: str, seconds: float) -> bytes:
    kind, codec, options, _ = KINDS[name]
    content = bytearray(written(kind, track(kind, codec), options=options))
    PATCHES[name](content, seconds)
    return bytes(content)


def hear_bytes(folder: Path, content: bytes, max_seconds: float = 1000.0) -> Heard:
    path = folder / "recording"
    path.write_bytes(content)
    return hear(path, max_seconds)


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("name", PATCHES)
def test_a_wrong_length_costs_no_sound(tmp_path: Path, name: str, claim: str) -> None:
    found = hear_bytes(tmp_path, lying(name, CLAIMS[claim]))
    assert worst(found, expected(Track())) < TIGHT
    # A header that claims more than there is cannot be told from a recording that was cut.
    assert set(found.notes) <= ({MISSING} if CLAIMS[claim] > 2 else set())


CUT = {name: kind for name, kind in KINDS.items() if name not in ("mp4", "mov", "3gp", "alac")}
"""Without the index at their end, there is nothing that tells what the bytes of those mean."""

CLAIMLESS = {"ogg", "ogg flac", "ts", "ps", "adts", "latm", "mp2", "ac3", "amr", "nut", "sox", "real", "flv", "asf"}
"""These do not say how much is to come; some are heard to end in the middle of a frame."""


@pytest.mark.parametrize("name", CUT)
def test_what_is_left_of_a_cut_recording_is_heard_and_the_rest_said(tmp_path: Path, name: str) -> None:
    kind, codec, options, _ = KINDS[name]
    content = written(kind, track(kind, codec), options=options)
    found = hear_bytes(tmp_path, content[: len(content) * 2 // 3])
    whole = [tone for tone in found.tones if tone[2] - tone[1] > TONE_SECONDS - TIGHT]
    assert len(whole) >= 1
    for tone, wanted in zip(whole, expected(Track()), strict=False):
        assert tone == pytest.approx(wanted, abs=0.05)
    if name not in CLAIMLESS:
        assert MISSING in found.notes


@pytest.mark.parametrize("name", ["mp4", "mov", "3gp", "alac"])
def test_an_index_that_is_missing_is_told(tmp_path: Path, name: str) -> None:
    kind, codec, options, _ = KINDS[name]
    content = written(kind, track(kind, codec), options=options)
    with pytest.raises(InvalidMedia, match="damaged, incomplete"):
        hear_bytes(tmp_path, content[: len(content) * 2 // 3])


def edited(content: bytes, milliseconds: int) -> bytes:
    """With an edit list that plays so much."""
    patched = bytearray(content)
    place = content.find(b"elst")
    for entry in range(int.from_bytes(content[place + 8 : place + 12], "big")):
        struct.pack_into(">I", patched, place + 12 + 12 * entry, milliseconds)
    return bytes(patched)


def test_an_edit_list_is_followed_unless_it_leaves_nothing(tmp_path: Path) -> None:
    content = written("mp4", track("mp4", "aac"))
    trimmed = hear_bytes(tmp_path, edited(content, 900))
    assert [tone[0] for tone in trimmed.tones] == [500]
    assert trimmed.seconds == pytest.approx(0.9, abs=0.03)
    empty = hear_bytes(tmp_path, edited(content, 0))
    assert worst(empty, expected(Track())) < TIGHT
    assert empty.notes == ("The file's list of edits leaves nothing of its sound: it was not followed.",)


# Too long ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["webm", "ogg", "adts", "mp3", "wav", "mp4", "flac", "avi aac"])
def test_what_is_too_long_is_refused_before_any_of_it_is_given(tmp_path: Path, name: str) -> None:
    kind, codec, options, _ = KINDS[name]
    path = tmp_path / "recording"
    path.write_bytes(written(kind, track(kind, codec, seconds=12.0), options=options) * (1 + (name == "adts")))
    with open_audio(path) as reader, pytest.raises(InvalidMedia, match=r"longer than 0\.166667 minutes"):
        next(reader.blocks(10.0))


@pytest.mark.parametrize("name", ["wav", "mp4", "flac", "webm"])
def test_a_claim_of_too_much_refuses_nothing(tmp_path: Path, name: str) -> None:
    found = hear_bytes(tmp_path, lying(name, 30.0), max_seconds=10.0)
    assert worst(found, expected(Track())) < TIGHT


def test_joined_recordings_that_are_too_long_together_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "recording"
    path.write_bytes(written("webm", track("webm", seconds=6.0)) * 3)
    with open_audio(path) as reader, pytest.raises(InvalidMedia, match="longer than"):
        next(reader.blocks(10.0))


def test_a_guess_from_the_bit_rate_refuses_nothing_and_is_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ADTS that begins quietly: its length is guessed from the first frames, ten times too long."""
    monkeypatch.setattr(audio, "MIN_BYTES_PER_SECOND", 1.0)
    path = tmp_path / "a.aac"
    path.write_bytes(written("adts", track("adts", starts=(8.0, 9.0), seconds=10.0)))
    with open_audio(path) as reader:
        for _ in reader.blocks(12.0):
            assert reader.estimate == pytest.approx(10.0, abs=0.1)
