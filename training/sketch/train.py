"""Trains the denoiser: v-prediction on latents of drawn pictures.

    python -m training.sketch.train --steps 16000

Each process uses one thread and the processes average their gradients: with two busy cores this is faster than one
process with two threads, whose barriers wait for whatever else runs. Everything random follows from (seed, step, rank),
so a run resumes from its checkpoint as if it had not stopped. The rate is constant and falls only in the last
`--decay` steps: a run can be lengthened by resuming with a larger `--steps`.
"""

import argparse
import os
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.nn import functional

from training.sketch.attributes import Avatar, Picture
from training.sketch.denoiser import Denoiser
from training.sketch.examples import Batch, Examples, expected
from training.sketch.paths import WORK
from training.sketch.vae import PATCH

WIDE_SHARE = 0.36  # of the steps
EMA_DECAY = 0.9985
# Brows, eyes and mouth decide what a face says, in a sixth of the picture's cells: their error counts this much more.
FACE_WEIGHT = 2.0
FACE_ROWS, FACE_HALF_COLUMNS = slice(5, 12), 3
# The error of the mean of 4 x 4 cells counts on its own (Hoogeboom et al. 2023, the multiscale loss): it is where one
# part of a picture disagrees with another.
WHOLE, WHOLE_WEIGHT = 4, 4.0


@dataclass(frozen=True)
class Options:
    """A run. `batch` is of square pictures and for one process."""

    steps: int
    decay: int
    batch: int
    rate: float
    seed: int
    processes: int


def loss_weight(signal: Tensor, gamma: float = 5.0) -> Tensor:
    """Min-SNR-gamma for v-prediction (Hang et al. 2023); `signal` is alpha bar, 0..1.

    Held above 0.5: the first steps, from almost pure noise, decide what the picture shows.
    """
    ratio = signal / (1 - signal)
    return (ratio.clamp(max=gamma) / (ratio + 1)).clamp(min=0.5)


