"""Colour profiles in photos: followed in each format and mode, ignored where they are broken, odd or huge."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image

from engines.sdxl.photo import load_photo
from tests.engines.sdxl.picture_files import chunk, saved, with_chunks, with_segments
from tests.engines.sdxl.profiles import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    Matrix,
    grey_profile,
    ink_profile,
    matrix_profile,
    srgb_of,
    srgb_of_lab,
)

Shown = Callable[[bytes], list[int]]
COLOUR = (180, 110, 70)
WIDE = matrix_profile(PROPHOTO, 1.8)
LAB = (62.0, -31.0, -12.0)
LEVELS = 3


@pytest.fixture
def shown(tmp_path: Path) -> Shown:
    """The mean of a photo that is all of one colour."""

    def load(data: bytes) -> list[int]:
        path = tmp_path / "photo"
        path.write_bytes(data)
        picture = load_photo(path, 64, 64, Event())
        assert (picture.mode, picture.size) == ("RGB", (64, 64))
        return [round(mean) for mean in np.asarray(picture).reshape(-1, 3).mean(axis=0)]

    return load


def plain(mode: str = "RGB", colour: object = COLOUR) -> Image.Image:
    return Image.new(mode, (80, 72), colour)  # type: ignore[arg-type]


def near(levels: list[int] | tuple[int, ...]) -> object:
    return pytest.approx(levels, abs=LEVELS)


@pytest.mark.parametrize(
    ("primaries", "gamma"), [(DISPLAY_P3, 2.2), (ADOBE_RGB, 2.2), (PROPHOTO, 1.8)], ids=["P3", "Adobe", "ProPhoto"]
)
@pytest.mark.parametrize("colour", [COLOUR, (60, 160, 90), (200, 190, 210), (255, 255, 255), (0, 0, 0)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_profile_is_followed(
    shown: Shown, kind: str, colour: tuple[int, int, int], primaries: Matrix, gamma: float
) -> None:
    of_kind: dict[str, dict[str, object]] = {
        "PNG": {},
        "JPEG": {"quality": 98, "subsampling": 0},
        "WEBP": {"lossless": True},
    }
    profile = matrix_profile(primaries, gamma)
    assert shown(saved(plain(colour=colour), kind, icc_profile=profile, **of_kind[kind])) == near(
        srgb_of(colour, primaries, gamma)
    )


def test_the_difference_is_worth_it() -> None:
    expected = srgb_of(COLOUR, PROPHOTO, 1.8)
    assert max(abs(one - other) for one, other in zip(expected, COLOUR, strict=True)) > 40


def test_a_photo_without_a_profile_keeps_its_numbers(shown: Shown) -> None:
    assert shown(saved(plain())) == list(COLOUR)


def test_a_profile_in_several_segments_and_among_others_is_put_together(shown: Shown) -> None:
    """In any order, as the standard says, and beside the APP2 of several pictures in one file."""
    profile = matrix_profile(PROPHOTO, 1.8, padding=100_000)
    parts = [profile[at : at + 40_000] for at in range(0, len(profile), 40_000)]
    segments = [segment(part, number, len(parts)) for number, part in enumerate(parts, 1)]
    other = b"\xff\xe2\0\x08MPF\0\0\0"
    data = with_segments(saved(plain(), "JPEG", quality=98, subsampling=0), other + b"".join(reversed(segments)))
    assert shown(data) == near(srgb_of(COLOUR, PROPHOTO, 1.8))


def segment(part: bytes, number: int, count: int) -> bytes:
    return struct.pack(">HH12sBB", 0xFFE2, len(part) + 16, b"ICC_PROFILE\0", number, count) + part


def test_cmyk_with_a_profile(shown: Shown) -> None:
    cyan = saved(plain("CMYK", (255, 0, 0, 0)), "JPEG", quality=100, icc_profile=ink_profile(LAB))
    assert shown(cyan) == near(srgb_of_lab(LAB))
    paper = saved(plain("CMYK", (0, 0, 0, 0)), "JPEG", quality=100, icc_profile=ink_profile(LAB))
    assert shown(paper) == near([255, 255, 255])


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_grey_with_a_profile(shown: Shown, mode: str) -> None:
    colour: dict[str, object] = {"L": 128, "LA": (128, 255), "I;16": 128 * 256}
    picture = saved(plain(mode, colour[mode]), icc_profile=grey_profile(1.0))
    assert shown(picture) == near([188, 188, 188])  # half the light: 255 * (1.055 * 0.5 ** (1 / 2.4) - 0.055)


def test_grey_with_a_cameras_colour_profile(shown: Shown) -> None:
    grey = saved(plain("L", 128), icc_profile=WIDE)
    assert shown(grey) == near(srgb_of((128, 128, 128), PROPHOTO, 1.8))


def test_a_large_picture_is_shrunk_and_then_converted(shown: Shown) -> None:
    large = Image.new("RGB", (5003, 4001), COLOUR)
    assert shown(saved(large, compress_level=1, icc_profile=WIDE)) == near(srgb_of(COLOUR, PROPHOTO, 1.8))
    ink = saved(Image.new("CMYK", (6000, 3200), (255, 0, 0, 0)), "JPEG", icc_profile=ink_profile(LAB))
    assert shown(ink) == near(srgb_of_lab(LAB))


def test_transparent_parts_are_white_under_any_profile(shown: Shown) -> None:
    clear = plain("RGBA", (*COLOUR, 0))
    assert shown(saved(clear, icc_profile=WIDE)) == near([255, 255, 255])


# Ignored -------------------------------------------------------------------------------------------------------------

JPEG = saved(plain(), "JPEG", quality=98, subsampling=0)
HUGE = matrix_profile(PROPHOTO, 1.8, padding=2 * 2**20)


@pytest.mark.parametrize(
    "data",
    [
        saved(plain(), icc_profile=b"no profile"),
        saved(plain(), icc_profile=WIDE[:200]),
        saved(plain(), icc_profile=WIDE[:132] + b"\xff" * 400),
        saved(plain(), icc_profile=ink_profile(LAB)),
        saved(plain(), icc_profile=grey_profile(1.0)),
        saved(plain(), icc_profile=HUGE),
        with_chunks(saved(plain()), chunk(b"iCCP", b"x\0\0no zlib")),
        with_chunks(saved(plain()), chunk(b"iCCP", b"x")),
        with_chunks(saved(plain()), chunk(b"iCCP", b"x\0\0" + zlib.compress(WIDE)[:-60])),
        saved(plain(), "JPEG", quality=98, subsampling=0, icc_profile=HUGE),
        with_segments(JPEG, segment(WIDE, 1, 2)),
        with_segments(JPEG, segment(WIDE, 2, 2)),
        with_segments(JPEG, segment(WIDE, 0, 0)),
        with_segments(JPEG, b"\xff\xe2\0\x0eICC_PROFILE\0"),
        saved(plain(), "WEBP", lossless=True, icc_profile=HUGE),
        saved(plain(), "WEBP", lossless=True, icc_profile=b"no profile"),
        saved(plain("CMYK", (40, 100, 150, 20)), "JPEG", icc_profile=WIDE),
    ],
)
def test_a_profile_that_is_broken_odd_or_huge_is_as_if_absent(shown: Shown, data: bytes) -> None:
    colour = (198, 143, 97) if b"Adobe" in data else COLOUR  # (255 - ink) * (255 - black) / 255
    assert shown(data) == near(colour)


def test_no_change_of_a_profile_does_harm(shown: Shown) -> None:
    dice = random.Random(5)
    for profile, mode in ((WIDE, "RGB"), (ink_profile(LAB), "CMYK"), (grey_profile(1.0), "L")):
        for _ in range(60):
            changed = bytearray(profile)
            for _ in range(dice.randint(1, 8)):
                changed[dice.randrange(min(len(profile), 400))] = dice.randrange(256)
            shown(saved(plain(mode, 0), "JPEG", icc_profile=bytes(changed)))
