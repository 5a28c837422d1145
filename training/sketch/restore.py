"""Fills an empty workspace from the shipped model, so that training goes on from it on any machine:

    python -m training.sketch.restore && python -m training.sketch.train --steps 6000 --decay 6000

The shipped weights are the averaged ones in half precision; the optimizer's state is not shipped and starts anew.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.sketch.paths import MODEL, WORK
from training.sketch.vae import CHANNELS, LEVELS, Floats


def encoder_of(vae: Any) -> tuple[list[Floats], Floats, Floats]:
    """Bases, mean and divisor out of the encoder's weights: the inverse of `vae.write_encoder`."""
    bases, inputs = [], 3
    for block, keep in zip(vae.encoder.down_blocks, LEVELS, strict=False):
        weight = block.downsamplers[0].conv.weight.detach()[:keep, :inputs, :2, :2]
        bases.append(weight.reshape(keep, -1).T.contiguous().numpy())
        inputs = keep
    out = vae.encoder.conv_out
    spread = 1 / out.weight.detach()[:CHANNELS, :CHANNELS, 1, 1].diagonal().numpy()
    return bases, -out.bias.detach()[:CHANNELS].numpy() * spread, spread


def restore(model: Path, folder: Path) -> None:
    """Write what each stage would have left in `folder`; the drawings are made again by `training.sketch.data`."""
    from diffusers import StableDiffusionXLPipeline

    pipe = StableDiffusionXLPipeline.from_pretrained(
        model, dtype=torch.float32, local_files_only=True, add_watermarker=False
    )
    folder.mkdir(parents=True, exist_ok=True)
    bases, mean, spread = encoder_of(pipe.vae)
    np.savez(folder / "encoder.npz", *bases, mean=mean, spread=spread)
    texts = {"first": pipe.text_encoder.state_dict(), "second": pipe.text_encoder_2.state_dict()}
    for name in ("text.pt", "text-hard.pt"):
        torch.save(texts, folder / name)
    for name, part in (("unet.pt", pipe.unet), ("decoder.pt", pipe.vae.decoder)):
        state = part.state_dict()
        torch.save({"model": state, "ema": state, "step": 0}, folder / name)


def main() -> None:
    if (WORK / "unet.pt").exists():
        sys.exit(f"{WORK} holds a run already: go on with it, or delete that folder first.")
    restore(MODEL, WORK)


if __name__ == "__main__":
    main()
