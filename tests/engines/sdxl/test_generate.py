"""Pictures through the engine: seeds, batches, prompts, photos, sizes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image

from engines.errors import InvalidRequest
from engines.requests import ImageRequest
from engines.results import Recipe
from engines.sdxl.engine import SdxlEngine
from engines.sdxl.samplers import SAMPLERS
from tests.engines.sdxl.conftest import Generate, difference, ignore, pixels, png, request

ROUNDING = 1
"""Of 255: what batching may change."""


def test_same_seed_same_picture(generate: Generate) -> None:
    assert difference(pixels(generate(seed=7)), pixels(generate(seed=7))) == 0


def test_other_seed_other_picture(generate: Generate) -> None:
    assert difference(pixels(generate(seed=7)), pixels(generate(seed=8))) > 50


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_picture_of_a_batch_can_be_made_alone(generate: Generate, sampler: str) -> None:
    batch = generate(sampler=sampler, count=3, seed=5)
    assert [image.recipe.seed for image in batch.images] == [5, 6, 7]
    assert np.std(pixels(batch)) > 10
    for i, image in enumerate(batch.images):
        alone = generate(sampler=sampler, seed=image.recipe.seed)
        assert difference(pixels(batch, i), pixels(alone)) <= ROUNDING


def test_samplers_differ(generate: Generate) -> None:
    made = {hashlib.sha256(pixels(generate(sampler=name)).tobytes()).hexdigest() for name in SAMPLERS}
    assert len(made) == len(SAMPLERS)


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 2])
def test_few_steps_are_enough_for_any_sampler(generate: Generate, sampler: str, steps: int) -> None:
    assert np.std(pixels(generate(sampler=sampler, num_inference_steps=steps))) > 10


def test_seeds_wrap_around(generate: Generate) -> None:
    assert [image.recipe.seed for image in generate(seed=2**32 - 1, count=2).images] == [2**32 - 1, 0]


def test_batches_larger_than_the_device_takes_at_once_are_split(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generate(count=5)
    monkeypatch.setattr("engines.sdxl.generate.BATCH_PIXELS", 2 * 64 * 64)
    split = generate(count=5)
    for i in range(5):
        assert difference(pixels(whole, i), pixels(split, i)) <= ROUNDING


def test_guidance_1_ignores_the_negative_prompt_and_others_do_not(generate: Generate) -> None:
    assert (
        difference(pixels(generate(guidance_scale=1)), pixels(generate(guidance_scale=1, negative_prompt="a dog"))) == 0
    )
    assert difference(pixels(generate()), pixels(generate(negative_prompt="a dog"))) > 5


def test_the_recipe_makes_the_picture_again(generate: Generate) -> None:
    first = generate("a (red)1.3 cat", count=2, negative_prompt="blue").images[1]
    recipe = Recipe.model_validate_json(first.recipe.model_dump_json())
    again = generate(**recipe.model_dump(include=set(ImageRequest.model_fields), exclude_none=True))
    assert difference(np.asarray(first.image).astype(np.int16), pixels(again)) <= ROUNDING
    assert (recipe.model, recipe.demo, recipe.enlarged) == ("tiny", False, False)
    assert (recipe.photo_sha256, recipe.photo_strength) == (None, None)


def test_a_photo_is_followed_the_more_the_lower_the_strength(generate: Generate, photo: Path) -> None:
    made = {s: pixels(generate(photo=photo, photo_strength=s, num_inference_steps=8)) for s in (0.01, 0.5, 0.9)}
    unlike = [np.abs(made[s] - made[0.01]).mean() for s in (0.5, 0.9)]
    assert 0 < unlike[0] < unlike[1]
    photo.write_bytes(png(mode="1"))
    other_photo = pixels(generate(photo=photo, photo_strength=0.01, num_inference_steps=8))
    assert np.abs(other_photo - made[0.01]).mean() > 1


@pytest.mark.parametrize("sampler", ["dpmpp_2m_karras", "euler_a", "heun", "dpmpp_2m_sde", "ddim"])
def test_photos_in_a_batch_can_be_made_alone(generate: Generate, photo: Path, sampler: str) -> None:
    sha256 = hashlib.sha256(photo.read_bytes()).hexdigest()
    batch = generate(
        photo=photo, photo_sha256=sha256, photo_strength=0.5, num_inference_steps=4, count=2, sampler=sampler
    )
    alone = generate(photo=photo, photo_strength=0.5, num_inference_steps=4, seed=2, sampler=sampler)
    assert difference(pixels(batch, 1), pixels(alone)) <= ROUNDING
    assert difference(pixels(batch, 0), pixels(batch, 1)) > 20
    recipe = batch.images[0].recipe
    assert (recipe.photo_strength, recipe.photo_sha256) == (0.5, sha256)


@pytest.mark.parametrize(("strength", "steps"), [(1e-12, 1), (0.01, 1), (0.3, 3), (1 / 49, 49), (1.0, 1), (0.99, 1)])
def test_a_low_strength_still_makes_a_step(generate: Generate, photo: Path, strength: float, steps: int) -> None:
    assert generate(photo=photo, photo_strength=strength, num_inference_steps=steps).images[0].image.size == (64, 64)


def test_sizes_that_are_no_square(generate: Generate) -> None:
    image = generate(width=72, height=128).images[0]
    assert image.image.size == (72, 128)
    assert (image.recipe.rendered_width, image.recipe.rendered_height) == (72, 128)


def test_a_fixed_size_model_renders_its_own_size_and_enlarges(sketch_folder: Path) -> None:
    engine = SdxlEngine(sketch_folder, "cpu")
    result = engine.generate(request(width=256, height=160, num_inference_steps=None), None, ignore, Event())
    assert result.images[0].image.size == (256, 160)
    recipe = result.images[0].recipe
    assert (recipe.rendered_width, recipe.rendered_height, recipe.enlarged) == (96, 64, True)
    assert (recipe.num_inference_steps, recipe.guidance_scale, recipe.sampler) == (2, 3.0, "euler")
    assert (recipe.model, recipe.demo) == ("sketch", True)


def test_other_latents_than_sdxls(sketch_folder: Path, photo: Path) -> None:
    """8 channels with mean and spread, 16 pixels each; from a photo too."""
    engine = SdxlEngine(sketch_folder, "cpu")
    exact = engine.generate(request(), None, ignore, Event()).images[0]
    assert exact.recipe.enlarged is False
    started = engine.generate(request(photo_strength=0.5, count=2), photo, ignore, Event())
    assert started.images[1].image.size == (64, 64)


def test_a_size_that_is_no_multiple_of_the_models_is_cut_from_a_larger_one(sketch_folder: Path) -> None:
    (sketch_folder / "studio.json").rename(sketch_folder / "aside.json")
    try:
        image = SdxlEngine(sketch_folder, "cpu").generate(request(width=72), None, ignore, Event()).images[0]
    finally:
        (sketch_folder / "aside.json").rename(sketch_folder / "studio.json")
    assert image.image.size == (72, 64)
    assert (image.recipe.rendered_width, image.recipe.enlarged) == (80, False)


def test_the_picture_is_the_one_that_diffusers_makes(tmp_path: Path) -> None:
    """On a model of 4 channels with mean and spread, which diffusers' own decoding takes."""
    import torch
    from diffusers import StableDiffusionXLPipeline

    from tests.tiny_sdxl import Shape, build_folder

    folder = build_folder(tmp_path / "tiny", Shape(v_prediction=True))
    pipe = StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    asked: dict[str, Any] = {"width": 64, "height": 96, "num_inference_steps": 3, "guidance_scale": 4.0}
    seed = torch.Generator("cpu").manual_seed(5)
    theirs = pipe("a red cat", negative_prompt="a dog", generator=seed, **asked).images[0]
    ours = SdxlEngine(folder, "cpu").generate(
        request(negative_prompt="a dog", seed=5, sampler="euler", **asked), None, ignore, Event()
    )
    assert difference(pixels(ours), np.asarray(theirs).astype(np.int16)) <= ROUNDING


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_zero_snr_models_work_with_every_sampler(sketch_folder: Path, sampler: str) -> None:
    from engines.sdxl.generate import generate
    from engines.sdxl.load import load
    from engines.sdxl.plan import make_plan

    engine = SdxlEngine(sketch_folder, "cpu")
    loaded = load(sketch_folder, "cpu")
    plan = make_plan(request(sampler=sampler), None, engine.info, loaded.pixels_per_latent)
    assert np.std(pixels(generate(loaded, plan, ignore, Event()))) > 10


