"""A supersampled drawing surface in units of the picture's height, with y downward."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from training.sketch.attributes import Color

SUPERSAMPLING = 3
Point = tuple[float, float]


def mix(a: Color, b: Color, share: float) -> Color:
    """`a` with `share` (0..1) of `b` in it."""
    return (
        int(a[0] + (b[0] - a[0]) * share),
        int(a[1] + (b[1] - a[1]) * share),
        int(a[2] + (b[2] - a[2]) * share),
    )


def scale(color: Color, factor: float) -> Color:
    """Lighter (factor > 1) or darker (factor < 1)."""
    r, g, b = (int(min(255, max(0, channel * factor))) for channel in color)
    return r, g, b


class Canvas:
    """Shapes are given relative to an origin and a zoom, both in picture heights."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.aspect = width / height
        self._unit = height * SUPERSAMPLING
        self._image = Image.new("RGB", (width * SUPERSAMPLING, self._unit))
        self._draw = ImageDraw.Draw(self._image)
        self._origin: Point = (0.0, 0.0)
        self._zoom = 1.0

    def place(self, origin: Point, zoom: float) -> None:
        """From here on coordinates are relative to `origin` and multiplied by `zoom`."""
        self._origin, self._zoom = origin, zoom

    def _point(self, x: float, y: float) -> Point:
        return (
            (self._origin[0] + x * self._zoom) * self._unit,
            (self._origin[1] + y * self._zoom) * self._unit,
        )

    def _box(self, x0: float, y0: float, x1: float, y1: float) -> tuple[float, float, float, float]:
        return (*self._point(x0, y0), *self._point(x1, y1))

    def _length(self, length: float) -> int:
        return max(1, round(length * self._zoom * self._unit))

    def gradient(self, top: Color, bottom: Color) -> None:
        """Fills everything from `top` to `bottom`."""
        height, width = self._image.height, self._image.width
        share = np.linspace(0.0, 1.0, height)[:, None]
        column = np.array(top) * (1 - share) + np.array(bottom) * share
        pixels: NDArray[np.uint8] = np.repeat(column[:, None, :], width, axis=1).astype(np.uint8)
        self._image.paste(Image.fromarray(pixels))

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Color) -> None:
        self._draw.ellipse(self._box(x - rx, y - ry, x + rx, y + ry), fill=fill)

    def ring(self, x: float, y: float, rx: float, ry: float, width: float, color: Color) -> None:
        self._draw.ellipse(self._box(x - rx, y - ry, x + rx, y + ry), outline=color, width=self._length(width))

    def polygon(self, points: Sequence[Point], fill: Color) -> None:
        self._draw.polygon([self._point(x, y) for x, y in points], fill=fill)

    def rectangle(self, x0: float, y0: float, x1: float, y1: float, fill: Color, radius: float = 0.0) -> None:
        self._draw.rounded_rectangle(self._box(x0, y0, x1, y1), radius=self._length(radius) if radius else 0, fill=fill)

    def chord(self, x0: float, y0: float, x1: float, y1: float, start: float, end: float, fill: Color) -> None:
        """Part of an ellipse cut off by a straight line; angles in degrees, clockwise from 3 o'clock."""
        self._draw.chord(self._box(x0, y0, x1, y1), start, end, fill=fill)

    def arc(
        self, x0: float, y0: float, x1: float, y1: float, start: float, end: float, width: float, color: Color
    ) -> None:
        self._draw.arc(self._box(x0, y0, x1, y1), start, end, fill=color, width=self._length(width))

    def line(self, points: Sequence[Point], width: float, color: Color) -> None:
        """A stroke with round joints and ends."""
        placed = [self._point(x, y) for x, y in points]
        self._draw.line(placed, fill=color, width=self._length(width), joint="curve")
        radius = self._length(width) / 2
        for x, y in (placed[0], placed[-1]):
            self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)

    def picture(self) -> Image.Image:
        return self._image.reduce(SUPERSAMPLING)
