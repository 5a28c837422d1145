"""Draws an avatar: a large friendly head, because what is small does not survive the latent (16 px a cell)."""

import math
import random
from dataclasses import dataclass

from PIL import Image

from training.sketch.attributes import COLORS, SKIN_COLORS, Avatar, Color
from training.sketch.canvas import Canvas, mix, scale

WHITE: Color = (255, 255, 255)
INK: Color = (46, 38, 44)
GOLD: Color = (248, 202, 60)
FACE_W, FACE_H = 0.215, 0.265  # half the face, in picture heights
EYE_X, EYE_Y = 0.098, 0.0
MOUTH_Y = 0.15
BALD_BROW = 0.55  # of the skin's colour


def _tint(color: Color, rng: random.Random, amount: float = 5.0) -> Color:
    r, g, b = (int(min(255, max(0, c + rng.uniform(-amount, amount)))) for c in color)
    return r, g, b


@dataclass(frozen=True)
class Palette:
    """The colours of one drawing, as they are put on."""

    skin: Color
    hair: Color
    clothes: Color
    background: Color
    hat_color: Color


def palette(avatar: Avatar, rng: random.Random) -> Palette:
    """The colours that the record names; `rng` decides small differences of tint."""
    skin = _tint(SKIN_COLORS[avatar.skin], rng, 4)
    return Palette(
        skin=skin,
        hair=_tint(COLORS[avatar.hair], rng) if avatar.hair != "none" else scale(skin, BALD_BROW),
        clothes=_tint(COLORS[avatar.clothes], rng),
        background=_tint(COLORS[avatar.background], rng),
        hat_color=_tint(COLORS[avatar.hat_color], rng),
    )


def draw_avatar(avatar: Avatar, rng: random.Random, width: int, height: int) -> Image.Image:
    """The picture of `avatar`; `rng` decides small differences of tint."""
    return paint_avatar(avatar, palette(avatar, rng), width, height)


def paint_avatar(avatar: Avatar, colors: Palette, width: int, height: int) -> Image.Image:
    """The picture of `avatar` in these colours. Every pixel is an affine function of them: `recolor` relies on it."""
    canvas = Canvas(width, height)
    skin, hair, clothes = colors.skin, colors.hair, colors.clothes
    _background(canvas, avatar, colors.background)
    # Always at one place: a small model spends what it has on faces, not on where their edges cross its latent cells.
    canvas.place((canvas.aspect / 2, 0.475), 1.0)
    _back_hair(canvas, avatar, hair)
    _body(canvas, avatar, skin, clothes)
    for side in (-1, 1):
        canvas.ellipse(side * (FACE_W + 0.004), 0.03, 0.042, 0.055, scale(skin, 0.86))
    canvas.rectangle(-FACE_W, -FACE_H, FACE_W, FACE_H, skin, radius=0.2)
    _cheeks(canvas, avatar, skin)
    _beard(canvas, avatar, skin, hair)
    _front_hair(canvas, avatar, hair)
    _eyes(canvas, avatar, hair)
    canvas.line([(0.004, 0.045), (0.02, 0.085), (-0.008, 0.09)], 0.014, scale(skin, 0.76))
    _mouth(canvas, avatar)
    _glasses(canvas, avatar)
    _hat(canvas, avatar, colors.hat_color)
    return canvas.picture()


def _background(canvas: Canvas, avatar: Avatar, color: Color) -> None:
    pattern = avatar.pattern
    # A white background is patterned darker, any other lighter, by so little that its colour keeps its name.
    second = scale(color, 0.9) if avatar.background == "white" else mix(color, WHITE, 0.17)
    canvas.place((canvas.aspect / 2, 0.48), 1.0)
    canvas.gradient(*((second, scale(color, 0.86)) if pattern == "gradient" else (color, color)))
    if pattern == "circle":
        canvas.ellipse(0, 0, 0.43, 0.43, second)
    if pattern == "rays":
        for i in range(8):
            start = math.tau * i / 8
            spread = [(2 * math.cos(a), 2 * math.sin(a)) for a in (start, start + math.tau / 16)]
            canvas.polygon([(0, 0), *spread], second)


def _back_hair(canvas: Canvas, avatar: Avatar, hair: Color) -> None:
    if avatar.style == "long":
        canvas.rectangle(-FACE_W - 0.085, -0.31, FACE_W + 0.085, 0.45, scale(hair, 0.9), radius=0.17)
    if avatar.style == "bun":
        canvas.ellipse(0, -0.335, 0.115, 0.105, hair)
    if avatar.style == "curly":
        for i in range(11):
            angle = math.pi * (0.86 + 1.28 * i / 10)
            canvas.ellipse(math.cos(angle) * (FACE_W + 0.045), math.sin(angle) * 0.25 - 0.055, 0.095, 0.09, hair)


