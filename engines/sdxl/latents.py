"""Between pixels, -1 to 1, and the latents that a UNet works on, for a VAE of any number of channels."""

from __future__ import annotations

from typing import Any

import torch


def from_pixels(vae: Any, pixels: torch.Tensor) -> torch.Tensor:
    """The most likely latents, not a sample: a photo adds no noise of its own."""
    latents: torch.Tensor = vae.encode(pixels).latent_dist.mode()
    mean, scale = _scale(vae, latents)
    return (latents - mean) * scale


def to_pixels(vae: Any, latents: torch.Tensor) -> torch.Tensor:
    """Not finite where the latents are too large for the VAE's precision."""
    mean, scale = _scale(vae, latents)
    pixels: torch.Tensor = vae.decode((latents / scale + mean).to(vae.dtype), return_dict=False)[0]
    return pixels


def _scale(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and factor that make a VAE's latents what its UNet works on, each broadcastable over channels."""
    config = vae.config
    mean = torch.tensor(getattr(config, "latents_mean", None) or [0.0]).to(like).view(1, -1, 1, 1)
    spread = torch.tensor(getattr(config, "latents_std", None) or [1.0]).to(like).view(1, -1, 1, 1)
    return mean, config.scaling_factor / spread
