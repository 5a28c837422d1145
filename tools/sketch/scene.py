"""Draws a landscape at any aspect ratio, in flat layers from the sky to the foreground."""

import math
import random
from collections.abc import Callable

from PIL import Image

from tools.sketch.attributes import COLORS, Color, Scene
from tools.sketch.canvas import Canvas, mix, scale

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
# Each kind of landscape is composed in so few ways that a small model can know them all by heart and draw them sharply.
COMPOSITIONS = 8
Shade = Callable[[Color], Color]


def draw_scene(scene: Scene, rng: random.Random, width: int, height: int) -> Image.Image:
    """The picture of `scene`; `rng` chooses the composition."""
    canvas = Canvas(width, height)
    light, amount = LIGHTS[scene.time]
    color = NATURAL[scene.scene] if scene.accent == "none" else COLORS[scene.accent]

    def shade(base: Color) -> Color:
        return mix(base, light, amount)

    composition = f"{scene.scene}/{rng.randrange(COMPOSITIONS)}"
    # Of its own for the land, so that the hour changes nothing but the light on it.
    _sky(canvas, scene, random.Random(f"{composition}/sky"))
    _PAINTERS[scene.scene](canvas, random.Random(f"{composition}/land"), color, shade, scene.time)
    return canvas.picture()


def _sky(canvas: Canvas, scene: Scene, rng: random.Random) -> None:
    top, bottom = SKIES[scene.time]
    in_space = scene.scene == "space"
    if in_space:
        top, bottom = mix(top, (12, 10, 36), 0.72), mix(bottom, (34, 20, 70), 0.62)
    canvas.gradient(top, bottom)
    if in_space or scene.time == "night":
        for i in range(int(11 * canvas.aspect)):
            x, y = (i + rng.random()) / 11, rng.uniform(0.03, 0.95 if in_space else 0.45)
            canvas.ellipse(x, y, 0.009, 0.009, (252, 250, 228))
    if in_space:
        return
    x = canvas.aspect * rng.uniform(0.22, 0.78)
    if scene.time == "night":
        canvas.ellipse(x, 0.2, 0.085, 0.085, (246, 240, 212))
        canvas.ellipse(x + 0.042, 0.178, 0.075, 0.075, mix(top, bottom, 0.2))
    elif scene.time == "day":
        canvas.ellipse(x, 0.19, 0.095, 0.095, (255, 226, 96))
        for share in (0.2, 0.72):
            _cloud(canvas, (x + canvas.aspect * share + rng.uniform(0, 0.1)) % canvas.aspect, rng.uniform(0.13, 0.3))
    elif scene.time == "sunrise":
        canvas.ellipse(x, 0.46, 0.2, 0.2, mix(bottom, WHITE, 0.4))
        canvas.ellipse(x, 0.46, 0.13, 0.13, (255, 246, 206))
    else:
        canvas.ellipse(x, 0.45, 0.14, 0.14, (255, 210, 92))


def _cloud(canvas: Canvas, x: float, y: float) -> None:
    for dx, radius in ((-0.075, 0.04), (0.0, 0.058), (0.075, 0.04)):
        canvas.ellipse(x + dx, y, radius * 1.15, radius, (252, 253, 255))


def _ridge(canvas: Canvas, rng: random.Random, y: float, height: float, color: Color) -> None:
    """A smooth horizon at `y`, `height` high, down to the lower edge."""
    phase, turns = rng.uniform(0, math.tau), rng.uniform(0.7, 1.1)
    steps = 40
    curve = [
        (canvas.aspect * i / steps, y + height * math.sin(phase + math.tau * turns * canvas.aspect * i / steps))
        for i in range(steps + 1)
    ]
    canvas.polygon([(0, 1), *curve, (canvas.aspect, 1)], color)


def _spots(canvas: Canvas, rng: random.Random, distance: float, jitter: float) -> list[float]:
    """Places along the picture's width, about `distance` apart."""
    count = max(1, round(canvas.aspect / distance))
    return [canvas.aspect * (i + 0.5) / count + rng.uniform(-jitter, jitter) for i in range(count)]


