"""Draws the training pictures and keeps them as latents, with the records that say what is in them.

    python -m tools.sketch.data

Two buckets: "square" (256x256) and "wide" (448x256). Any picture is decided by (seed, bucket, index) alone.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tools.sketch import vae
from tools.sketch.attributes import Avatar, Picture, Scene, sample_avatar, sample_scene
from tools.sketch.draw import draw
from tools.sketch.paths import WORK

WIDTHS = {"square": 256, "wide": 448}
COUNTS = {"square": 30_000, "wide": 8_000}
AVATAR_SHARE = {"square": 0.8, "wide": 0.16}
CHUNK = 250


def sample(bucket: str, rng: random.Random) -> Picture:
    """An avatar or a scene, in the bucket's proportion."""
    return sample_avatar(rng) if rng.random() < AVATAR_SHARE[bucket] else sample_scene(rng)


def _chunk(task: tuple[str, int, int, str]) -> tuple[list[Picture], NDArray[np.float16]]:
    bucket, first, seed, folder = task
    bases, mean, spread = vae.load_encoder(Path(folder))
    records, pixels = [], []
    for index in range(first, first + CHUNK):
        rng = random.Random(f"{seed}/{bucket}/{index}")
        record = sample(bucket, rng)
        records.append(record)
        pixels.append(np.asarray(draw(record, rng, WIDTHS[bucket], 256)).transpose(2, 0, 1))
    pictures = np.stack(pixels).astype(np.float32) / 127.5 - 1
    latents = (vae.encode(pictures, bases)[-1] - mean[:, None, None]) / spread[:, None, None]
    return records, latents.astype(np.float16)


def make(folder: Path, bucket: str, count: int, seed: int, processes: int) -> None:
    """Writes `<bucket>.npy` (count, 32, 16, width/16), normalised latents, and `<bucket>.json`."""
    if (folder / f"{bucket}.json").exists():
        return
    tasks = [(bucket, first, seed, str(folder)) for first in range(0, count, CHUNK)]
    with get_context("spawn").Pool(processes) as pool:
        chunks = pool.map(_chunk, tasks, chunksize=1)
    np.save(folder / f"{bucket}.npy", np.concatenate([latents for _, latents in chunks]))
    records = [asdict(record) for some, _ in chunks for record in some]
    (folder / f"{bucket}.json").write_text(json.dumps(records), encoding="utf-8")


def load(folder: Path, bucket: str) -> tuple[list[Picture], NDArray[np.float16]]:
    """The records and their latents."""
    stored = json.loads((folder / f"{bucket}.json").read_text(encoding="utf-8"))
    records: list[Picture] = [Scene(**record) if "scene" in record else Avatar(**record) for record in stored]
    return records, np.load(folder / f"{bucket}.npy", mmap_mode="r")  # shared by the processes


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw the training pictures and encode them.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual number of pictures")
    options = parser.parse_args(argv)
    vae.prepare(WORK)
    for bucket, count in COUNTS.items():
        make(WORK, bucket, round(count * options.scale / CHUNK) * CHUNK, options.seed, options.processes)


if __name__ == "__main__":
    main()