@pytest.mark.parametrize("sampler", ["dpmpp_2m_karras", "euler_a", "dpmpp_2m_sde"])
def test_half_precision_draws_the_same_picture(model_folder: Path, generate: Generate, sampler: str) -> None:
    """As a GPU does: the seed's noise is the same, to the rounding of the numbers."""
    import torch

    from engines.sdxl import generate as recipe
    from engines.sdxl.load import load
    from engines.sdxl.plan import make_plan

    half = load(model_folder, "cpu", "nobody/no-vae", offline=True, dtype=torch.float16)
    plan = make_plan(request(sampler=sampler), None, SdxlEngine(model_folder, "cpu").info, half.pixels_per_latent)
    picture = pixels(recipe.generate(half, plan, ignore, Event()))
    assert np.abs(picture - pixels(generate(sampler=sampler))).mean() < 1


def test_large_pictures_are_decoded_in_tiles_and_later_ones_are_not(
    generate: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = pixels(generate(width=128, height=128))
    with monkeypatch.context() as patch:
        patch.setattr("engines.sdxl.generate.UNTILED_PIXELS", 64 * 64)
        tiled = pixels(generate(width=128, height=128))
    assert tiled.shape == whole.shape
    assert difference(tiled, whole) > ROUNDING
    assert difference(pixels(generate(width=128, height=128)), whole) == 0


def test_a_picture_of_no_numbers_is_refused(generate: Generate, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from diffusers import AutoencoderKL

    def overflow(vae: Any, latents: torch.Tensor, return_dict: bool) -> tuple[torch.Tensor]:
        return (torch.full((1, 3, 64, 64), torch.nan),)

    monkeypatch.setattr(AutoencoderKL, "decode", overflow)
    with pytest.raises(InvalidRequest, match="numbers overflowed: lower the weights"):
        generate()


def test_pictures_are_rgb(generate: Generate) -> None:
    image = generate().images[0].image
    assert isinstance(image, Image.Image)
    assert image.mode == "RGB"