def _mountains(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    for layer, (peak, tone) in enumerate(((0.3, 1.22), (0.48, 0.9))):
        for x in _spots(canvas, rng, 0.42, 0.08):
            x, top, half = x + 0.17 * layer, peak + rng.uniform(-0.07, 0.07), rng.uniform(0.32, 0.38)
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
    _ridge(canvas, rng, 0.84, 0.02, shade((70, 126, 88)))


def _city(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, time: str) -> None:
    for layer, (tone, low, high) in enumerate(((1.35, 0.26, 0.46), (0.82, 0.42, 0.66))):
        x = -rng.uniform(0.0, 0.08)
        while x < canvas.aspect:
            width, top = rng.uniform(0.13, 0.19), rng.uniform(low, high)
            wall = shade(scale(color, tone))
            canvas.rectangle(x, top, x + width, 1, wall)
            if layer == 1:
                window = (255, 222, 116) if time in ("night", "sunset") else mix(wall, WHITE, 0.5)
                for row in range(int((0.86 - top) / 0.095)):
                    for column in (0.28, 0.72):
                        left, up = x + width * column, top + 0.05 + 0.095 * row
                        canvas.rectangle(left - 0.022, up, left + 0.022, up + 0.045, window)
            x += width + 0.012 * layer
    canvas.rectangle(0, 0.92, canvas.aspect, 1, shade((58, 62, 78)))


def _sea(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    for i in range(4):
        _ridge(canvas, rng, 0.58 + 0.115 * i, 0.011, shade(mix((92, 178, 222), (24, 84, 156), i / 3)))
    x = canvas.aspect / 2 + rng.uniform(-0.24, 0.24) * canvas.aspect
    canvas.polygon([(x - 0.19, 0.68), (x + 0.19, 0.68), (x + 0.12, 0.79), (x - 0.12, 0.79)], shade((128, 76, 48)))
    canvas.polygon([(x - 0.012, 0.65), (x - 0.012, 0.26), (x - 0.17, 0.65)], shade((248, 246, 240)))
    canvas.polygon([(x + 0.015, 0.65), (x + 0.015, 0.2), (x + 0.2, 0.65)], shade(color))


def _forest(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    _ridge(canvas, rng, 0.66, 0.02, shade(mix(color, WHITE, 0.25)))
    for foot, tone, apart in ((0.82, 1.12, 0.2), (0.97, 0.78, 0.27)):
        for x in _spots(canvas, rng, apart, 0.03):
            height, half = rng.uniform(0.42, 0.52), rng.uniform(0.1, 0.125)
            canvas.rectangle(x - 0.02, foot - 0.07, x + 0.02, foot, shade((98, 66, 46)))
            for tier in range(3):
                wide = half * (1 - 0.24 * tier)
                base = foot - 0.05 - height * 0.25 * tier
                canvas.polygon(
                    [(x - wide, base), (x, base - height * 0.45), (x + wide, base)], shade(scale(color, tone))
                )
    canvas.rectangle(0, 0.95, canvas.aspect, 1, shade(scale(color, 0.55)))


def _desert(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    for i, tone in enumerate((1.08, 0.96, 0.84)):
        _ridge(canvas, rng, 0.6 + 0.13 * i, 0.045, shade(scale(color, tone)))
    green = shade((66, 142, 84))
    for x in _spots(canvas, rng, 0.6, 0.14):
        y = rng.uniform(0.8, 0.9)
        canvas.line([(x, y), (x, y - 0.3)], 0.065, green)
        canvas.line([(x, y - 0.1), (x + 0.105, y - 0.1), (x + 0.105, y - 0.2)], 0.046, green)
        canvas.line([(x, y - 0.07), (x - 0.1, y - 0.07), (x - 0.1, y - 0.16)], 0.046, green)


def _space(canvas: Canvas, rng: random.Random, color: Color, _shade: Shade, time: str) -> None:
    x, y = canvas.aspect / 2 + rng.uniform(-0.14, 0.14) * canvas.aspect, rng.uniform(0.46, 0.54)
    light, radius = mix(color, LIGHTS[time][0], LIGHTS[time][1] * 0.5), rng.uniform(0.23, 0.27)
    canvas.ellipse(x, y, radius, radius, light)
    canvas.chord(x - radius, y - radius, x + radius, y + radius, 15, 195, scale(light, 0.78))
    canvas.arc(x - radius * 1.6, y - 0.11, x + radius * 1.6, y + 0.11, -22, 202, 0.036, mix(light, WHITE, 0.6))
    canvas.ellipse((x + canvas.aspect * 0.4) % canvas.aspect, rng.choice((0.16, 0.84)), 0.07, 0.07, (196, 198, 212))


def _hills(canvas: Canvas, rng: random.Random, color: Color, shade: Shade, _time: str) -> None:
    for i, tone in enumerate((1.18, 1.0, 0.82)):
        _ridge(canvas, rng, 0.56 + 0.14 * i, 0.055, shade(scale(color, tone)))
    for x in _spots(canvas, rng, 0.45, 0.1):
        y = rng.uniform(0.72, 0.86)
        canvas.rectangle(x - 0.017, y - 0.07, x + 0.017, y + 0.04, shade((98, 66, 46)))
        canvas.ellipse(x, y - 0.13, 0.085, 0.095, shade((48, 128, 72)))


_PAINTERS: dict[str, Callable[[Canvas, random.Random, Color, Shade, str], None]] = {
    "mountains": _mountains,
    "city": _city,
    "sea": _sea,
    "forest": _forest,
    "desert": _desert,
    "space": _space,
    "hills": _hills,
}
