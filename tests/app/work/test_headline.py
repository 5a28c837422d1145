"""The headline on a picture: its contrast is computed from the pixels that come out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from app.work.headline import CONTRAST, INK, MAX_HEADLINE, WHITE, contrast, luminance, set_text, with_headline
from engines.errors import InvalidRequest

TEXT = "Ten quiet walks around the lake, and what to pack for each of them"


def noise(width: int, height: int) -> Image.Image:
    values = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).filter(ImageFilter.GaussianBlur(2))


def checks(width: int, height: int) -> Image.Image:
    """Black and white squares: wherever a letter lies, both are below it."""
    rows, columns = np.mgrid[0:height, 0:width] // 24
    return Image.fromarray((((rows + columns) % 2) * 255).astype(np.uint8)).convert("RGB")


PICTURES = {
    "white": Image.new("RGB", (672, 384), "white"),
    "black": Image.new("RGB", (672, 384), "black"),
    "mid grey": Image.new("RGB", (672, 384), (119, 119, 119)),
    "yellow": Image.new("RGB", (384, 672), (255, 240, 0)),
    "noise": noise(672, 384),
    "checks": checks(768, 320),
}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_every_pixel_around_the_letters_has_the_contrast_that_wcag_wants(picture: Image.Image) -> None:
    done = with_headline(picture, TEXT)
    assert done.size == picture.size
    letters, around = letters_of(done, picture)
    assert letters.sum() > 500
    ink = np.asarray(done)[letters][0]
    own = float(luminance(ink / 255))
    lights = luminance(np.asarray(done)[around] / 255)
    assert contrast(float(lights.max()), own) >= CONTRAST
    assert contrast(float(lights.min()), own) >= CONTRAST


def letters_of(done: Image.Image, picture: Image.Image) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels the letters fill, and which are near them and not of their soft edges."""
    setting = set_text(TEXT, *picture.size)
    pixels = np.asarray(done)
    box = np.zeros(pixels.shape[:2], bool)
    box[setting.top : setting.top + setting.height, setting.left : setting.left + setting.width] = True
    counts = {colour: int(((pixels == colour).all(axis=2) & box).sum()) for colour in (WHITE, INK)}
    # What lies in lines of letters is theirs; a white picture has white pixels beside black letters too.
    colour = WHITE if contrast_of(done, picture, WHITE) > contrast_of(done, picture, INK) else INK
    assert counts[colour]
    letters = (pixels == colour).all(axis=2) & box
    near = np.asarray(Image.fromarray(letters).convert("L").filter(ImageFilter.MaxFilter(9))) > 0
    edges = np.asarray(Image.fromarray(letters).convert("L").filter(ImageFilter.MaxFilter(7))) > 0
    return letters, near & ~edges & box


def contrast_of(done: Image.Image, picture: Image.Image, colour: tuple[int, int, int]) -> float:
    """Of a colour to what the picture is where no letters are, in the rows of the letters."""
    setting = set_text(TEXT, *picture.size)
    beside = np.asarray(done)[setting.top : setting.top + setting.height, : setting.left - 2] / 255
    return contrast(float(luminance(beside).mean()), float(luminance(np.array(colour) / 255)))


def test_a_dark_picture_needs_no_scrim_and_keeps_its_pixels() -> None:
    dark = Image.new("RGB", (672, 384), (30, 30, 60))
    done = np.asarray(with_headline(dark, "A quiet lake"))
    assert (done[:, -20:] == (30, 30, 60)).all()
    assert (done == WHITE).all(axis=2).any()


def test_what_is_above_the_headline_stays_as_it_was() -> None:
    picture = noise(672, 672)
    done = np.asarray(with_headline(picture, "A quiet lake"))
    assert (done[:300] == np.asarray(picture)[:300]).all()


@pytest.mark.parametrize("size", [(1344, 768), (1536, 640), (1024, 1024), (768, 1344), (64, 64)])
def test_the_text_lies_within_the_margins_in_few_even_lines(size: tuple[int, int]) -> None:
    text = TEXT if size != (64, 64) else "A b c"
    setting = set_text(text, *size)
    margin = 0.06 * min(size)
    assert " ".join(setting.lines) == text
    assert len(setting.lines) <= 4
    assert setting.left >= margin
    assert setting.left + setting.width <= size[0] - margin + 1
    assert setting.top >= margin
    assert setting.top + setting.height <= size[1] - margin + 1
    if len(setting.lines) > 1:
        lengths = [len(line) for line in setting.lines]
        assert min(lengths) > 0.45 * max(lengths)


def test_a_long_headline_is_set_smaller() -> None:
    assert set_text(f"{TEXT} {TEXT}", 1344, 768).size < set_text("Lake", 1344, 768).size


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "text is empty"),
        (" \n ", "text is empty"),
        ("x" * (MAX_HEADLINE + 1), "shorten it to 200"),
        ("W" * 150, "do not fit on 512 x 512 pixels: shorten it."),
        ("A lake 湖 😀", "text has '湖😀', which the font has no letters for"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(InvalidRequest, match="text") as refused:
        with_headline(Image.new("RGB", (512, 512)), text)
    assert said in str(refused.value)


def test_letters_of_greek_cyrillic_and_all_of_latin_are_there() -> None:
    with_headline(Image.new("RGB", (512, 512)), "Příliš żółty ệ Ωμέγα Привет — “a”…")
