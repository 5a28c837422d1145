"""What a picture looks like while it is denoised: what the UNet takes the clean picture to be, small and rough.

Its latents become colours by one matrix product on the CPU, since even a small VAE's decoder takes about as long as a
step.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image

from engines.events import PREVIEW_SIDE, OnEvent, Preview
from engines.sdxl.latents import to_pixels
from engines.sdxl.load import SDXL_LATENT_SCALE
from engines.sdxl.photo import cover

log = logging.getLogger(__name__)

PAUSE = 0.5
"""Least seconds between two previews, and before the first."""

SDXL_FACTORS = (
    (0.3651, 0.4232, 0.4341),
    (-0.2533, -0.0042, 0.1068),
    (0.1076, 0.1111, -0.0362),
    (-0.3165, -0.2492, -0.2188),
)
SDXL_BIAS = (0.1084, -0.0175, -0.0011)
"""From SDXL's latents to one pixel each, as ComfyUI publishes them (comfy/latent_formats.py, class SDXL)."""

FITTED_SIDE = 4
"""Pixels that a fitted matrix makes of a latent, each way: at 1 a face of the built-in model has no eyes."""

SAMPLE_SIDE = 8
SAMPLE_GRAINS = (1, 2, 4, 8)
"""Latents that a matrix is fitted to: pictures of 8 x 8, of which the coarsest are of one colour. Pure noise, which
is only the last of them, makes a decoder show a grid that drawings do not have."""


@dataclass(frozen=True, slots=True)
class LatentColours:
    """A linear way from latents to red, green and blue, -1 to 1."""

    factors: torch.Tensor
    """Channels x (3 * side * side)."""
    bias: torch.Tensor
    side: int
    """Pixels of a latent, each way."""

    def picture(self, latents: torch.Tensor) -> torch.Tensor:
        """Of channels x height x width: height * side x width * side x 3."""
        _, height, width = latents.shape
        side = self.side
        patches = latents.movedim(0, -1) @ self.factors + self.bias
        rows = patches.view(height, width, 3, side, side).permute(0, 3, 1, 4, 2)
        return rows.reshape(height * side, width * side, 3)


def latent_colours(vae: Any) -> LatentColours | None:
    """The published ones for SDXL's VAE, for others fitted to what they decode: 8 pictures of 8 x 8 latents.

    None, and a warning, where a VAE cannot be used so.
    """
    if vae.config.scaling_factor == SDXL_LATENT_SCALE and vae.config.latent_channels == len(SDXL_FACTORS):
        return LatentColours(torch.tensor(SDXL_FACTORS), torch.tensor(SDXL_BIAS), 1)
    try:
        return _fitted(vae)
    except Exception:
        log.warning("This model's pictures have no previews:", exc_info=True)
        return None


@torch.inference_mode()
def _fitted(vae: Any) -> LatentColours:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, vae.config.latent_channels, grain, grain) for grain in SAMPLE_GRAINS]
    grains = [torch.randn(shape, generator=generator) for shape in shapes]
    latents = torch.cat([F.interpolate(grain, size=SAMPLE_SIDE, mode="bicubic") for grain in grains])
    pixels = to_pixels(vae, latents.to(vae.device)).float().cpu().clamp(-1, 1)
    side = min(FITTED_SIDE, pixels.shape[-1] // SAMPLE_SIDE)
    small = F.adaptive_avg_pool2d(pixels, SAMPLE_SIDE * side)
    wanted = F.unfold(small, side, stride=side).transpose(1, 2).flatten(0, 1)
    known = F.pad(latents.movedim(1, -1).flatten(0, 2), (0, 1), value=1.0)
    solution = torch.linalg.lstsq(known, wanted).solution
    return LatentColours(solution[:-1], solution[-1], side)


class Previews:
    """Previews of one picture. They never fail it: what goes wrong with one is logged, and no more are made."""

    def __init__(
        self,
        to_rgb: Callable[[torch.Tensor], torch.Tensor],
        size: tuple[int, int],
        on_event: OnEvent,
        clock: Callable[[], float],
    ) -> None:
        """`to_rgb`: `LatentColours.picture`. `size`: width and height of the finished picture, whose shape its previews
        have. `clock`: seconds.
        """
        self._to_rgb = to_rgb
        self._size = size
        self._on_event = on_event
        self._clock = clock
        self._due = 0.0
        self._clean: torch.Tensor | None = None

    @contextmanager
    def watching(self, scheduler: Any) -> Iterator[None]:
        """Note at each of the scheduler's steps what the clean latents would be."""
        step = scheduler.step

        @functools.wraps(step)  # a pipeline reads the signature to see which arguments it takes
        def watched(*args: Any, **options: Any) -> tuple[torch.Tensor]:
            made = step(*args, **{**options, "return_dict": True})
            self._clean = _clean_latents(scheduler, made)
            return (made.prev_sample,)

        self._due = self._clock() + PAUSE
        scheduler.step = watched
        try:
            yield
        finally:
            # Else the two hold each other, and with them tensors, until the garbage is collected.
            del scheduler.step
            self._clean = None

    def stepped(self, step: int, total: int) -> None:
        """Step `step` of `total` is done: send a preview of the batch's first picture if one is due."""
        now = self._clock()
        if self._clean is None or now < self._due:
            return
        self._due = now + PAUSE
        try:
            picture = self._picture(self._clean[0])
        except Exception:
            log.warning("No more previews of this picture:", exc_info=True)
            self._due = float("inf")
            return
        if picture is not None:
            self._on_event(Preview(picture, step, total))

    def _picture(self, latents: torch.Tensor) -> Image.Image | None:
        # Copied as they are: the one wait for the device, and nothing more for it to do.
        rgb = self._to_rgb(latents.cpu().float())
        if not rgb.isfinite().all():
            return None
        values = ((rgb + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        picture = Image.fromarray(values.numpy())
        factor = min(PREVIEW_SIDE, max(picture.size)) / max(self._size)
        width, height = (max(1, round(side * factor)) for side in self._size)
        return cover(picture, width, height)


def _clean_latents(scheduler: Any, made: Any) -> torch.Tensor | None:
    """Multistep solvers keep their predictions of the clean picture, all others return theirs."""
    kept = getattr(scheduler, "model_outputs", None)
    clean: torch.Tensor | None = kept[-1] if kept else getattr(made, "pred_original_sample", None)
    return clean
