"""Each sound is heard at its time, whatever the container does with its clock."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.speech.audio import MISSING
from tests.engines.speech.media import DATA
from tests.engines.speech.tones import TIGHT, Heard, Picture, Track, expected, hear, track, worst, write, written

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}

# Name -> container, codec, its options, the picture's codec ("" for none).
KINDS: dict[str, tuple[str, str, dict[str, str], str]] = {
    "3gp": ("3gp", "", {}, "mpeg4"),
    "mp4": ("mp4", "aac", {}, "mpeg4"),
    "fragments": ("mp4", "aac", FRAGMENTS, "mpeg4"),
    "fragments opus": ("mp4", "libopus", FRAGMENTS, "mpeg4"),
    "smooth": ("ismv", "aac", {}, "mpeg4"),
    "mov": ("mov", "", {}, "mpeg4"),
    "mkv": ("matroska", "", {}, "mpeg4"),
    "mkv aac": ("matroska", "aac", {}, "mpeg4"),
    "webm": ("webm", "", {}, "libvpx"),
    "avi": ("avi", "", {}, "mpeg4"),
    "avi aac": ("avi", "aac", {}, "mpeg4"),
    "avi ac3": ("avi", "ac3", {}, "mpeg4"),
    "flv": ("flv", "aac", {}, "flv1"),
    "ts": ("mpegts", "", {}, "mpeg2video"),
    "ps": ("mpeg", "mp2", {}, "mpeg2video"),
    "nut": ("nut", "", {}, "mpeg4"),
    "asf": ("asf", "", {}, "mpeg4"),
    "adts": ("adts", "", {}, ""),
    "latm": ("latm", "", {}, ""),
    "wav": ("wav", "pcm_s16le", {}, ""),
    "rf64": ("wav", "pcm_s16le", {"rf64": "always"}, ""),
    "w64": ("w64", "pcm_s16le", {}, ""),
    "aiff": ("aiff", "", {}, ""),
    "au": ("au", "", {}, ""),
    "caf": ("caf", "", {}, ""),
    "flac": ("flac", "flac", {}, ""),
    "alac": ("ipod", "alac", {}, ""),
    "mp3": ("mp3", "", {}, ""),
    "mp2": ("mp2", "mp2", {}, ""),
    "ogg": ("ogg", "", {"page_duration": "20000"}, ""),
    "ogg flac": ("ogg", "flac", {}, ""),
    "wavpack": ("wv", "wavpack", {}, ""),
    "tta": ("tta", "tta", {}, ""),
    "real": ("rm", "", {}, ""),
    "sox": ("sox", "", {}, ""),
    "ac3": ("ac3", "ac3", {}, ""),
    # What telephones send.
    "amr": ("amr", "libopencore_amrnb", {}, ""),
    "g711 a": ("wav", "pcm_alaw", {}, ""),
    "g711 u": ("wav", "pcm_mulaw", {}, ""),
    "g711 au": ("au", "pcm_mulaw", {}, ""),
    "g722": ("wav", "adpcm_g722", {}, ""),
    "g726": ("wav", "g726", {}, ""),
}
WITH_PICTURE = [name for name, kind in KINDS.items() if kind[3]]
WITH_CLOCK = [name for name in (*WITH_PICTURE, "ogg") if name != "mov"]
"""Containers that can leave sound out. ffmpeg's MOV of PCM cannot, and neither can a row of frames."""

SLACK = {"asf": 0.05, "avi ac3": 0.045, "avi": 0.045, "avi aac": 0.045}
"""Windows Media's encoder is 46 ms late and does not say so; an AVI counts in whole frames of picture and sound."""


def heard(folder: Path, name: str, *tracks: Track, picture: Picture | None = None) -> Heard:
    kind, _, options, _ = KINDS[name]
    path = folder / "recording"
    write(path, kind, *tracks, picture=picture, options=options)
    return hear(path)


def of(name: str, **more: Any) -> Track:
    return track(*KINDS[name][:2], **more)


def check(name: str, found: Heard, wanted: Track, begin: float = 0.0) -> None:
    assert found.notes == ()
    assert worst(found, expected(wanted, begin)) < SLACK.get(name, TIGHT), found.tones


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_heard_at_its_times(tmp_path: Path, name: str) -> None:
    found = heard(tmp_path, name, of(name))
    check(name, found, Track())
    assert found.estimate == pytest.approx(found.seconds, abs=0.4)


@pytest.mark.parametrize("name", ["tones.spx", "tones.gsm"])
def test_telephone_codecs_that_ffmpeg_only_reads(name: str) -> None:
    """Written by speexenc 1.2.1 (--quality 6) and libgsm 1.0, from `Track(codec="pcm_s16le", rate=8_000)`."""
    check(name, hear(DATA.parent / "telephone" / name), Track())


