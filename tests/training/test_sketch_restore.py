"""Training goes on from the shipped model: a restored workspace is the one that the model was exported from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from training.sketch import export, vae
from training.sketch.paths import MODEL
from training.sketch.restore import restore


def test_a_restored_workspace_exports_the_same_model(tmp_path: Path) -> None:
    restore(MODEL, tmp_path)
    pipe = export.assemble(tmp_path)
    latents = torch.randn(1, 32, 16, 16, generator=torch.Generator().manual_seed(0))
    from diffusers import StableDiffusionXLPipeline

    shipped = StableDiffusionXLPipeline.from_pretrained(MODEL, dtype=torch.float32, add_watermarker=False)
    for part in ("unet", "text_encoder", "text_encoder_2"):
        ours, theirs = getattr(pipe, part).state_dict(), getattr(shipped, part).state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs), part
    with torch.inference_mode():
        assert torch.equal(pipe.vae.decode(latents).sample, shipped.vae.decode(latents).sample)


def test_the_computed_encoder_is_read_back_from_its_weights(tmp_path: Path) -> None:
    restore(MODEL, tmp_path)
    bases, mean, spread = vae.load_encoder(tmp_path)
    pictures = vae.drawings(2, seed=5)
    computed = (vae.encode(pictures, bases)[-1] - mean[:, None, None]) / spread[:, None, None]
    with torch.inference_mode():
        encoded = vae.load_vae(tmp_path).encode(torch.from_numpy(pictures)).latent_dist.mean.numpy()
    assert np.abs(computed - encoded).max() < 0.05
