"""Photos as they come: turned, transparent, 16 bits deep, in any of the formats, large and small."""

from __future__ import annotations

from pathlib import Path
from threading import Event

import numpy as np
import pytest
from PIL import Image, ImageOps

from engines.sdxl.photo import cover, load_photo
from tests.engines.sdxl.picture_files import saved


def load(folder: Path, data: bytes, width: int, height: int) -> Image.Image:
    path = folder / "photo"
    path.write_bytes(data)
    picture = load_photo(path, width, height, Event())
    assert (picture.mode, picture.size) == ("RGB", (width, height))
    return picture


def scene(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """A soft picture in which no part is like another, in colours that differ as photos' do."""
    spots = np.random.default_rng(5).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(spots).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def mean_difference(one: Image.Image, other: Image.Image) -> float:
    """Of all colours of all pixels, 0 to 255."""
    return float(np.abs(np.asarray(one).astype(int) - np.asarray(other).astype(int)).mean())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_formats(tmp_path: Path, kind: str) -> None:
    picture = load(tmp_path, saved(Image.new("RGB", (32, 16), (200, 30, 30)), kind), 32, 16)
    red, green, _ = picture.getpixel((8, 8))  # type: ignore[misc]
    assert red > 180
    assert green < 60


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": turned(1)}], ids=["VP8", "VP8L", "VP8X"])
def test_webp_of_each_kind_is_as_it_was(tmp_path: Path, options: dict[str, object]) -> None:
    picture = scene(401, 311)
    assert mean_difference(load(tmp_path, saved(picture, "WEBP", **options), 401, 311), picture) < 4


def test_a_phones_orientation_is_applied(tmp_path: Path) -> None:
    lying = Image.new("RGB", (32, 16), (255, 0, 0))
    lying.paste((0, 0, 255), (0, 0, 16, 16))
    picture = load(tmp_path, saved(lying, "PNG", exif=turned(6)), 16, 32)  # stands after 90 degrees clockwise
    assert picture.getpixel((8, 4)) == (0, 0, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(tmp_path: Path, mode: str) -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    picture = clear.convert(mode) if mode != "P" else clear.quantize()
    assert load(tmp_path, saved(picture), 8, 8).getpixel((4, 4)) == (255, 255, 255)


def test_16_bits_are_not_clipped(tmp_path: Path) -> None:
    assert load(tmp_path, saved(Image.new("I;16", (8, 8), 0x8000)), 8, 8).getpixel((4, 4)) == (128, 128, 128)


@pytest.mark.parametrize("mode", ["1", "L", "CMYK"])
def test_other_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    load(tmp_path, saved(Image.new(mode, (8, 8)), "JPEG" if mode == "CMYK" else "PNG"), 8, 8)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_gives_its_first_frame(tmp_path: Path, kind: str) -> None:
    first, second = Image.new("RGB", (32, 32), (255, 0, 0)), Image.new("RGB", (32, 32), (0, 0, 255))
    moving = saved(first, kind, save_all=True, append_images=[second])
    red, _, blue = load(tmp_path, moving, 32, 32).getpixel((9, 9))  # type: ignore[misc]
    assert red > 200 > 60 > blue


# Large ones, decoded at the size needed ------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(3000, 2000), (800, 600)], ids=["drafted", "whole"])
def test_a_large_jpeg_is_what_decoding_all_of_it_gives(tmp_path: Path, size: tuple[int, int], orientation: int) -> None:
    """Covered by the middle of a picture whose sides are swapped."""
    data = saved(scene(*size), "JPEG", quality=92, exif=turned(orientation))
    got = load(tmp_path, data, 320, 192)
    with Image.open(tmp_path / "photo") as picture:
        whole = ImageOps.exif_transpose(picture).convert("RGB")
    assert mean_difference(got, ImageOps.fit(whole, (320, 192), Image.Resampling.LANCZOS)) < 0.6


@pytest.mark.parametrize(("width", "height"), [(1024, 1024), (1344, 768), (64, 2048)])
def test_a_photo_of_middling_size_is_the_same_to_the_last_bit(tmp_path: Path, width: int, height: int) -> None:
    """As seeds and recipes of today make the same picture tomorrow."""
    picture = scene(2000, 1500)
    expected = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
    assert mean_difference(load(tmp_path, saved(picture, compress_level=1), width, height), expected) == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "I;16"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_very_large_png_is_what_decoding_all_of_it_gives(tmp_path: Path, mode: str, orientation: int) -> None:
    """Of an odd shape, so that strips and squares do not come out even."""
    grey = scene(5003, 4001, "L")
    picture: Image.Image = grey.convert("RGB")
    if mode == "RGBA":
        picture.putalpha(grey)
    elif mode == "P":
        picture = grey.quantize(200)
    elif mode == "I;16":
        picture = Image.fromarray(np.asarray(grey).astype(np.uint16) << 8)
    got = load(tmp_path, saved(picture, compress_level=1, exif=turned(orientation)), 512, 384)
    flat = Image.new("RGB", picture.size, "white")
    flat.paste(picture if mode == "RGBA" else grey, mask=grey if mode == "RGBA" else None)
    upright = flat.rotate(-90, expand=True) if orientation == 6 else flat
    assert mean_difference(got, ImageOps.fit(upright, (512, 384), Image.Resampling.LANCZOS)) < 0.6


def test_cover_keeps_the_middle_and_the_shape() -> None:
    wide = Image.new("RGB", (300, 100), (255, 0, 0))
    wide.paste((0, 255, 0), (100, 0, 200, 100))
    square = cover(wide, 64, 64)
    assert square.size == (64, 64)
    assert square.getpixel((32, 32)) == (0, 255, 0)
    assert square.getpixel((2, 2))[1] > 200  # type: ignore[index]
    assert cover(square, 64, 64) is square
