"""From a rough mask to the soft edge of hair: at the picture's own size, and without the old background's colour in it.

Masks are arrays of the shape (height, width): 1 where somebody is, 0 where nobody is. What is computed of a picture is
of the shape (channels, height, width), with values from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engines.portrait.tflite import Numbers

Pixels = NDArray[np.floating[Any]]

WORK_SIDE = 256
"""Pixels of the longer side at which the filter's coefficients and the blurs are computed, as of the mask: they are
smooth, unlike what comes of them."""

RADIUS = 1 / 40
"""Of the filter's window, of the longer side: about as far as a mask of 256 pixels is off at hair."""

EPSILON = 1e-4
"""Variance of colours (0 to 1) below which the filter takes a window for one thing."""

DOUBT = 0.2
"""What the model gives less than this is nobody, and what it gives more than the rest is somebody: in between is an
edge, or something that it does not know."""

VEIL = 0.1
"""What the filter leaves of the mask below this, or of the rest above, is a veil and no hair."""

INSIDE = 0.9
"""Share of the filter's window from which on a pixel is taken to be inside of a person."""

FAR, NEAR = 1 / 12, 1 / 170
"""How far around colours of the person and of the background are looked for, of the longer side: first far, so that
there are some everywhere, then near."""

BILINEAR = Image.Resampling.BILINEAR


def refined(picture: Image.Image, mask: Numbers) -> Numbers:
    """A mask of any size at the size of the picture (RGB), with the picture's edges.

    K. He, J. Sun, X. Tang: Guided Image Filtering (ECCV 2010; equations 19 to 21 for a guide in colour), as they made
    it fast in arXiv:1505.00996: the coefficients are those of a smaller picture.
    """
    size = _work_size(picture)
    guide = _planes(picture.resize(size, BILINEAR))
    rough = np.clip((_scaled(mask, size) - DOUBT) / (1 - 2 * DOUBT), 0, 1)
    radius = max(1, round(RADIUS * max(size)))
    *slope, offset = _coefficients(guide, rough, radius)
    alpha = _scaled(offset, picture.size).copy()
    for channel, factor in enumerate(slope):
        alpha += _scaled(factor / 255, picture.size) * np.asarray(picture.getchannel(channel))
    # Where the mask has nobody else around, a colour of the background is one of the person's.
    [around] = _blurred([rough], radius)
    inside = _scaled(np.clip((around - INSIDE) / (1 - INSIDE), 0, 1), picture.size)
    found: Numbers = np.maximum(np.clip((alpha - VEIL) / (1 - 2 * VEIL), 0, 1), inside)
    return found


def cleaned(picture: Image.Image, alpha: Numbers) -> NDArray[np.uint8]:
    """The picture (RGB) with the person's own colours where the old background shines through: the shape is (height,
    width, 3).

    M. Forte: Approximate Fast Foreground Colour Estimation (ICIP 2021), with both blurs at a smaller size.
    """
    size = _work_size(picture)
    small, share = _planes(picture.resize(size, BILINEAR)), _scaled(alpha, size)
    person = rest = small
    for around in (FAR, NEAR):
        radius = max(1, round(around * max(size)))
        person, rest = _spread(person, share, radius), _spread(rest, 1 - share, radius)
        person = np.clip(person + share * (small - share * person - (1 - share) * rest), 0, 1)
    done = np.array(picture)
    edge = (alpha > 0) & (alpha < 1)
    own, other = (_picture(colours).resize(picture.size, BILINEAR) for colours in (person, rest))
    own_there, other_there = np.asarray(own)[edge].astype(np.float32), np.asarray(other)[edge].astype(np.float32)
    part = alpha[edge][:, None]
    mixed = own_there + part * (done[edge] - part * own_there - (1 - part) * other_there)
    done[edge] = np.clip(mixed, 0, 255).round().astype(np.uint8)
    return done


def _coefficients(guide: Pixels, mask: Pixels, radius: int) -> Pixels:
    """With which mask = slope * guide + offset in each window, in least squares: three planes of slope, then offset."""
    red, green, blue = guide
    products = (red * red, red * green, red * blue, green * green, green * blue, blue * blue)
    means = _blurred([*guide, mask, *(guide * mask), *products], radius)
    mean, level, together, squares = means[:3], means[3], means[4:7], means[7:]
    to_red, to_green, to_blue = together - mean * level
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    rr, rg, rb, gg, gb, bb = (
        square - mean[one] * mean[other] + (EPSILON if one == other else 0.0)
        for square, (one, other) in zip(squares, pairs, strict=True)
    )
    # Cramer's rule: LAPACK would take five times as long for so many matrices of 3 x 3.
    a, b, c = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
    d, e, f = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
    whole = rr * a + rg * b + rb * c
    slope = (
        (a * to_red + b * to_green + c * to_blue) / whole,
        (b * to_red + d * to_green + e * to_blue) / whole,
        (c * to_red + e * to_green + f * to_blue) / whole,
    )
    offset = level - slope[0] * mean[0] - slope[1] * mean[1] - slope[2] * mean[2]
    return _blurred([*slope, offset], radius)


def _spread(colours: Pixels, share: Pixels, radius: int) -> Pixels:
    """The mean of the colours around each pixel, each as much as its share."""
    means = _blurred([*(colours * share), share], radius)
    spread: Pixels = means[:3] / np.maximum(means[3], 1e-4)
    return spread


def _blurred(planes: Iterable[Pixels], radius: int) -> Pixels:
    """The mean of a square window around each pixel of each plane; at the sides, what is there is repeated."""
    size = 2 * radius + 1
    # In double precision, since sums of whole rows, and then squares, are taken from each other.
    sums = np.cumsum(np.pad(np.stack(list(planes)), ((0, 0), (radius + 1, radius), (0, 0)), "edge"), 1, np.float64)
    rows = (sums[:, size:] - sums[:, :-size]) / size
    sums = np.cumsum(np.pad(rows, ((0, 0), (0, 0), (radius + 1, radius)), "edge"), 2)
    means: Pixels = (sums[:, :, size:] - sums[:, :, :-size]) / size
    return means


def _work_size(picture: Image.Image) -> tuple[int, int]:
    """Width and height."""
    factor = min(1.0, WORK_SIDE / max(picture.size))
    return max(1, round(picture.width * factor)), max(1, round(picture.height * factor))


def _planes(picture: Image.Image) -> Pixels:
    return np.asarray(picture, np.float32).transpose(2, 0, 1) / 255


def _picture(colours: Pixels) -> Image.Image:
    return Image.fromarray((colours.transpose(1, 2, 0) * 255).round().astype(np.uint8))


def _scaled(values: Pixels, size: tuple[int, int]) -> Numbers:
    """Linear between pixels; the mean of all that lie below one where it is made smaller. `size`: width and height."""
    return np.asarray(Image.fromarray(values.astype(np.float32)).resize(size, BILINEAR))
