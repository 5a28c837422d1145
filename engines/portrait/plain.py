"""What a mask misses of somebody before a plain background: long hair of drawings, hats, what somebody holds.

The model was made for photographs and knows no blue hair. Where the picture's sides have one colour, what has another
one and touches the person belongs to her.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.portrait.tflite import Numbers

SIDE = 1 / 20
"""How wide the sides are that are looked at (left, right, above), of the picture."""

ALIKE = 0.12
"""Distance of colours (0 to 1 in each channel) within which they are one, for the sides to be plain."""

OTHER = (0.22, 0.36)
"""Distances below which a colour is the ground's, and beyond which it is not: further, for shadows and soft lights."""

PLAIN = 0.97
"""Share of the sides that must be of one colour."""

BLOCK = 2
"""Pixels that are looked at as one while what touches the person is followed, for the time that it takes."""


def completed(small: Numbers, mask: Numbers) -> Numbers:
    """The mask with what it misses. `small`: the picture at the mask's size, (height, width, 3) from 0 to 1."""
    height, width = mask.shape
    deep, wide = max(1, round(SIDE * height)), max(1, round(SIDE * width))
    sides = np.zeros(mask.shape, bool)
    sides[:deep] = sides[:, :wide] = sides[:, -wide:] = True
    sides &= mask < 0.05
    if not sides.any():
        return mask
    ground = np.median(small[sides], axis=0)
    away = np.sqrt(((small - ground) ** 2).sum(axis=2))
    if (away[sides] < ALIKE).mean() < PLAIN:
        return mask
    other = np.clip((away - OTHER[0]) / (OTHER[1] - OTHER[0]), 0, 1)
    touching = _reached(mask[::BLOCK, ::BLOCK] > 0.5, other[::BLOCK, ::BLOCK] > 0.5)
    near = np.kron(_grown(touching), np.ones((BLOCK, BLOCK), bool))[:height, :width]
    found: Numbers = np.maximum(mask, other * near).astype(np.float32)
    return found


def _reached(start: NDArray[np.bool_], through: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What is connected with `start` by steps through `through`."""
    reached, count = start, -1
    while (now := int(reached.sum())) != count:
        count = now
        reached = reached | (_grown(reached) & through)
    return reached


def _grown(area: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """With its neighbours on all four sides."""
    grown = area.copy()
    grown[1:] |= area[:-1]
    grown[:-1] |= area[1:]
    grown[:, 1:] |= area[:, :-1]
    grown[:, :-1] |= area[:, 1:]
    return grown
