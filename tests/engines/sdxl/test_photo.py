"""Photos as they come: turned, transparent, 16 bits deep, in any of the formats."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from engines.sdxl.photo import cover, read_photo


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_formats(kind: str) -> None:
    picture = read_photo(saved(Image.new("RGB", (32, 16), (200, 30, 30)), kind))
    assert (picture.mode, picture.size) == ("RGB", (32, 16))
    red, green, _ = picture.getpixel((8, 8))  # type: ignore[misc]
    assert red > 180
    assert green < 60


def test_a_phones_orientation_is_applied() -> None:
    lying = Image.new("RGB", (32, 16), (255, 0, 0))
    lying.paste((0, 0, 255), (0, 0, 16, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90 degrees clockwise to stand upright
    picture = read_photo(saved(lying, "PNG", exif=exif))
    assert picture.size == (16, 32)
    assert picture.getpixel((8, 4)) == (0, 0, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture = clear.convert(mode) if mode != "P" else clear.quantize()
    assert read_photo(saved(picture)).getpixel((4, 4)) == (255, 255, 255)


def test_16_bits_are_not_clipped() -> None:
    assert read_photo(saved(Image.new("I;16", (8, 8), 0x8000))).getpixel((4, 4)) == (128, 128, 128)


@pytest.mark.parametrize("mode", ["1", "L", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    assert read_photo(saved(Image.new(mode, (8, 8)), "JPEG" if mode == "CMYK" else "PNG")).mode == "RGB"


def test_cover_keeps_the_middle_and_the_shape() -> None:
    wide = Image.new("RGB", (300, 100), (255, 0, 0))
    wide.paste((0, 255, 0), (100, 0, 200, 100))
    square = cover(wide, 64, 64)
    assert square.size == (64, 64)
    assert square.getpixel((32, 32)) == (0, 255, 0)
    assert square.getpixel((2, 2))[1] > 200  # type: ignore[index]
    assert cover(square, 64, 64) is square
