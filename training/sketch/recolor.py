"""Recolours avatars in latents, and knows in which other colours a prompt could as well have had them.

Drawing is affine in the colours that are put on, and so is encoding. So the latents of one drawing in all black, and
how they change with each colour's red, green and blue, give the latents in any colours: fifteen numbers tell which.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from training.sketch import attributes as names
from training.sketch.attributes import Avatar, Color, apart, color_of, touching
from training.sketch.avatar import BALD_BROW, Palette, paint_avatar

SURFACES = ("skin", "hair", "clothes", "background", "hat_color")
PICTURES = 1 + 3 * len(SURFACES)
TINT = 5 / 255  # as the drawing program tints
# Drawn with other shades than the rest, which no affine function covers: these are left as they are.
SHADED: Mapping[str, tuple[str, ...]] = {
    "clothes": ("black", "white"),
    "background": ("white",),
    "hat_color": ("black",),
}
VALUES: Mapping[str, tuple[str, ...]] = {
    "skin": names.SKINS,
    "hair": names.HAIRS,
    "clothes": names.CLOTHES,
    "background": names.BACKGROUNDS,
    "hat_color": names.HAT_COLORS,
}
Choices = dict[str, tuple[str, ...]]


def basis(avatar: Avatar) -> list[Image.Image]:
    """The drawing in black, then with one of the fifteen numbers at its most, 256x256 each."""
    black = Palette(**dict.fromkeys(SURFACES, (0, 0, 0)))
    full: tuple[Color, ...] = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
    changed = [replace(black, **{surface: color}) for surface in SURFACES for color in full]
    return [paint_avatar(avatar, colors, 256, 256) for colors in (black, *changed)]


def choices(avatar: Avatar, free: frozenset[str]) -> Choices:
    """For each surface the values it may take when those in `free` may change."""
    found: Choices = {}
    for surface in SURFACES:
        now, shaded = getattr(avatar, surface), SHADED.get(surface, ())
        hidden = now == "none" or (surface == "hat_color" and avatar.hat not in ("cap", "beanie"))
        kept = surface not in free or hidden or now in shaded
        # Unsaid, hair is of a natural colour: captions always say another one.
        values = names.NATURAL_HAIRS if surface == "hair" and now in names.NATURAL_HAIRS else VALUES[surface]
        found[surface] = (now,) if kept else tuple(value for value in values if value not in shaded)
    return found


def combinations(avatar: Avatar, found: Choices) -> NDArray[np.int64]:
    """Places in `found` of all combinations whose surfaces can be told apart, (m, 5)."""
    fits = np.ones([len(found[surface]) for surface in SURFACES], bool)
    for a, b in touching(avatar):
        # A crown is of one colour.
        held = [found.get(surface, ("yellow",)) for surface in (a, b)]
        table = np.array([[apart((a, x), (b, y)) for y in held[1]] for x in held[0]])
        shape = [1] * len(SURFACES)
        for surface, count in zip((a, b), table.shape, strict=True):
            if surface in SURFACES:
                shape[SURFACES.index(surface)] = count
        ordered = table if a not in SURFACES or b not in SURFACES or _in_order(a, b) else table.T
        fits &= ordered.reshape(shape)
    return np.argwhere(fits)


def _in_order(a: str, b: str) -> bool:
    return SURFACES.index(a) < SURFACES.index(b)


def numbers(found: Choices, places: NDArray[np.int64]) -> Tensor:
    """The fifteen numbers, 0..1, of each combination, (m, 15)."""
    columns = {
        surface: np.array([color_of(surface, value) for value in found[surface]], np.float32)[places[:, i]] / 255
        for i, surface in enumerate(SURFACES)
        if found[surface] != ("none",)
    }
    columns.setdefault("hair", columns["skin"] * BALD_BROW)
    return torch.from_numpy(np.concatenate([columns[surface] for surface in SURFACES], 1))


@dataclass(frozen=True)
class Colorings:
    """What one shape could look like: `black` (32, 16, 16), `change` (15, 32, 16, 16), `options` (m, 15)."""

    black: Tensor
    change: Tensor
    options: Tensor

    def expected(self, noisy: Tensor, signal: Tensor) -> Tensor:
        """The mean of all options, each as likely as `noisy` (32, 16, 16) makes it; `signal`: alpha bar, 0..1."""
        flat = self.change.flatten(1)
        fit = flat @ (signal.sqrt() * noisy - signal * self.black).flatten()
        far = signal * (self.options @ (flat @ flat.T) * self.options).sum(1) - 2 * self.options @ fit
        share = torch.softmax(-far / (2 * (1 - signal)), 0)
        return self.latents(share @ self.options)

    def latents(self, colors: Tensor) -> Tensor:
        """Of the drawing in these fifteen numbers."""
        return self.black + torch.einsum("k,kchw->chw", colors, self.change)


def recolored(avatar: Avatar, rng: random.Random) -> Avatar:
    """The same person in colours drawn by lot."""
    found = choices(avatar, frozenset(SURFACES))
    places = combinations(avatar, found)
    row = places[rng.randrange(len(places))]
    values: dict[str, Any] = {surface: found[surface][place] for surface, place in zip(SURFACES, row, strict=True)}
    return replace(avatar, **values)


def colorings(
    avatar: Avatar, stored: NDArray[np.float16], said: frozenset[str], rng: random.Random
) -> tuple[Tensor, Colorings]:
    """Latents of `avatar`, tinted by lot, and what they could be as well where the words have `said` only so much.

    `stored` (16, 32, 16, 16): the latents of `basis`.
    """
    pictures = torch.from_numpy(stored.astype(np.float32))
    tint = torch.tensor([rng.uniform(-TINT, TINT) for _ in range(3 * len(SURFACES))])
    found = choices(avatar, frozenset(SURFACES) - said)
    places = combinations(avatar, found)
    held = np.array([[found[surface].index(getattr(avatar, surface)) for surface in SURFACES]])
    possible = Colorings(pictures[0], pictures[1:] - pictures[0], numbers(found, places) + tint)
    return possible.latents(numbers(found, held)[0] + tint), possible