def _body(canvas: Canvas, avatar: Avatar, skin: Color, clothes: Color) -> None:
    dark = mix(clothes, WHITE, 0.16) if avatar.clothes == "black" else scale(clothes, 0.8)
    if avatar.outfit == "hoodie":
        canvas.rectangle(-0.24, 0.25, 0.24, 0.6, dark, radius=0.13)
    canvas.rectangle(-0.42, 0.335, 0.42, 0.95, clothes, radius=0.2)
    canvas.rectangle(-0.092, 0.15, 0.092, 0.38, scale(skin, 0.84), radius=0.08)
    canvas.ellipse(0, 0.35, 0.125, 0.055, scale(skin, 0.84))
    if avatar.outfit == "collar":
        for side in (-1, 1):
            canvas.polygon([(side * 0.12, 0.315), (0, 0.41), (side * 0.075, 0.475), (side * 0.18, 0.36)], dark)
    if avatar.outfit == "hoodie":
        for side in (-1, 1):
            canvas.line(
                [(side * 0.06, 0.395), (side * 0.06, 0.5)],
                0.02,
                dark if avatar.clothes == "white" else mix(clothes, WHITE, 0.75),
            )


def _cheeks(canvas: Canvas, avatar: Avatar, skin: Color) -> None:
    if avatar.beard != "beard":
        for side in (-1, 1):
            canvas.ellipse(side * 0.14, 0.1, 0.042, 0.03, mix(skin, (236, 104, 100), 0.3))


def _beard(canvas: Canvas, avatar: Avatar, skin: Color, hair: Color) -> None:
    color = scale(hair, 0.88) if avatar.style != "bald" else mix(scale(skin, 0.4), INK, 0.3)
    if avatar.beard == "beard":
        canvas.rectangle(-FACE_W, -0.02, FACE_W, FACE_H + 0.03, color, radius=0.18)
        canvas.rectangle(-FACE_W + 0.03, -0.1, FACE_W - 0.03, 0.1, skin, radius=0.06)
        canvas.rectangle(-FACE_W, -0.1, FACE_W, 0.035, skin)
        canvas.ellipse(0, MOUTH_Y + 0.02, 0.128, 0.088, skin)
    if avatar.beard == "moustache":
        for side in (-1, 1):
            canvas.polygon(
                [
                    (0, 0.088),
                    (side * 0.07, 0.072),
                    (side * 0.14, 0.115),
                    (side * 0.175, 0.08),
                    (side * 0.155, 0.15),
                    (side * 0.07, 0.14),
                    (0, 0.118),
                ],
                color,
            )


def _front_hair(canvas: Canvas, avatar: Avatar, hair: Color) -> None:
    wide = FACE_W + 0.018
    if avatar.style == "short":
        canvas.chord(-wide, -FACE_H - 0.065, wide, 0.16, 180, 360, hair)
        canvas.polygon(
            [
                (-wide, -0.09),
                (wide, -0.09),
                (wide, 0.055),
                (wide - 0.05, 0.055),
                (wide - 0.055, -0.07),
                (-0.02, -0.125),
                (-wide + 0.055, -0.06),
                (-wide + 0.05, 0.055),
                (-wide, 0.055),
            ],
            hair,
        )
    if avatar.style in ("long", "bun"):
        canvas.chord(-wide, -FACE_H - 0.05, wide, 0.2, 180, 360, hair)
        for side in (-1, 1):  # a parting shows the forehead
            canvas.polygon(
                [
                    (0, -0.22),
                    (side * wide, -0.05),
                    (side * wide, 0.05 if avatar.style == "long" else -0.02),
                    (side * (wide - 0.05), -0.07),
                ],
                hair,
            )
    if avatar.style == "curly":
        for i in range(7):
            angle = math.pi * (1.06 + 0.88 * i / 6)
            canvas.ellipse(math.cos(angle) * (FACE_W - 0.02), math.sin(angle) * 0.2 - 0.06, 0.08, 0.07, hair)
    if avatar.style == "spiky":
        points = [(-wide, 0.0), (-wide - 0.02, -0.14)]
        for i in range(5):
            x = wide * (2 * i / 4 - 1)
            points += [(x * 1.12, -0.335 - 0.075 * math.cos(x / wide * 1.3)), (x + wide / 4, -0.235)]
        canvas.polygon(
            [*points[:-1], (wide + 0.02, -0.14), (wide, 0.0), (wide - 0.03, -0.12), (0, -0.155), (-wide + 0.03, -0.12)],
            hair,
        )


