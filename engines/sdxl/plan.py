"""A request with nothing left open: sizes and settings as the model will really use them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from engines.requests import ImageRequest
from engines.results import ImageModelInfo, Recipe


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made. `rendered`: width and height, pixels, at which the model works before the exact size is cut."""

    request: ImageRequest
    photo: Path | None
    info: ImageModelInfo
    rendered: tuple[int, int]
    steps: int
    guidance: float
    sampler: str

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.request.seeds

    def recipe(self, seed: int) -> Recipe:
        """Everything needed to make the picture of `seed` again."""
        request = self.request
        with_photo = self.photo is not None
        return Recipe(
            prompt=request.prompt,
            negative_prompt=request.negative_prompt,
            width=request.width,
            height=request.height,
            rendered_width=self.rendered[0],
            rendered_height=self.rendered[1],
            enlarged=self.rendered[0] < request.width or self.rendered[1] < request.height,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance,
            sampler=self.sampler,
            seed=seed,
            model=self.info.name,
            demo=self.info.demo,
            photo_sha256=request.photo_sha256 if with_photo else None,
            photo_strength=request.photo_strength if with_photo else None,
        )


def make_plan(request: ImageRequest, photo: Path | None, info: ImageModelInfo, side_multiple: int) -> Plan:
    """Fill in the model's own defaults. `side_multiple`: pixels of one latent."""
    steps = request.num_inference_steps
    guidance = request.guidance_scale
    return Plan(
        request=request,
        photo=photo,
        info=info,
        rendered=_rendered_size(request, info, side_multiple),
        steps=info.num_inference_steps if steps is None else steps,
        guidance=float(info.guidance_scale if guidance is None else guidance),
        sampler=request.sampler or info.sampler,
    )


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
