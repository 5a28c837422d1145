"""The recipe: encode, denoise, decode. Each stage is one function; nothing of a job outlives it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from threading import Event
from typing import Any

import torch
from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from engines.errors import InvalidRequest
from engines.events import OnEvent
from engines.results import GeneratedImage, ImageResult
from engines.sdxl import prompt
from engines.sdxl.latents import from_pixels, to_pixels
from engines.sdxl.load import Loaded
from engines.sdxl.memory import out_of_memory_as
from engines.sdxl.photo import cover, load_photo
from engines.sdxl.plan import Plan
from engines.sdxl.preview import Previews
from engines.sdxl.progress import Meter
from engines.sdxl.samplers import make_scheduler

BATCH_PIXELS = 1024 * 1024
"""Most pixels denoised at once. One SDXL picture fills a GPU, so batching it gains little and costs memory, cancel time
and exact reproduction (half-precision kernels differ by batch size); small pictures gain much and go together."""

UNTILED_PIXELS = 1536 * 1536
"""Largest picture decoded in one piece; the memory for it grows with the pixels, and tiles may show at their seams."""

LEAST_STRENGTH = 0.002
"""Below this a photo comes back as it was; one step of at most 1 / 0.002 = 500 stands for it."""


def generate(
    loaded: Loaded, plan: Plan, on_event: OnEvent, cancel: Event, previews: Previews | None = None
) -> ImageResult:
    """Make all pictures of a plan. Raises Cancelled, OutOfMemory, InvalidRequest, InvalidMedia."""
    started = time.monotonic()
    batches = list(_batches(plan))
    meter = Meter(on_event, cancel, len(batches), len(plan.seeds))
    meter.check()
    with torch.inference_mode(), out_of_memory_as(_remedy(loaded, plan)):
        words = encode_words(loaded, plan)
        photo = encode_photo(loaded, plan, cancel)
        meter.encoded()
        latents = [
            denoise(loaded, plan, words, photo, seeds, partial(meter.stepped, batch), None if batch else previews)
            for batch, seeds in enumerate(batches)
        ]
        pictures = list(decode(loaded, plan, torch.cat(latents), meter))
    images = (GeneratedImage(picture, plan.recipe(seed)) for picture, seed in zip(pictures, plan.seeds, strict=True))
    return ImageResult(tuple(images), time.monotonic() - started)


def _batches(plan: Plan) -> Iterator[tuple[int, ...]]:
    size = max(1, BATCH_PIXELS // (plan.rendered[0] * plan.rendered[1]))
    for start in range(0, len(plan.seeds), size):
        yield plan.seeds[start : start + size]


def _remedy(loaded: Loaded, plan: Plan) -> str:
    width, height = plan.rendered
    fewer = " or fewer pictures at once" if len(plan.seeds) > 1 else ""
    return f"The memory of {loaded.device} did not suffice for {width} x {height} pixels: choose a smaller size{fewer}."


def encode_words(loaded: Loaded, plan: Plan) -> prompt.Conditioning:
    """What steers the UNet; without guidance the negative prompt has no effect and is not encoded."""
    request = plan.request
    return prompt.encode(loaded.compel, request.prompt, request.negative_prompt, guided=plan.guidance > 1)


def encode_photo(loaded: Loaded, plan: Plan, cancel: Event) -> torch.Tensor | None:
    """The photo's latents, 1 x channels x height x width, or None without one."""
    if plan.photo is None:
        return None
    photo = load_photo(plan.photo, *plan.rendered, cancel)
    pixels = VaeImageProcessor(vae_scale_factor=loaded.pixels_per_latent).preprocess(photo)
    return from_pixels(loaded.vae, pixels.to(loaded.device, loaded.vae.dtype))


