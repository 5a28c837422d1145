"""Draws a landscape at any aspect ratio, in flat layers from the sky to the foreground."""

import math
import random
from collections.abc import Callable

from PIL import Image

from training.sketch.attributes import COLORS, Color, Scene
from training.sketch.canvas import Canvas, mix, scale

WHITE: Color = (255, 255, 255)
SKIES: dict[str, tuple[Color, Color]] = {
    "sunrise": ((246, 168, 158), (255, 232, 180)),
    "day": ((92, 176, 240), (206, 236, 252)),
    "sunset": ((110, 58, 142), (252, 134, 70)),
    "night": ((16, 20, 56), (46, 56, 116)),
}
# The light that falls on everything, and how much of it.
LIGHTS: dict[str, tuple[Color, float]] = {
    "sunrise": ((255, 206, 176), 0.2),
    "day": (WHITE, 0.0),
    "sunset": ((232, 110, 104), 0.32),
    "night": ((44, 54, 116), 0.58),
}
NATURAL: dict[str, Color] = {
    "mountains": (98, 114, 156),
    "city": (78, 92, 130),
    "sea": (226, 84, 66),
    "forest": (48, 126, 78),
    "desert": (232, 176, 100),
    "space": (220, 158, 92),
    "hills": (116, 188, 86),
}
Shade = Callable[[Color], Color]


def draw_scene(scene: Scene, rng: random.Random, width: int, height: int) -> Image.Image:
    """The picture of `scene`; `rng` decides, thing by thing, how large each is and whether it is there.

    Every thing has its place, and each is decided for itself. The denoiser sees a few cells at a time and hardly knows
    where it is: of a moon that could be anywhere it drew two, and of whole compositions a blend.
    """
    canvas = Canvas(width, height)
    light, amount = LIGHTS[scene.time]
    color = NATURAL[scene.scene] if scene.accent == "none" else COLORS[scene.accent]

    def shade(base: Color) -> Color:
        return mix(base, light, amount)

    # Of its own for the land, so that the hour changes nothing but the light on it.
    land = random.Random(rng.random())
    _sky(canvas, scene, rng)
    _PAINTERS[scene.scene](canvas, land, color, shade, scene.time)
    return canvas.picture()


def _sky(canvas: Canvas, scene: Scene, rng: random.Random) -> None:
    top, bottom = SKIES[scene.time]
    in_space = scene.scene == "space"
    if in_space:
        top, bottom = mix(top, (12, 10, 36), 0.72), mix(bottom, (34, 20, 70), 0.62)
    canvas.gradient(top, bottom)
    if in_space or scene.time == "night":
        for i, x in enumerate(_places(canvas, 0.125)):
            for y in (0.05, 0.3, 0.55, 0.78) if in_space else (0.05, 0.3):
                canvas.ellipse(x, y + 0.05 * (i * 3 % 5), 0.009, 0.009, (252, 250, 228))
    if in_space:
        return
    if scene.time == "night":
        x = canvas.aspect * 0.25
        canvas.ellipse(x, 0.2, 0.085, 0.085, (246, 240, 212))
        canvas.ellipse(x + 0.042, 0.178, 0.075, 0.075, mix(top, bottom, 0.2))
    elif scene.time == "day":
        canvas.ellipse(canvas.aspect * 0.25, 0.19, 0.095, 0.095, (255, 226, 96))
        for x in _places(canvas, 0.4)[1:]:
            _cloud(canvas, x, 0.14, rng.choice((0.0, 0.8, 1.15)))
    elif scene.time == "sunrise":
        canvas.ellipse(canvas.aspect * 0.25, 0.42, 0.2, 0.2, mix(bottom, WHITE, 0.4))
        canvas.ellipse(canvas.aspect * 0.25, 0.42, 0.13, 0.13, (255, 246, 206))
    else:
        canvas.ellipse(canvas.aspect * 0.75, 0.4, 0.14, 0.14, (255, 210, 92))


