"""Draws the training pictures and keeps them as latents.

    python -m training.sketch.data

Two buckets: "square" (256x256) and "wide" (448x256), each with avatars, landscapes, and shapes: avatars drawn in a way
that lets them be recoloured. Any picture is decided by (seed, bucket, kind, index) alone.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.sketch import recolor, vae
from training.sketch.attributes import Avatar, Picture, Scene, sample_avatar, sample_scene
from training.sketch.draw import draw
from training.sketch.paths import WORK

Latents = NDArray[np.float16]
WIDTHS = {"square": 256, "wide": 448}
COUNTS = {
    "square": {"avatars": 24_000, "scenes": 5_000, "shapes": 2_000},
    "wide": {"avatars": 1_500, "scenes": 7_000, "shapes": 0},
}
AVATAR_SHARE = {"square": 0.8, "wide": 0.16}
CHUNK = 50


@dataclass(frozen=True)
class Bucket:
    """Normalised latents, (32, 16, width / 16) each: of avatars, of landscapes, and of shapes to recolour
    (count, recolor.PICTURES, ...)."""

    avatars: list[Avatar]
    avatar_latents: Latents
    scenes: list[Scene]
    scene_latents: Latents
    shapes: list[Avatar]
    shape_latents: Latents


def sample(bucket: str, rng: random.Random) -> Picture:
    """An avatar or a scene, in the bucket's proportion."""
    return sample_avatar(rng) if rng.random() < AVATAR_SHARE[bucket] else sample_scene(rng)


def encoded(pictures: Sequence[Image.Image], folder: Path) -> Latents:
    bases, mean, spread = vae.load_encoder(folder)
    pixels = np.stack([np.asarray(picture) for picture in pictures]).transpose(0, 3, 1, 2).astype(np.float32)
    latents = (vae.encode(pixels / 127.5 - 1, bases)[-1] - mean[:, None, None]) / spread[:, None, None]
    return latents.astype(np.float16)


def _chunk(task: tuple[str, str, range, int, Path]) -> tuple[list[Picture], Latents]:
    bucket, kind, indices, seed, folder = task
    records: list[Picture] = []
    pictures = []
    for index in indices:
        rng = random.Random(f"{seed}/{bucket}/{kind}/{index}")
        record = sample_scene(rng) if kind == "scenes" else sample_avatar(rng)
        records.append(record)
        if kind == "shapes" and isinstance(record, Avatar):
            pictures += recolor.basis(record)
        else:
            pictures.append(draw(record, rng, WIDTHS[bucket], 256))
    latents = encoded(pictures, folder)
    return records, latents.reshape(len(records), -1, *latents.shape[1:]) if kind == "shapes" else latents


def make(folder: Path, bucket: str, kind: str, count: int, seed: int, processes: int) -> None:
    """Draws one kind of a bucket, once, into `<bucket>-<kind>.npy` and `.json`; the latter comes last."""
    named = folder / f"{bucket}-{kind}.json"
    if named.exists():
        return
    chunks = [range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    with get_context("spawn").Pool(processes) as pool:
        drawn = pool.map(_chunk, [(bucket, kind, indices, seed, folder) for indices in chunks], chunksize=1)
    np.save(named.with_suffix(".npy"), np.concatenate([latents for _, latents in drawn] or [np.zeros(0, np.float16)]))
    named.write_text(json.dumps([asdict(record) for some, _ in drawn for record in some]), encoding="utf-8")


def load(folder: Path, bucket: str) -> Bucket:
    """What `make` drew; the latents stay on disk, shared by the processes."""

    def records(kind: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads((folder / f"{bucket}-{kind}.json").read_text(encoding="utf-8"))
        return found

    def latents(kind: str) -> Latents:
        found: Latents = np.load(folder / f"{bucket}-{kind}.npy", mmap_mode="r")
        return found

    return Bucket(
        avatars=[Avatar(**record) for record in records("avatars")],
        avatar_latents=latents("avatars"),
        scenes=[Scene(**record) for record in records("scenes")],
        scene_latents=latents("scenes"),
        shapes=[Avatar(**record) for record in records("shapes")],
        shape_latents=latents("shapes"),
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Draw the training pictures and encode them.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual number of pictures")
    options = parser.parse_args(argv)
    vae.prepare(WORK)
    for bucket, kinds in COUNTS.items():
        for kind, count in kinds.items():
            make(WORK, bucket, kind, round(count * options.scale), options.seed, options.processes)


if __name__ == "__main__":
    main()