def _eyes(canvas: Canvas, avatar: Avatar, hair: Color) -> None:
    wide_open = avatar.expression == "surprised"
    brow_y = -0.105 - (0.045 if wide_open else 0.0)
    slope = {"sad": 0.04, "surprised": 0.0}.get(avatar.expression, 0.004)
    brow = mix(scale(hair, 0.62), INK, 0.25)
    for side in (-1, 1):
        canvas.ellipse(side * EYE_X, EYE_Y, 0.05, 0.056 if wide_open else 0.044, WHITE)
        canvas.ellipse(side * EYE_X, EYE_Y + 0.004, 0.027, 0.031, INK)
        canvas.ellipse(side * EYE_X + 0.01, EYE_Y - 0.009, 0.009, 0.009, WHITE)
        canvas.line(
            [(side * 0.052, brow_y - slope), (side * 0.145, brow_y + slope)],
            0.03 if avatar.gender == "man" else 0.022,
            brow,
        )
        if avatar.gender == "woman":
            canvas.line([(side * 0.135, EYE_Y - 0.022), (side * 0.168, EYE_Y - 0.05)], 0.016, INK)


def _mouth(canvas: Canvas, avatar: Avatar) -> None:
    lip: Color = (200, 56, 74) if avatar.gender == "woman" else (146, 56, 56)
    y = MOUTH_Y
    if avatar.expression == "smiling":
        canvas.chord(-0.125, y - 0.1, 0.125, y + 0.095, 6, 174, lip)
        canvas.chord(-0.102, y - 0.092, 0.102, y + 0.042, 8, 172, WHITE)
    elif avatar.expression == "neutral":
        canvas.rectangle(-0.085, y, 0.085, y + 0.03, lip, radius=0.015)
    elif avatar.expression == "sad":
        canvas.arc(-0.1, y - 0.015, 0.1, y + 0.145, 195, 345, 0.034, lip)
    else:
        canvas.ellipse(0, y + 0.025, 0.062, 0.074, lip)
        canvas.ellipse(0, y + 0.027, 0.04, 0.052, scale(lip, 0.5))


def _glasses(canvas: Canvas, avatar: Avatar) -> None:
    dark: Color = (34, 32, 40)
    if avatar.glasses == "none":
        return
    canvas.line([(-0.03, EYE_Y - 0.012), (0.03, EYE_Y - 0.012)], 0.018, dark)
    for side in (-1, 1):
        canvas.line([(side * 0.17, EYE_Y - 0.012), (side * FACE_W, EYE_Y - 0.025)], 0.018, dark)
        if avatar.glasses == "sun":
            canvas.rectangle(side * 0.103 - 0.08, EYE_Y - 0.06, side * 0.103 + 0.08, EYE_Y + 0.065, dark, radius=0.05)
            canvas.line([(side * 0.103 - 0.035, EYE_Y + 0.015), (side * 0.103, EYE_Y - 0.03)], 0.014, (120, 124, 142))
        else:
            canvas.ring(side * 0.103, EYE_Y, 0.08, 0.08, 0.018, dark)


def _hat(canvas: Canvas, avatar: Avatar, color: Color) -> None:
    dark = mix(color, WHITE, 0.2) if avatar.hat_color == "black" else scale(color, 0.76)
    wide = FACE_W + 0.03
    if avatar.hat == "cap":
        canvas.chord(-wide, -FACE_H - 0.12, wide, 0.14, 180, 360, color)
        canvas.rectangle(-wide - 0.01, -0.155, wide + 0.11, -0.11, dark, radius=0.022)
    if avatar.hat == "beanie":
        canvas.ellipse(0, -0.395, 0.06, 0.055, mix(color, WHITE, 0.65))
        canvas.chord(-wide, -FACE_H - 0.125, wide, 0.12, 180, 360, color)
        canvas.rectangle(-wide - 0.02, -0.195, wide + 0.02, -0.105, dark, radius=0.035)
    if avatar.hat == "crown":
        canvas.polygon(
            [
                (-0.2, -0.185),
                (-0.225, -0.385),
                (-0.11, -0.29),
                (0, -0.42),
                (0.11, -0.29),
                (0.225, -0.385),
                (0.2, -0.185),
            ],
            GOLD,
        )
        for x in (-0.12, 0.0, 0.12):
            canvas.ellipse(x, -0.232, 0.022, 0.022, (208, 52, 66))
