"""A request with nothing left open: sizes, seeds and settings as the model will really use them."""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import Any

from engines.types import MAX_SEED, ImageModelInfo, ImageRequest


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made. `rendered`: width and height, pixels, at which the model works before the exact size is cut."""

    request: ImageRequest
    info: ImageModelInfo
    rendered: tuple[int, int]
    steps: int
    guidance: float
    sampler: str
    seeds: tuple[int, ...]

    @property
    def enlarged(self) -> bool:
        return self.rendered[0] < self.request.width or self.rendered[1] < self.request.height

    def recipe(self, seed: int) -> dict[str, Any]:
        """Everything needed to make the picture of `seed` again, JSON types only."""
        request = self.request
        recipe: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "width": request.width,
            "height": request.height,
            "rendered_width": self.rendered[0],
            "rendered_height": self.rendered[1],
            "enlarged": self.enlarged,
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "sampler": self.sampler,
            "seed": seed,
            "model": self.info.name,
            "demo": self.info.demo,
        }
        if request.init_image is not None:
            recipe["init_image_sha256"] = request.init_image_sha256
            recipe["strength"] = float(request.strength)
        return recipe


def make_plan(request: ImageRequest, info: ImageModelInfo, side_multiple: int) -> Plan:
    """Fill in the model's own defaults and draw the seed. `side_multiple`: pixels of one latent."""
    steps = request.num_inference_steps
    guidance = request.guidance_scale
    return Plan(
        request=request,
        info=info,
        rendered=_rendered_size(request, info, side_multiple),
        steps=info.num_inference_steps if steps is None else steps,
        guidance=float(info.guidance_scale if guidance is None else guidance),
        sampler=request.sampler or info.sampler,
        seeds=_seeds(request),
    )


def _seeds(request: ImageRequest) -> tuple[int, ...]:
    first = secrets.randbelow(MAX_SEED + 1) if request.seed in (None, -1) else request.seed
    return tuple((first + i) % (MAX_SEED + 1) for i in range(request.count))


def _rendered_size(request: ImageRequest, info: ImageModelInfo, side_multiple: int) -> tuple[int, int]:
    if info.fixed_sizes:
        return nearest_size(request.width, request.height, info.sizes)
    return _round_up(request.width, side_multiple), _round_up(request.height, side_multiple)


def nearest_size(width: int, height: int, sizes: tuple[tuple[int, int], ...]) -> tuple[int, int]:
    """The trained size nearest in shape, and among equal shapes in area. Ratios are compared as logarithms, so that
    twice as wide and twice as high are equally far from square."""

    def distance(size: tuple[int, int]) -> tuple[float, float]:
        shape = abs(math.log((size[0] * height) / (size[1] * width)))
        area = abs(math.log((size[0] * size[1]) / (width * height)))
        return round(shape, 6), area

    return min(sizes, key=distance)


def _round_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple
