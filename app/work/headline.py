"""A headline laid over a picture: set to fit, and readable on whatever is below it.

Readable means WCAG 2.2's contrast of 4.5 (success criterion 1.4.3, AA, text of any size) for every pixel behind the
text. Where the picture has less, a scrim, which is strongest there and fades away, gives what is missing and no more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from engines.errors import InvalidRequest
from engines.words import shown

MAX_HEADLINE = 200
"""Characters. A title of a post has up to 120; more is no headline."""

CONTRAST = 4.5
SPARE = 0.15
"""Contrast beyond that, for what rounding to 8 bits, and JPEG and WebP, take away again."""

MARGIN = 0.065
"""Around the text, of the shorter side: what phones and players cover stays free."""

LARGEST, SMALLEST = 0.115, 0.042
"""Height of the letters, of the shorter side."""

MAX_LINES = 4
LINE = 1.16
"""From line to line, of the letters' height."""

FADE = 0.9
"""How far the scrim fades beyond the text, of the text's height."""

STRONGER_BY = 0.04
"""A scrim is preferred dark, as pictures with white letters are known: light only where it needs this much less."""

WHITE, INK = (255, 255, 255), (20, 17, 15)
FONT = Path(__file__).parent / "fonts" / "inter-variable.woff2"
OPTICAL_SIZE, WEIGHT = 32, 720
TRACKING = -0.018
"""Of the letters' height: large type is set tighter."""

Pixels = NDArray[np.float64]

WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
"""Of red, green and blue in a relative luminance (sRGB, ITU-R BT.709)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where the lines stand. `left` and `top`: pixels, of the first line's letters."""

    lines: tuple[str, ...]
    size: int
    left: int
    top: int
    width: int
    height: int


def with_headline(picture: Image.Image, text: str) -> Image.Image:
    """The picture with the headline at its foot, in RGB, of the same size.

    Raises InvalidRequest for a text that is empty, too long to be read there, or has letters that the font lacks.
    """
    text = " ".join(text.split())
    _check(text)
    base = picture.convert("RGB")
    setting = set_text(text, base.width, base.height)
    colour, pixels = _readable(np.asarray(base), setting)
    done = Image.fromarray(pixels)
    draw = ImageDraw.Draw(done)
    font = _font(setting.size)
    for number, line in enumerate(setting.lines):
        _draw_line(draw, setting.left, setting.top + round(number * setting.size * LINE), line, font, colour)
    return done


def set_text(text: str, width: int, height: int) -> Setting:
    """The largest letters in which the text fits in few lines, the lines about as long as each other.

    Raises InvalidRequest where even the smallest are too large.
    """
    short = min(width, height)
    margin = math.ceil(short * MARGIN)
    room = width - 2 * margin
    smallest = max(1, round(short * SMALLEST))
    for size in range(max(smallest, round(short * LARGEST)), smallest - 1, -1):
        font = _font(size)
        lines = _wrapped(text, font, room)
        tall = round(((len(lines) - 1) * LINE + 1) * size)
        if lines and len(lines) <= MAX_LINES and tall <= height - 2 * margin:
            lines = _balanced(text, font, room, len(lines))
            wide = max(math.ceil(_length(line, font)) for line in lines)
            return Setting(lines, size, margin, height - margin - tall, wide, tall)
    raise InvalidRequest(
        "text", f"text has {len(text)} characters, which do not fit on {width} x {height} pixels: shorten it."
    )


def contrast(one: float, other: float) -> float:
    """WCAG's ratio of two relative luminances, 1 to 21."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def luminance(pixels: Pixels) -> Pixels:
    """WCAG's relative luminance, 0 to 1, of sRGB values from 0 to 1 in the last axis."""
    weighted: Pixels = _linear(pixels) @ WEIGHTS
    return weighted


def _linear(values: Pixels) -> Pixels:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _check(text: str) -> None:
    if not text:
        raise InvalidRequest("text", "text is empty: write what the picture should say.")
    if len(text) > MAX_HEADLINE:
        raise InvalidRequest("text", f"text has {len(text)} characters: shorten it to {MAX_HEADLINE} or fewer.")
    font = _font(24)
    unknown = bytes(font.getmask("\U0010fffd"))
    lacking = sorted({char for char in text if char != " " and bytes(font.getmask(char)) == unknown})
    if lacking:
        raise InvalidRequest(
            "text",
            f"text has {shown(''.join(lacking), 40)}, which the font has no letters for: it writes Latin, Greek and "
            "Cyrillic. Leave them out.",
        )


