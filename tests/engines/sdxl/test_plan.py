"""Defaults, seeds and the size at which a model really works."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engines.requests import ImageRequest
from engines.sdxl.engine import SdxlEngine
from engines.sdxl.plan import make_plan, nearest_size

INFO = SdxlEngine("a/b", "cpu").info
SIZES = ((256, 256), (448, 256), (256, 448))


@pytest.mark.parametrize(
    ("asked", "rendered"),
    [
        ((1024, 1024), (256, 256)),
        ((64, 64), (256, 256)),
        ((1920, 1080), (448, 256)),
        ((1080, 1920), (256, 448)),
        ((1200, 1024), (256, 256)),
        ((2048, 512), (448, 256)),
    ],
)
def test_the_nearest_shape_is_rendered(asked: tuple[int, int], rendered: tuple[int, int]) -> None:
    assert nearest_size(*asked, SIZES) == rendered


def test_among_equal_shapes_the_nearest_area_is_rendered() -> None:
    assert nearest_size(480, 480, ((128, 128), (256, 256), (512, 512))) == (512, 512)
    assert nearest_size(300, 300, ((128, 128), (256, 256), (512, 512))) == (256, 256)


def test_open_fields_become_the_models_own() -> None:
    plan = make_plan(ImageRequest(prompt="a cat", seed=1), None, INFO, 8)
    assert (plan.steps, plan.guidance, plan.sampler) == (30, 5.0, "dpmpp_2m_karras")
    own = make_plan(
        ImageRequest(prompt="a cat", seed=1, num_inference_steps=5, guidance_scale=1, sampler="ddim"), None, INFO, 8
    )
    assert (own.steps, own.guidance, own.sampler) == (5, 1.0, "ddim")


def test_seed_0_is_a_seed() -> None:
    assert make_plan(ImageRequest(prompt="a cat", seed=0, count=2), None, INFO, 8).seeds == (0, 1)


def test_fixed_sizes_are_said_to_be_enlarged_only_when_they_are() -> None:
    fixed = replace(INFO, fixed_sizes=True, sizes=SIZES)
    for side, enlarged in ((512, True), (256, False), (128, False)):
        asked = ImageRequest(prompt="a cat", seed=1, width=side, height=side)
        assert make_plan(asked, None, fixed, 16).recipe(1).enlarged == enlarged