def cell_weight(records: Sequence[Picture], width: int) -> Tensor:
    """What each latent cell's error counts, (n, 1, 16, width / 16), with mean 1 in every picture."""
    columns = width // PATCH
    weight = torch.ones(len(records), 1, 256 // PATCH, columns)
    middle = slice(columns // 2 - FACE_HALF_COLUMNS, columns // 2 + FACE_HALF_COLUMNS)
    for i, record in enumerate(records):
        if isinstance(record, Avatar):
            weight[i, :, FACE_ROWS, middle] = FACE_WEIGHT
    return weight / weight.mean((1, 2, 3), keepdim=True)


class Trainer:
    """One process of a run."""

    def __init__(self, options: Options, rank: int, folder: Path) -> None:
        torch.manual_seed(options.seed)
        self.options, self.rank, self.folder = options, rank, folder
        self.denoiser = Denoiser(folder)
        self.examples = Examples(folder, self.denoiser.tokens)
        self.unet = self.denoiser.unet
        self.parameters: list[Tensor] = list(self.unet.parameters())
        self.average = [p.detach().clone() for p in self.parameters]
        self.optimizer = torch.optim.AdamW(
            self.parameters, lr=options.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.step = 0
        self._resume()

    def _resume(self) -> None:
        path = self.folder / "unet.pt"
        if not path.exists():
            return
        state = torch.load(path, weights_only=True)
        self.unet.load_state_dict(state["model"])
        self.average = [state["ema"][name] for name, _ in self.unet.named_parameters()]
        if "optimizer" in state:  # a restored workspace has none
            self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def save(self) -> None:
        names = [name for name, _ in self.unet.named_parameters()]
        state = {
            "model": self.unet.state_dict(),
            "ema": dict(zip(names, self.average, strict=True)),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }
        torch.save(state, self.folder / "unet.tmp")
        (self.folder / "unet.tmp").replace(self.folder / "unet.pt")

    def rate(self) -> float:
        left = self.options.steps - self.step
        return self.options.rate * min(1.0, (self.step + 1) / 150, left / max(1, self.options.decay))

    def loss(self, batch: Batch) -> Tensor:
        """Weighted squared error of v for each picture, (n,)."""
        signal = self.denoiser.signal(batch.when)
        latents = torch.stack([example.latents for example in batch.examples])
        noisy = self.denoiser.noisy(latents, batch.noise, batch.when)
        # v of what is to be expected; where that is the picture itself, sqrt(a) noise - sqrt(1 - a) latents.
        target = (signal.sqrt() * noisy - expected(batch.examples, noisy, signal)) / (1 - signal).sqrt()
        guess = self.denoiser.velocity(noisy, batch.when, [example.prompt for example in batch.examples], batch.sizes)
        cells = cell_weight([example.record for example in batch.examples], PATCH * latents.shape[3])
        error = (guess - target) * (loss_weight(signal) * cells).sqrt()
        whole = functional.avg_pool2d(error, WHOLE)
        return error.square().mean((1, 2, 3)) + WHOLE_WEIGHT * whole.square().mean((1, 2, 3))

    def advance(self) -> float:
        """One step; returns this process's loss."""
        options = self.options
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        shared = random.Random(f"{options.seed}/{self.step}")  # both processes take the same bucket, so none waits
        bucket = "wide" if shared.random() < WIDE_SHARE else "square"
        rng = random.Random(f"{options.seed}/{self.step}/{self.rank}")
        generator = torch.Generator().manual_seed(rng.getrandbits(48))
        loss = self.loss(self.examples.batch(bucket, options.batch, rng, generator)).mean()
        self.optimizer.zero_grad(set_to_none=False)
        loss.backward()  # type: ignore[no-untyped-call]
        self._average_gradients()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.step += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - min(EMA_DECAY, (1 + self.step) / (20 + self.step)))
        return float(loss.detach())

    def _average_gradients(self) -> None:
        if self.options.processes == 1:
            return
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        flat = torch.cat([g.bfloat16().flatten() for g in gradients])  # half the bytes; the sum is of two
        dist.all_reduce(flat)
        flat /= self.options.processes
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _run(rank: int, options: Options, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    # Despite its name of the CPU too, where attention over so few tokens is slower with it.
    torch.backends.cuda.enable_flash_sdp(False)
    if options.processes > 1:
        rendezvous = (folder / "rendezvous").resolve()
        dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=options.processes)
    trainer = Trainer(options, rank, folder)
    began, losses = time.monotonic(), []
    parent = os.getppid()
    while trainer.step < options.steps:
        if options.processes > 1 and os.getppid() != parent:
            return  # the command was killed: nobody would read what this goes on to learn
        losses.append(trainer.advance())
        if rank == 0 and (trainer.step % 50 == 0 or trainer.step == options.steps):
            seconds = time.monotonic() - began
            print(f"unet step {trainer.step} {seconds:.0f}s loss {np.mean(losses[-200:]):.4f}", flush=True)
        if rank == 0 and (trainer.step % 100 == 0 or trainer.step == options.steps):
            trainer.save()
    if options.processes > 1:
        dist.barrier()
        dist.destroy_process_group()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the denoiser; resumes from work/sketch/unet.pt.")
    parser.add_argument("--steps", type=int, default=16_000)
    parser.add_argument("--decay", type=int, default=13_000, help="steps at the end in which the rate falls to zero")
    parser.add_argument("--batch", type=int, default=12, help="square pictures a step and process")
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    options = Options(**vars(parser.parse_args(argv)))
    (WORK / "rendezvous").unlink(missing_ok=True)
    if options.processes == 1:
        _run(0, options, WORK)
    else:
        mp.spawn(_run, (options, WORK), nprocs=options.processes)  # type: ignore[attr-defined, no-untyped-call]


if __name__ == "__main__":
    main()
