"""The attribute judge: a small CNN that tells what a drawing shows. It sees drawings only, never the model's pictures.

    python -m training.sketch.judge

Its own accuracy on drawings it has not seen is stored beside its weights, attribute by attribute.
"""

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from training.sketch import attributes as names
from training.sketch import data
from training.sketch.attributes import Picture, value
from training.sketch.draw import draw

WEIGHTS = Path("bench/sketch_judge.safetensors")
SIDE = 128  # pixels of the square it looks at
HEADS: dict[str, tuple[str, ...]] = {
    "skin": names.SKINS,
    "hair": names.HAIRS,
    "style": names.STYLES,
    "glasses": names.GLASSES,
    "beard": names.BEARDS,
    "hat": names.HATS,
    "hat_color": names.HAT_COLORS,
    "expression": names.EXPRESSIONS,
    "clothes": names.CLOTHES,
    "background": names.BACKGROUNDS,
    "scene": names.SCENES,
    "time": names.TIMES,
    "kind": names.KINDS,
}
UNKNOWN = -100  # cross_entropy's ignore_index


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class Judge(nn.Module):
    """(n, 3, 128, 128) in -1..1 -> logits for each attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            _block(3, 24, 2), _block(24, 32, 1), _block(32, 56, 2), _block(56, 56, 1), _block(56, 96, 2),
            _block(96, 96, 1), _block(96, 128, 2),
        )  # fmt: skip
        self.shared = nn.Linear(128 * 64, 96)
        self.heads = nn.ModuleDict({name: nn.Linear(96, len(values)) for name, values in HEADS.items()})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        shared = functional.relu(self.shared(self.features(pictures).flatten(1)))
        return {name: head(shared) for name, head in self.heads.items()}


def look(picture: Image.Image) -> NDArray[np.uint8]:
    """The centre square at 128 px, (128, 128, 3)."""
    left = (picture.width - picture.height) // 2
    square = picture.crop((left, 0, left + picture.height, picture.height))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX))


def tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """(n, h, w, 3) bytes -> (n, 3, h, w) in -1..1."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def targets(picture: Picture) -> list[int]:
    """Each head's class, or UNKNOWN where the picture has no such attribute."""
    held = [(values, value(picture, name)) for name, values in HEADS.items()]
    return [UNKNOWN if v is None else values.index(v) for values, v in held]


def drawn(count: int, seed: int) -> tuple[NDArray[np.uint8], Tensor]:
    """Pictures (count, 128, 128, 3) and their classes (count, heads)."""
    rng = random.Random(f"judge/{seed}")
    pixels, rows = [], []
    for i in range(count):
        bucket = "wide" if i % 4 == 3 else "square"
        record = data.sample(bucket, rng)
        pixels.append(look(draw(record, rng, data.WIDTHS[bucket], 256)))
        rows.append(targets(record))
    return np.stack(pixels), torch.tensor(rows)


def _disturbed(pictures: Tensor, rng: random.Random, generator: torch.Generator) -> Tensor:
    """Blur, noise and a shift: a judge of clean drawings only would be thrown by a decoder's softness."""
    if rng.random() < 0.5:
        soft = functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
        pictures = torch.lerp(pictures, soft, rng.random())
    pictures = pictures + torch.randn(pictures.shape, generator=generator) * rng.uniform(0, 0.1)
    moved = functional.pad(pictures, (4, 4, 4, 4), mode="replicate")
    x, y = rng.randrange(9), rng.randrange(9)
    return moved[:, :, y : y + SIDE, x : x + SIDE]


def accuracy(judge: Judge, pixels: NDArray[np.uint8], classes: Tensor) -> dict[str, float]:
    """Share of right answers, 0..1, for each attribute."""
    judge.eval()
    with torch.no_grad():
        guesses = [judge(tensor(pixels[i : i + 50])) for i in range(0, len(pixels), 50)]
    result = {}
    for i, name in enumerate(HEADS):
        guess, known = torch.cat([g[name] for g in guesses]).argmax(1), classes[:, i] != UNKNOWN
        result[name] = round(float((guess == classes[:, i])[known].float().mean()), 4)
    return result


def train(judge: Judge, count: int, steps: int, batch: int, rate: float, seed: int) -> None:
    """Trains on `count` drawings."""
    pixels, classes = drawn(count, seed=10 * (1 + seed))
    judge.train()
    optimizer = torch.optim.AdamW(judge.parameters(), lr=rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.1)
    rng, generator, began = random.Random(seed), torch.Generator().manual_seed(seed), time.monotonic()
    for step in range(steps):
        chosen = [rng.randrange(count) for _ in range(batch)]
        pictures = _disturbed(tensor(pixels[chosen]), rng, generator)
        guesses = judge(pictures)
        loss = torch.stack(
            [functional.cross_entropy(guesses[name], classes[chosen, i]) for i, name in enumerate(HEADS)
             if (classes[chosen, i] != UNKNOWN).any()]
        ).sum()  # fmt: skip
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if (step + 1) % 100 == 0:
            print(f"judge step {step + 1} {time.monotonic() - began:.0f}s loss {float(loss.detach()):.3f}", flush=True)


def save(judge: Judge, accuracies: dict[str, float]) -> None:
    from safetensors.torch import save_file

    WEIGHTS.parent.mkdir(parents=True, exist_ok=True)
    state = {name: (v.half() if v.is_floating_point() else v).contiguous() for name, v in judge.state_dict().items()}
    save_file(state, WEIGHTS, metadata={"accuracy": json.dumps(accuracies)})


def load() -> tuple[Judge, dict[str, float]]:
    """The shipped judge and its accuracy on held-out drawings."""
    from safetensors import safe_open

    with safe_open(WEIGHTS, framework="pt") as stored:
        state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a mapping
        accuracies: dict[str, float] = json.loads(stored.metadata()["accuracy"])
    judge = Judge()
    judge.load_state_dict({name: v.float() if v.is_floating_point() else v for name, v in state.items()})
    judge.eval()
    return judge, accuracies


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the attribute judge on drawings.")
    parser.add_argument("--drawings", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    judge = Judge()
    train(judge, options.drawings, options.steps, options.batch, options.rate, options.seed)
    accuracies = accuracy(judge, *drawn(1500, seed=2))
    print("accuracy on held-out drawings", accuracies)
    save(judge, accuracies)


if __name__ == "__main__":
    main()
