"""The door of the drawing program: a record goes in, a picture comes out.

`python -m training.sketch.draw` makes a page of drawings to look at.
"""

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from training.sketch.attributes import Avatar, Picture, sample_avatar, sample_scene
from training.sketch.avatar import draw_avatar
from training.sketch.scene import draw_scene


def draw(picture: Picture, rng: random.Random, width: int = 256, height: int = 256) -> Image.Image:
    """An RGB picture of `width` x `height` pixels; the same record and the same state of `rng` give the same bytes."""
    if isinstance(picture, Avatar):
        return draw_avatar(picture, rng, width, height)
    return draw_scene(picture, rng, width, height)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw a page of training pictures.")
    parser.add_argument("--out", type=Path, default=Path("work/sketch/drawings.png"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    rng = random.Random(options.seed)
    page = Image.new("RGB", (8 * 200, 4 * 200 + 2 * 160), "white")
    for i in range(24):
        page.paste(draw(sample_avatar(rng), rng).resize((196, 196)), (i % 8 * 200, i // 8 * 200))
    for i in range(8):
        page.paste(draw(sample_scene(rng), rng).resize((196, 196)), (i * 200, 600))
    for i in range(10):
        page.paste(draw(sample_scene(rng), rng, 448, 256).resize((273, 156)), (i % 5 * 280, 800 + i // 5 * 160))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    page.save(options.out)


if __name__ == "__main__":
    main()