def _cloud(canvas: Canvas, x: float, y: float, size: float) -> None:
    for dx, radius in ((-0.075, 0.04), (0.0, 0.058), (0.075, 0.04)) if size else ():
        canvas.ellipse(x + dx * size, y, radius * 1.15 * size, radius * size, (252, 253, 255))


def _ridge(canvas: Canvas, phase: float, y: float, height: float, color: Color) -> None:
    """A smooth horizon at `y`, `height` high, down to the lower edge; `phase` in turns."""
    steps = 40
    curve = [
        (canvas.aspect * i / steps, y + height * math.sin(math.tau * (phase + 0.9 * canvas.aspect * i / steps)))
        for i in range(steps + 1)
    ]
    canvas.polygon([(0, 1), *curve, (canvas.aspect, 1)], color)


def _places(canvas: Canvas, distance: float) -> list[float]:
    """Places along the picture's width, about `distance` apart."""
    count = max(1, round(canvas.aspect / distance))
    return [canvas.aspect * (i + 0.5) / count for i in range(count)]


def _mountains(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    for layer, (peaks, tone, half) in enumerate((((0.26, 0.4), 1.22, 0.36), ((0.54,), 0.9, 0.3))):
        for x in _places(canvas, 0.44):
            x, top = x + 0.21 * layer, rng.choice(peaks)
            canvas.polygon([(x - half, 0.95), (x, top), (x + half, 0.95)], shade(scale(color, tone)))
            cap = 0.26 if layer == 0 else 0.2
            down = (0.95 - top) * cap
            canvas.polygon(
                [
                    (x, top),
                    (x - half * cap, top + down),
                    (x - half * 0.1, top + down * 0.72),
                    (x + half * 0.06, top + down * 1.02),
                    (x + half * cap, top + down),
                ],
                shade((248, 250, 254)),
            )
    _ridge(canvas, 0.1, 0.84, 0.02, shade((70, 126, 88)))


def _city(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, time: str) -> None:
    for i, x in enumerate(_places(canvas, 0.19)):
        canvas.rectangle(x, 0.3 + 0.06 * (i * 5 % 3), x + 0.19, 1, shade(scale(color, 1.35)))
    places = _places(canvas, 0.19)
    half = canvas.aspect / len(places) / 2
    for i, x in enumerate(places):
        roof = rng.choice((0.36, 0.46, 0.56))
        wall = shade(scale(color, 0.85 if i % 2 else 0.7))
        window = (255, 222, 116) if time in ("night", "sunset") else mix(wall, WHITE, 0.5)
        canvas.rectangle(x - half, roof, x + half, 1, wall)
        # The rows of all houses are level, so that a window is there or not whatever the roof does.
        for row in (0.42, 0.52, 0.62, 0.72, 0.82):
            for side in (-0.45, 0.45) if row > roof + 0.04 else ():
                middle = x + side * half
                canvas.rectangle(middle - 0.023, row, middle + 0.023, row + 0.048, window)
    canvas.rectangle(0, 0.92, canvas.aspect, 1, shade((58, 62, 78)))


def _sea(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    for i in range(4):
        if i == 1:
            for share in (0.15, 0.85):
                size = rng.choice((0.0, 0.09, 0.15))
                canvas.chord(
                    canvas.aspect * share - 1.4 * size, 0.69 - size, canvas.aspect * share + 1.4 * size, 0.69 + size,
                    180, 360, shade((62, 124, 96)),
                )  # fmt: skip
        _ridge(canvas, 0.25 * i, 0.58 + 0.115 * i, 0.011, shade(mix((92, 178, 222), (24, 84, 156), i / 3)))
    x, mast = canvas.aspect / 2, rng.choice((0.16, 0.24))
    canvas.polygon([(x - 0.19, 0.68), (x + 0.19, 0.68), (x + 0.12, 0.79), (x - 0.12, 0.79)], shade((128, 76, 48)))
    canvas.polygon([(x - 0.012, 0.65), (x - 0.012, mast + 0.06), (x - 0.17, 0.65)], shade((248, 246, 240)))
    canvas.polygon([(x + 0.015, 0.65), (x + 0.015, mast), (x + 0.2, 0.65)], shade(color))


def _forest(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    _ridge(canvas, 0.3, 0.66, 0.02, shade(mix(color, WHITE, 0.25)))
    for foot, tone, apart, heights in ((0.8, 1.12, 0.2, (0.46,)), (0.97, 0.78, 0.25, (0.36, 0.46, 0.56))):
        for x in _places(canvas, apart):
            height = rng.choice(heights)
            canvas.rectangle(x - 0.02, foot - 0.07, x + 0.02, foot, shade((98, 66, 46)))
            for tier in range(3):
                wide = 0.11 * (1 - 0.24 * tier)
                base = foot - 0.05 - height * 0.25 * tier
                canvas.polygon(
                    [(x - wide, base), (x, base - height * 0.45), (x + wide, base)], shade(scale(color, tone))
                )
    canvas.rectangle(0, 15 / 16, canvas.aspect, 1, shade(scale(color, 0.55)))


def _desert(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    for i, tone in enumerate((1.08, 0.96, 0.84)):
        _ridge(canvas, 0.4 * i, 0.6 + 0.13 * i, 0.045, shade(scale(color, tone)))
    green = shade((66, 142, 84))
    places = _places(canvas, 0.35)
    for i, x in enumerate(places):
        size = rng.choice((0.75, 1.1) if i == len(places) // 2 else (0.0, 0.75, 1.1))
        if size:
            y = 0.86
            canvas.line([(x, y), (x, y - 0.3 * size)], 0.065 * size, green)
            for side, height in ((0.105, 0.1), (-0.1, 0.07)):
                bend = y - height * size
                canvas.line([(x, bend), (x + side * size, bend), (x + side * size, bend - 0.1 * size)], 0.046, green)


def _space(canvas: Canvas, rng: random.Random, color: Color, _shade: Shade, time: str) -> None:
    x, y, radius = canvas.aspect / 2, 0.5, rng.choice((0.22, 0.28))
    light = mix(color, LIGHTS[time][0], LIGHTS[time][1] * 0.5)
    canvas.ellipse(x, y, radius, radius, light)
    canvas.chord(x - radius, y - radius, x + radius, y + radius, 15, 195, scale(light, 0.78))
    canvas.arc(x - radius * 1.6, y - 0.11, x + radius * 1.6, y + 0.11, -22, 202, 0.036, mix(light, WHITE, 0.6))
    for share, height in ((0.13, 0.16), (0.87, 0.16), (0.13, 0.84), (0.87, 0.84)):
        size = rng.choice((0.0, 0.0, 0.05, 0.09))
        canvas.ellipse(canvas.aspect * share, height, size, size, (196, 198, 212))


def _hills(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    for i, tone in enumerate((1.18, 1.0, 0.82)):
        _ridge(canvas, 0.35 * i, 0.56 + 0.14 * i, 0.055, shade(scale(color, tone)))
    places = _places(canvas, 0.29)
    for i, x in enumerate(places):
        size = rng.choice((0.8, 1.2) if i == len(places) // 2 else (0.0, 0.8, 1.2))
        y = 0.7 + 0.1 * (i % 2)
        if size:
            canvas.rectangle(x - 0.017, y - 0.07, x + 0.017, y + 0.04, shade((98, 66, 46)))
            canvas.ellipse(x, y - 0.05 - 0.08 * size, 0.085 * size, 0.095 * size, shade((48, 128, 72)))


_PAINTERS: dict[str, Callable[[Canvas, random.Random, Color, Shade, str], None]] = {
    "mountains": _mountains,
    "city": _city,
    "sea": _sea,
    "forest": _forest,
    "desert": _desert,
    "space": _space,
    "hills": _hills,
}
