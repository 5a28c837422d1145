"""Trains the denoiser: v-prediction on latents of drawn pictures.

    python -m tools.sketch.train --steps 4600

Each process uses one thread and the processes average their gradients: with two busy cores this is faster than one
process with two threads, whose barriers wait for whatever else runs. Everything random follows from (seed, step, rank),
so a run resumes from its checkpoint as if it had not stopped. The rate is constant and falls only in the last
`--decay` steps: a run can be lengthened by resuming with a larger `--steps`.
"""

import argparse
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import Tensor

from tools.sketch import data, text
from tools.sketch.attributes import Picture
from tools.sketch.conditioning import Conditioner, Prompt, prompt, time_ids
from tools.sketch.paths import WORK
from tools.sketch.tokenizer import WordTokens
from tools.sketch.vae import CHANNELS

WIDE_SHARE = 0.27  # of the steps
EMA_DECAY = 0.9985
TIME_FEATURES = 16


@dataclass(frozen=True)
class Options:
    """A run. `batch` is of square pictures and for one process."""

    steps: int
    decay: int
    batch: int
    rate: float
    seed: int
    processes: int


def make_unet() -> Any:
    """SDXL's architecture, about 12 M parameters; no attention at the finest level, where it costs most."""
    from diffusers import UNet2DConditionModel

    widths = (96, 160, 192)
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
    """Zero terminal SNR, so that dark and light pictures start from the same noise (Lin et al. 2023)."""
    from diffusers import EulerDiscreteScheduler

    return EulerDiscreteScheduler(
        beta_schedule="scaled_linear",
        beta_start=0.00085,
        beta_end=0.012,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def loss_weight(signal: Tensor, gamma: float = 5.0) -> Tensor:
    """Min-SNR-gamma for v-prediction (Hang et al. 2023); `signal` is alpha bar, 0..1.

    Held above 0.5: the first steps, from almost pure noise, decide what the picture shows.
    """
    ratio = signal / (1 - signal)
    return (ratio.clamp(max=gamma) / (ratio + 1)).clamp(min=0.5)


class Trainer:
    """One process of a run."""

    def __init__(self, options: Options, rank: int, folder: Path) -> None:
        torch.manual_seed(options.seed)
        self.options, self.rank, self.folder = options, rank, folder
        self.buckets = {name: data.load(folder, name) for name in data.WIDTHS}
        tokenizer, first, second = text.load(folder)
        self.tokens = WordTokens(tokenizer)
        self.condition = Conditioner(first, second, self.tokens)
        self.signal = make_scheduler().alphas_cumprod.float()
        self.unet = make_unet().to(memory_format=torch.channels_last)
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

    def loss(self, latents: Tensor, prompts: Sequence[Prompt], sizes: Tensor, noise: Tensor, when: Tensor) -> Tensor:
        """Weighted squared error of v for each picture, (n,)."""
        states, pooled = self.condition(prompts)
        signal = self.signal[when][:, None, None, None]
        noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
        target = signal.sqrt() * noise - (1 - signal).sqrt() * latents
        with torch.autocast("cpu", torch.bfloat16):
            guess = self.unet(
                noisy.contiguous(memory_format=torch.channels_last),
                when,
                states,
                added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes},
            ).sample
        error: Tensor = (guess.float() - target).square().mean((1, 2, 3))
        return loss_weight(self.signal[when]) * error

    def batch(self, rng: random.Random, generator: torch.Generator, bucket: str) -> Tensor:
        """The mean loss of one drawn batch."""
        records, stored = self.buckets[bucket]
        width = data.WIDTHS[bucket]
        count = max(1, round(self.options.batch * 256 / width))
        chosen = [rng.randrange(len(records)) for _ in range(count)]
        latents = torch.from_numpy(stored[chosen].astype(np.float32))
        prompts = [self._prompt(records[i], rng) for i in chosen]
        # Stratified over the batch: less variance than independent times.
        when = ((torch.arange(count) + torch.rand(count, generator=generator)) / count * 1000).long().clamp(max=999)
        noise = torch.randn(latents.shape, generator=generator)
        return self.loss(latents, prompts, time_ids(count, width, 256, rng), noise, when).mean()

    def _prompt(self, record: Picture, rng: random.Random) -> Prompt:
        return prompt(record, rng, self.tokens)

    def advance(self) -> float:
        """One step; returns this process's loss."""
        options = self.options
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        shared = random.Random(f"{options.seed}/{self.step}")  # both processes take the same bucket, so none waits
        bucket = "wide" if shared.random() < WIDE_SHARE else "square"
        rng = random.Random(f"{options.seed}/{self.step}/{self.rank}")
        generator = torch.Generator().manual_seed(rng.getrandbits(48))
        loss = self.batch(rng, generator, bucket)
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
        flat = torch.cat([g.flatten() for g in gradients])
        dist.all_reduce(flat)
        flat /= self.options.processes
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _run(rank: int, options: Options, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if options.processes > 1:
        rendezvous = (folder / "rendezvous").resolve()
        dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=options.processes)
    trainer = Trainer(options, rank, folder)
    began, losses = time.monotonic(), []
    while trainer.step < options.steps:
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
    parser.add_argument("--steps", type=int, default=4600)
    parser.add_argument("--decay", type=int, default=1900, help="steps at the end in which the rate falls to zero")
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