def denoise(
    loaded: Loaded,
    plan: Plan,
    words: prompt.Conditioning,
    photo: torch.Tensor | None,
    seeds: tuple[int, ...],
    on_step: Callable[[int, int], None],
    previews: Previews | None,
) -> torch.Tensor:
    """Latents of one batch, len(seeds) x channels x height x width.

    Each picture has its own noise, made on the CPU from its own seed: so it is the same alone, in a batch, and on every
    kind of device. `on_step(step, of)` may raise, which ends the batch there. `previews`: of the batch's first picture.
    """
    kind = StableDiffusionXLPipeline if photo is None else StableDiffusionXLImg2ImgPipeline
    scheduler = make_scheduler(plan.sampler, loaded.scheduler_config)
    pipe = kind(**{**loaded.components, "scheduler": scheduler}, add_watermarker=False)
    pipe.set_progress_bar_config(disable=True)
    generators = [torch.Generator("cpu").manual_seed(seed) for seed in seeds]

    def step_done(pipe: Any, step: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
        on_step(step + 1, pipe.num_timesteps)
        if previews:
            previews.stepped(step + 1, pipe.num_timesteps)
        return {}

    if photo is None:
        width, height = plan.rendered
        start: dict[str, Any] = {"width": width, "height": height, "num_inference_steps": plan.steps}
    else:
        start = _start_from(photo, pipe, plan, generators)
    with previews.watching(scheduler) if previews else nullcontext():
        latents: torch.Tensor = pipe(
            prompt_embeds=words.embeds,
            pooled_prompt_embeds=words.pooled,
            negative_prompt_embeds=words.negative_embeds,
            negative_pooled_prompt_embeds=words.negative_pooled,
            num_images_per_prompt=len(seeds),
            guidance_scale=plan.guidance,
            generator=generators,
            callback_on_step_end=step_done,
            callback_on_step_end_tensor_inputs=[],
            output_type="latent",
            **start,
        ).images
    return latents


def _start_from(photo: torch.Tensor, pipe: Any, plan: Plan, generators: list[torch.Generator]) -> dict[str, Any]:
    """Where image to image begins: the photo under as much noise as `photo_strength` asks for."""
    strength = max(plan.request.photo_strength, LEAST_STRENGTH)
    # A low strength of few steps would round to no step at all: then one step of a finer schedule is made.
    steps = next(steps for steps in itertools.count(plan.steps) if int(steps * strength))
    pipe.scheduler.set_timesteps(steps, device=photo.device)
    timesteps, _ = pipe.get_timesteps(steps, strength, photo.device)
    noise = torch.cat([torch.randn(photo.shape, generator=generator) for generator in generators])
    photos = photo.to(pipe.unet.dtype).expand(len(generators), -1, -1, -1)
    latents = pipe.scheduler.add_noise(photos, noise.to(photos), timesteps[:1].repeat(len(generators)))
    # The pipeline wants a picture even where it is given latents; it only looks at its form.
    unused = torch.zeros(1, 3, plan.rendered[1], plan.rendered[0])
    return {"image": unused, "latents": latents.to(photos), "strength": strength, "num_inference_steps": steps}


def decode(loaded: Loaded, plan: Plan, latents: torch.Tensor, meter: Meter) -> Iterator[Image.Image]:
    """Latents to pictures of the requested size, one at a time: memory for one, and a look at cancel between them."""
    width, height = plan.rendered
    if width * height > UNTILED_PIXELS:
        loaded.vae.enable_tiling()
    else:
        loaded.vae.disable_tiling()
    for number, one in enumerate(latents.unsqueeze(1), start=1):
        meter.check()
        picture = _decode_one(loaded, one)
        yield cover(picture, plan.request.width, plan.request.height)
        meter.decoded(number)


def _decode_one(loaded: Loaded, latents: torch.Tensor) -> Image.Image:
    pixels = to_pixels(loaded.vae, latents)
    if not pixels.isfinite().all():
        raise InvalidRequest(
            "prompt",
            "The picture's numbers overflowed: lower the weights in the prompt, such as (word)1.5, or the guidance.",
        )
    processor = VaeImageProcessor(vae_scale_factor=loaded.pixels_per_latent)
    picture: Image.Image = processor.postprocess(pixels, output_type="pil")[0]
    return picture
