"""The contact sheet: 8 x 4 fixed prompts and seeds, drawn by the shipped model through the ordinary pipeline."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw, ImageFont

from training.sketch.export import STUDIO
from training.sketch.paths import MODEL, SHEET

AVATARS = (
    "portrait of a smiling woman with long red hair, green background",
    "smiling man with short black hair and a beard, blue shirt, yellow background",
    "sad girl with curly pink hair and round glasses, purple background",
    "bald man with brown skin, sunglasses, white shirt, orange background",
    "avatar of a woman with dark skin and a black bun, red top, teal background",
    "surprised boy with spiky blonde hair, blue background",
    "man with a blue beanie and brown beard, orange background",
    "woman wearing a crown, long purple hair, white sweater, teal background",
    "man with red cap, sunglasses, white background",
    "old man with grey hair, moustache, glasses, green shirt",
    "surprised lady with curly brown hair, yellow shirt, pink background",
    "girl with green spiky hair, black hoodie, purple background",
    "happy guy with an afro, red background",
    "serious woman with blonde hair, black background",
    "dark skin man, short black hair, yellow hoodie, blue background",
    "a person",
)
SCENES = (
    "mountains at sunset",
    "city skyline at night",
    "sea with a sailboat by day",
    "forest at dawn",
    "desert dunes with cactus at noon",
    "planet in space, purple",
    "rolling hills in daylight",
    "pink mountains at sunrise",
)
HEROES = (
    "snowy mountains at night",
    "city at sunset",
    "sailboat on the ocean at sunset",
    "pine forest at night",
    "cactus desert in the morning",
    "galaxy, planet with rings",
    "blue hills at sunrise",
    "beach at noon",
)
CELL, LINE = 168, 12


def load(folder: Path) -> Any:
    from diffusers import StableDiffusionXLPipeline

    pipe = StableDiffusionXLPipeline.from_pretrained(folder, dtype=torch.float32, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generate(pipe: Any, prompts: Sequence[str], seed: int, width: int = 256, height: int = 256) -> list[Image.Image]:
    """One picture for each prompt, the i-th from `seed` + i, at the model's default steps and guidance."""
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(prompts))]
    images: list[Image.Image] = pipe(
        list(prompts),
        num_inference_steps=STUDIO["num_inference_steps"],
        guidance_scale=STUDIO["guidance_scale"],
        width=width,
        height=height,
        generator=generators,
    ).images
    return images


def make(pipe: Any, seed: int) -> Image.Image:
    """Eight columns; the prompt stands under each picture."""
    pictures: list[Image.Image] = []
    prompts = (*AVATARS, *SCENES)
    for first in range(0, len(prompts), 8):
        pictures += generate(pipe, prompts[first : first + 8], seed + first)
    wide = generate(pipe, HEROES, seed + 100, 448, 256)
    page = Image.new("RGB", (8 * CELL, 3 * (CELL + 3 * LINE) + 96 + 3 * LINE), "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(9)
    for i, (picture, words) in enumerate(zip([*pictures, *wide], [*prompts, *HEROES], strict=True)):
        x, y = i % 8 * CELL, i // 8 * (CELL + 3 * LINE)
        size = (CELL - 4, CELL - 4) if picture.width == picture.height else (CELL - 4, 94)
        page.paste(picture.resize(size, Image.Resampling.LANCZOS), (x + 2, y))
        for line in range(3):
            pen.text((x + 3, y + size[1] + 1 + line * LINE), words[line * 34 : line * 34 + 34], fill="black", font=font)
    return page


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw the contact sheet.")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--out", type=Path, default=SHEET)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(argv)
    page = make(load(options.model), options.seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    page.save(options.out, optimize=True)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
