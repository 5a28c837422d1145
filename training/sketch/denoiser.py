"""The denoiser: SDXL's UNet and schedule in our size, behind the frozen text encoders."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.sketch import text
from training.sketch.conditioning import Conditioner, Prompt
from training.sketch.tokenizer import WordTokens
from training.sketch.vae import CHANNELS

TIME_FEATURES = 16


def make_unet() -> Any:
    """SDXL's architecture, about 11 M parameters; no attention at the finest level, where it costs most."""
    from diffusers import UNet2DConditionModel

    widths = (128, 160, 160)
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        layers_per_block=1,
        block_out_channels=widths,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=1,
        # diffusers reads this as the number of heads.
        attention_head_dim=tuple(width // 32 for width in widths),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIME_FEATURES,
        projection_class_embeddings_input_dim=text.POOLED + 6 * TIME_FEATURES,
        cross_attention_dim=text.TEXT_WIDTH,
        norm_num_groups=16,
    )


def make_scheduler() -> Any:
    """Zero terminal SNR, so that dark and light pictures start from the same noise (Lin et al. 2023).

    Ancestral: the noise that each step brings anew lets a picture make up its mind again, where plain Euler keeps to
    what the first steps, which this model judges worst, made of it.
    """
    from diffusers import EulerAncestralDiscreteScheduler

    return EulerAncestralDiscreteScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


class Denoiser:
    """What is between noise and picture. Latents are (n, 32, h/16, w/16), times (n,) in 0..999."""

    def __init__(self, folder: Path) -> None:
        tokenizer, first, second = text.load(folder)
        self.tokens = WordTokens(tokenizer)
        self._condition = Conditioner(first, second, self.tokens)
        self._signal: Tensor = make_scheduler().alphas_cumprod.float()
        self.unet = make_unet().to(memory_format=torch.channels_last)

    def signal(self, when: Tensor) -> Tensor:
        """Alpha bar at each time, 0..1, as (n, 1, 1, 1)."""
        return self._signal[when][:, None, None, None]

    def noisy(self, latents: Tensor, noise: Tensor, when: Tensor) -> Tensor:
        signal = self.signal(when)
        return signal.sqrt() * latents + (1 - signal).sqrt() * noise

    def velocity(self, noisy: Tensor, when: Tensor, prompts: Sequence[Prompt], sizes: Tensor) -> Tensor:
        """The UNet's guess of v = sqrt(a) noise - sqrt(1 - a) latents (Salimans and Ho 2022)."""
        states, pooled = self._condition(prompts)
        with torch.autocast("cpu", torch.bfloat16):
            guess: Tensor = self.unet(
                noisy.contiguous(memory_format=torch.channels_last),
                when,
                states,
                added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes},
            ).sample
        return guess.float()

    def clean(self, noisy: Tensor, velocity: Tensor, when: Tensor) -> Tensor:
        """The latents that `velocity` says are under the noise."""
        signal = self.signal(when)
        return signal.sqrt() * noisy - (1 - signal).sqrt() * velocity