def _font(size: int) -> ImageFont.FreeTypeFont:
    # The plain layout: the other one needs a library that not every Pillow has, and would set differently with it.
    font = ImageFont.truetype(FONT, size, layout_engine=ImageFont.Layout.BASIC)
    font.set_variation_by_axes([OPTICAL_SIZE, WEIGHT])
    return font


def _length(line: str, font: ImageFont.FreeTypeFont) -> float:
    return font.getlength(line) + TRACKING * font.size * max(len(line) - 1, 0)


def _wrapped(text: str, font: ImageFont.FreeTypeFont, room: float) -> tuple[str, ...]:
    """As many words a line as there is room for; nothing where a word is wider than that."""
    lines: list[str] = []
    for word in text.split():
        if _length(word, font) > room:
            return ()
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _length(longer, font) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return tuple(lines)


def _balanced(text: str, font: ImageFont.FreeTypeFont, room: float, count: int) -> tuple[str, ...]:
    """The same number of lines in the least width: no last line of one word."""
    low, high = 0.0, room
    while high - low > 1:
        middle = (low + high) / 2
        lines = _wrapped(text, font, middle)
        low, high = (low, middle) if lines and len(lines) <= count else (middle, high)
    return _wrapped(text, font, high)


def _draw_line(
    draw: ImageDraw.ImageDraw,
    left: float,
    top: float,
    line: str,
    font: ImageFont.FreeTypeFont,
    colour: tuple[int, int, int],
) -> None:
    """Letter by letter, since Pillow has no tracking; with each pair's kerning."""
    cap = font.getbbox("H", anchor="ls")
    baseline = top + font.size / 2 + (cap[3] - cap[1]) / 2
    for at, char in enumerate(line):
        # The length up to here includes the kerning with the letter before.
        before = _length(line[: at + 1], font) - font.getlength(char)
        draw.text((left + before, baseline), char, colour, font, anchor="ls")


def _readable(pixels: NDArray[np.uint8], setting: Setting) -> tuple[tuple[int, int, int], NDArray[np.uint8]]:
    """The letters' colour, and the picture under the scrim that they need."""
    # Letters with descenders and their soft edges reach a little beyond their lines.
    pad = math.ceil(setting.size * 0.3)
    behind = pixels[
        max(setting.top - pad, 0) : setting.top + setting.height + pad,
        max(setting.left - pad, 0) : setting.left + setting.width + pad,
    ]
    needed = {colour: _strength(behind, scrim, colour) for colour, scrim in ((WHITE, INK), (INK, WHITE))}
    dark = needed[WHITE] <= needed[INK] + STRONGER_BY
    colour, scrim = (WHITE, INK) if dark else (INK, WHITE)
    alpha = (_scrim(pixels.shape[0], setting) * needed[colour])[:, None, None]
    below = pixels * (1 - alpha) + np.array(scrim, dtype=np.float32) * alpha
    return colour, below.round().astype(np.uint8)


def _strength(behind: NDArray[np.uint8], scrim: tuple[int, int, int], colour: tuple[int, int, int]) -> float:
    """The least share of scrim, 0 to 1, with which every pixel has the contrast."""
    letters = float(luminance(np.array(colour) / 255))

    def enough(share: float) -> bool:
        # A table for each channel, since a picture has many more pixels than a channel has values.
        values = np.arange(256)[:, None] * (1 - share) + np.array(scrim) * share
        tables = (_linear(values / 255) * WEIGHTS).astype(np.float32)
        lights = sum(tables[behind[..., channel], channel] for channel in range(3))
        nearest = float(np.min(lights)) if letters < 0.2 else float(np.max(lights))
        return contrast(nearest, letters) >= CONTRAST + SPARE

    low, high = 0.0, 1.0
    if enough(0):
        return 0.0
    while high - low > 1 / 256:
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _scrim(height: int, setting: Setting) -> Pixels:
    """Its share of each row, 0 to 1: whole behind the text and below, faded out above as the eye takes it for even."""
    start = setting.top - setting.size * 0.45
    fade = max(setting.height * FADE, setting.size * 2.0)
    rows = np.clip((np.arange(height) - (start - fade)) / fade, 0, 1)
    smooth: Pixels = rows * rows * (3 - 2 * rows)
    return smooth
