"""Does the built-in model draw every preset as it asks? All presets, whole, with many subjects, as the app makes them.

    python bench/sketch_presets.py

Through the engine, so with compel, the presets' negative prompts and prompts of several chunks. The judge tells what
the pictures show. Also: how different the presets' pictures of one subject and seed are, and whether a square prompt
that says little or nothing becomes a face and a wide one a place. The last line is JSON.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch
from PIL import Image

from app.presets import KINDS, load_presets
from app.work.presets import hero_prompt
from training.sketch.paths import MODEL
from training.sketch.studio import Studio, asked

# None says anything of its own that a preset decides.
FACES = (
    "a woman with short black hair",
    "a man with a beard",
    "Ana, a software engineer",
    "a person",
    "a young astronaut",
    "my best friend Tom",
)
PLACES = (
    "our new app",
    "how to bake bread",
    "a quiet moment",
    hero_prompt("Ten tips for remote teams"),
    hero_prompt("My first week at a new company", "What surprised me, whom I met, and what I would do differently"),
    hero_prompt(
        "The art of slow travel",
        "Three months, two bicycles and no plan: what we packed, what it cost, and why we would leave again tomorrow "
        "if only somebody looked after our houseplants and answered the letters that pile up behind the door",
    ),
)
BARE = {
    "square": ("portrait", "a person", "avatar", "an astronaut riding a horse", "somebody at work", "Ana"),
    "wide": ("our new app", "how to bake bread", "hero image", "banner with words", "a quiet moment"),
}
SEED = 100


def presets(studio: Studio, folder: Path, count: int) -> dict[str, Any]:
    """For each preset the share of pictures that show each thing asked, and the least difference of two presets."""
    shipped = load_presets(folder)
    result: dict[str, Any] = {}
    for kind in KINDS:
        subjects = FACES if kind == "avatar" else PLACES
        rates: dict[str, dict[str, float]] = {}
        first: list[np.ndarray[Any, Any]] = []
        for preset in shipped.of(kind):
            pictures: list[Image.Image] = []
            for i, subject in enumerate(subjects):
                pictures += studio.draw(preset, subject, count, SEED + 10 * i)
            first.append(np.asarray(pictures[0], float))
            seen = studio.see(pictures)
            rates[preset.id] = {
                name: round(float(np.mean([one[name] == value for one in seen])), 3)
                for name, value in asked(preset).items()
            }
            print(preset.id, rates[preset.id], flush=True)
        result[kind] = {
            "presets": rates,
            "mean": round(float(np.mean([rate for rate_of in rates.values() for rate in rate_of.values()])), 4),
            "least": min(rate for rate_of in rates.values() for rate in rate_of.values()),
            "least_difference": round(min(float(np.abs(a - b).mean()) for a, b in combinations(first, 2)), 2),
        }
    return result


def bare(studio: Studio, count: int) -> dict[str, float]:
    """Share of pictures of prompts without a preset that show what such a picture usually shows."""
    return {
        shape: round(
            float(
                np.mean(
                    [
                        one["kind"] == ("place" if shape == "wide" else "face")
                        for i, words in enumerate(prompts)
                        for one in studio.see(studio.draw(None, words, count, SEED + 10 * i, wide=shape == "wide"))
                    ]
                )
            ),
            3,
        )
        for shape, prompts in BARE.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure how well the built-in model draws the presets.")
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--presets", type=Path, default=Path("presets"))
    parser.add_argument("--count", type=int, default=2, help="pictures of each preset and subject")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    studio = Studio(options.model)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    now = datetime.now(UTC)
    report = {
        "bench": "sketch_presets",
        "date": now.isoformat(timespec="seconds"),
        "commit": commit.stdout.strip(),
        "device": f"{platform.processor() or platform.machine()}, {options.threads} of {os.cpu_count()} cores, fp32",
        "pictures_of_a_preset": options.count * len(FACES),
        **presets(studio, options.presets, options.count),
        "bare": bare(studio, 4 * options.count),
    }
    out = Path("bench/results") / f"sketch_presets-{now:%Y-%m-%d}.json"
    out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