@pytest.mark.parametrize("name", [name for name in WITH_PICTURE if name != "mov"])  # ffmpeg writes no late PCM there
def test_sound_that_begins_after_the_picture_is_late(tmp_path: Path, name: str) -> None:
    found = heard(tmp_path, name, of(name, delay=1.5), picture=Picture(codec=KINDS[name][3], seconds=4.3))
    check(name, found, Track(), begin=1.5)


@pytest.mark.parametrize("name", WITH_PICTURE)
def test_a_picture_changes_no_time(tmp_path: Path, name: str) -> None:
    codec = KINDS[name][3]
    for picture in (Picture(codec, delay=1.0), Picture(codec, seconds=6.0)):
        check(name, heard(tmp_path, name, of(name), picture=picture), Track())


@pytest.mark.parametrize("name", [name for name in WITH_PICTURE if KINDS[name][3] == "mpeg4"])
def test_pictures_out_of_order_change_no_time(tmp_path: Path, name: str) -> None:
    check(name, heard(tmp_path, name, of(name), picture=Picture(b_frames=2)), Track())


@pytest.mark.parametrize("name", WITH_CLOCK)
def test_a_pause_without_packets_keeps_its_length(tmp_path: Path, name: str) -> None:
    paused: dict[str, Any] = {"starts": (0.4, 1.0, 5.0, 5.6), "seconds": 6.2, "gaps": ((1.5, 4.7),)}
    check(name, heard(tmp_path, name, of(name, **paused)), Track(**paused))


def test_an_avi_whose_header_delays_the_sound(tmp_path: Path) -> None:
    content = bytearray(written("avi", track("avi", "pcm_s16le"), picture=Picture(seconds=4.3)))
    start = content.find(b"auds") + 28
    struct.pack_into("<I", content, start, 48_000 * 3 // 2)
    path = tmp_path / "a.avi"
    path.write_bytes(content)
    check("avi", hear(path), Track(), begin=1.5)


def test_a_clock_that_begins_late_is_no_silence(tmp_path: Path) -> None:
    for name in ("mkv", "webm", "ogg", "ts", "flv"):
        check(name, heard(tmp_path, name, of(name, delay=1000.0)), Track())


def test_a_negative_beginning_is_cut_off_as_players_do(tmp_path: Path) -> None:
    """Encoders begin before 0, and an edit list says how much of it is no sound."""
    for name in ("mp4", "alac", "webm"):
        early = of(name, delay=-0.2)
        found = heard(tmp_path, name, early, picture=Picture("libvpx" if name == "webm" else "mpeg4"))
        # 0 is where the earliest of both begins, or where the edit list says.
        begin = found.tones[0][1] - 0.4
        assert -0.21 < begin < 0.001
        assert worst(found, expected(Track(), begin)) < TIGHT


# Ogg, as gateways write what they get over the network ------------------------------------------------------------


def ogg_pages(content: bytes) -> list[bytearray]:
    pages, at = [], 0
    while at < len(content):
        segments = content[at + 26]
        length = 27 + segments + sum(content[at + 27 : at + 27 + segments])
        pages.append(bytearray(content[at : at + length]))
        at += length
    return pages


def checked(page: bytearray) -> bytes:
    """The page with its checksum (CRC-32 of polynomial 04C11DB7, most significant bit first)."""
    page[22:26] = bytes(4)
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    page[22:26] = value.to_bytes(4, "little")
    return bytes(page)


SMALL_PAGES = {"page_duration": "20000"}


def test_lost_pages_are_a_pause(tmp_path: Path) -> None:
    pages = ogg_pages(written("ogg", options=SMALL_PAGES))
    lost = range(len(pages) * 48 // 100, len(pages) * 55 // 100)
    path = tmp_path / "a.ogg"
    path.write_bytes(b"".join(bytes(page) for number, page in enumerate(pages) if number not in lost))
    assert worst(hear(path), expected(Track())) < TIGHT


def test_a_stream_that_goes_on_under_another_number_is_said_to_be_missing(tmp_path: Path) -> None:
    pages = ogg_pages(written("ogg", options=SMALL_PAGES))
    for page in pages[len(pages) // 2 :]:
        page[14:18] = b"next"
    path = tmp_path / "a.ogg"
    path.write_bytes(b"".join(map(checked, pages)))
    found = hear(path)
    assert found.notes == (MISSING,)
    assert worst(replace(found, tones=found.tones[:2]), expected(Track())[:2]) < TIGHT
