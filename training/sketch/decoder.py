"""Trains the decoder: edges become sharp and surfaces flat.

    python -m training.sketch.decoder

Half of the pictures are decoded from true latents with a little noise, half from what the denoiser guesses under much
noise: those are soft in just the places where its pictures are, and the decoder learns what stood there.
"""

import argparse
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.sketch import data, vae
from training.sketch.attributes import Picture
from training.sketch.conditioning import prompt, time_ids
from training.sketch.denoiser import Denoiser
from training.sketch.draw import draw
from training.sketch.lexicon import strangers
from training.sketch.paths import WORK

LATENT_NOISE = 0.12  # largest noise on the true latents, in units of their spread
GUESSED_FROM = (20, 420)  # the noise, as a time of 1000, under which the denoiser guesses
EMA_DECAY = 0.995


class Lesson:
    """Batches that follow from (seed, step) alone."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self.bases, mean, spread = vae.load_encoder(folder)
        self.mean, self.spread = mean[:, None, None], spread[:, None, None]
        self.denoiser = Denoiser(folder)
        self.strangers = strangers()
        self.denoiser.unet.load_state_dict(torch.load(folder / "unet.pt", weights_only=True)["ema"])
        self.denoiser.unet.eval()

    def batch(self, step: int, size: int) -> tuple[Tensor, Tensor]:
        """Latents (n, 32, 16, w/16) and pictures (n, 3, 256, w) in -1..1."""
        rng = random.Random(f"decoder/{self.seed}/{step}")
        bucket = "wide" if step % 3 == 2 else "square"
        width = data.WIDTHS[bucket]
        records = [data.sample(bucket, rng) for _ in range(size if bucket == "square" else max(2, size // 2))]
        pixels = np.stack([np.asarray(draw(record, rng, width, 256)) for record in records])
        pictures = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)
        latents = torch.from_numpy((vae.encode(pictures, self.bases)[-1] - self.mean) / self.spread)
        generator = torch.Generator().manual_seed(rng.getrandbits(48))
        half = len(records) // 2
        level = torch.rand(half, 1, 1, 1, generator=generator).square() * LATENT_NOISE
        blurred = latents[:half] + torch.randn(latents[:half].shape, generator=generator) * level
        guessed = self._guessed(latents[half:], records[half:], width, rng, generator)
        return torch.cat([blurred, guessed]), torch.from_numpy(pictures)

    def _guessed(
        self, latents: Tensor, records: Sequence[Picture], width: int, rng: random.Random, generator: torch.Generator
    ) -> Tensor:
        when = torch.randint(*GUESSED_FROM, (len(latents),), generator=generator)
        noisy = self.denoiser.noisy(latents, torch.randn(latents.shape, generator=generator), when)
        prompts = [prompt(record, rng, self.denoiser.tokens, self.strangers) for record in records]
        with torch.no_grad():
            velocity = self.denoiser.velocity(noisy, when, prompts, time_ids(len(latents), width, 256, rng))
        return self.denoiser.clean(noisy, velocity, when)


def loss(output: Tensor, target: Tensor) -> Tensor:
    """L1 + 2 MSE + 0.5 of the error of neighbouring pixels' differences."""
    error = output - target
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return error.abs().mean() + 2 * error.square().mean() + 0.5 * edges


def train(folder: Path, steps: int, batch: int, rate: float, seed: int) -> None:
    """Resumes from `decoder.pt`; needs a trained denoiser."""
    lesson = Lesson(folder, seed)
    decoder = vae.load_vae(folder).decoder.train().to(memory_format=torch.channels_last)
    parameters = list(decoder.parameters())
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=1e-4)
    start = 0
    if (folder / "decoder.pt").exists():
        state = torch.load(folder / "decoder.pt", weights_only=True)
        decoder.load_state_dict(state["model"])
        average = [state["ema"][name].clone() for name, _ in decoder.named_parameters()]
        if "optimizer" in state:  # a restored workspace has none
            optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
    began, errors = time.monotonic(), []
    for step in range(start, steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * step / steps)) + 1e-5
        latents, pictures = lesson.batch(step, batch)
        with torch.autocast("cpu", torch.bfloat16):
            output = decoder(latents.contiguous(memory_format=torch.channels_last)).float()
        optimizer.zero_grad(set_to_none=True)
        loss(output, pictures).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 1 - min(EMA_DECAY, (step + 1) / (step + 20)))
        errors.append(float((output.detach() - pictures).square().mean()))
        if (step + 1) % 50 == 0 or step + 1 == steps:
            recent = 10 * math.log10(4 / float(np.mean(errors[-50:])))
            print(f"decoder step {step + 1} {time.monotonic() - began:.0f}s psnr {recent:.2f} dB", flush=True)
        if (step + 1) % 100 == 0 or step + 1 == steps:
            names = [name for name, _ in decoder.named_parameters()]
            state = {"model": decoder.state_dict(), "ema": dict(zip(names, average, strict=True)),
                     "optimizer": optimizer.state_dict(), "step": step + 1}  # fmt: skip
            torch.save(state, folder / "decoder.tmp")
            (folder / "decoder.tmp").replace(folder / "decoder.pt")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the decoder; resumes from work/sketch/decoder.pt.")
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    train(WORK, options.steps, options.batch, options.rate, options.seed)


if __name__ == "__main__":
    main()
