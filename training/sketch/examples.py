"""What a training step is about: pictures, the words for them, and what else those words could mean."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.sketch import data
from training.sketch.attributes import Picture
from training.sketch.conditioning import Prompt, prompt, time_ids
from training.sketch.lexicon import strangers
from training.sketch.recolor import Colorings, colorings, recolored
from training.sketch.tokenizer import WordTokens

RECOLORED_SHARE = 0.7  # of the square avatars
# Under noise of 5 to 40 times the latents' spread, times 740 to 950, it is decided what the words leave open. Taught
# evenly over all times, the denoiser decided each corner for itself: hair of two colours.
DECIDING_TIME, DECIDING_SHARE = 700, 0.6


def _tensor(latents: data.Latents) -> Tensor:
    return torch.from_numpy(latents.astype(np.float32))


def times(quantile: Tensor) -> Tensor:
    """The times, 0..999, at these quantiles (0..1) of the times that are taught."""
    early = 1 - DECIDING_SHARE
    low = quantile / early * DECIDING_TIME
    high = DECIDING_TIME + (quantile - early) / DECIDING_SHARE * (1000 - DECIDING_TIME)
    return torch.where(quantile < early, low, high).long().clamp(max=999)


@dataclass(frozen=True)
class Example:
    """A picture's latents (32, 16, w/16), its prompt, and what else those words could mean, where that is known."""

    record: Picture
    latents: Tensor
    prompt: Prompt
    possible: Colorings | None = None


@dataclass(frozen=True)
class Batch:
    """What one step is about: n examples, each with its noise (n, 32, 16, w/16), its time and its sizes."""

    examples: Sequence[Example]
    noise: Tensor
    when: Tensor
    sizes: Tensor


def expected(examples: Sequence[Example], noisy: Tensor, signal: Tensor) -> Tensor:
    """The latents (n, 32, 16, w/16) to expect under the noise, given the words and what they leave open.

    On average it is what a denoiser learns anyway. Told the very picture that the noise was put on, it has to find that
    average by itself, which under much noise takes it very long (Xu et al. 2023, "Stable target field").
    """
    return torch.stack(
        [
            example.latents if example.possible is None else example.possible.expected(noisy[i], signal[i].flatten())
            for i, example in enumerate(examples)
        ]
    )


class Examples:
    """Draws examples by lot. Everything follows from the generators that it is given."""

    def __init__(self, folder: Path, tokens: WordTokens) -> None:
        self._buckets = {name: data.load(folder, name) for name in data.WIDTHS}
        self._tokens = tokens
        self._strangers = strangers()

    def batch(self, bucket: str, size: int, rng: random.Random, generator: torch.Generator) -> Batch:
        """`size` square pictures, or as many wide ones as cost the same."""
        width = data.WIDTHS[bucket]
        count = max(1, round(size * 256 / width))
        examples = [self._example(bucket, rng) for _ in range(count)]
        # Stratified over the batch: less variance than independent times.
        when = times((torch.arange(count) + torch.rand(count, generator=generator)) / count)
        noise = torch.randn((count, *examples[0].latents.shape), generator=generator)
        return Batch(examples, noise, when, time_ids(count, width, 256, rng))

    def _example(self, bucket: str, rng: random.Random) -> Example:
        stored = self._buckets[bucket]
        if rng.random() >= data.AVATAR_SHARE[bucket]:
            index = rng.randrange(len(stored.scenes))
            scene = stored.scenes[index]
            return Example(scene, _tensor(stored.scene_latents[index]), self._prompt(scene, rng))
        if stored.shapes and rng.random() < RECOLORED_SHARE:
            index = rng.randrange(len(stored.shapes))
            avatar = recolored(stored.shapes[index], rng)
            words = self._prompt(avatar, rng)
            latents, possible = colorings(avatar, stored.shape_latents[index], words.said, rng)
            return Example(avatar, latents, words, possible)
        index = rng.randrange(len(stored.avatars))
        avatar = stored.avatars[index]
        return Example(avatar, _tensor(stored.avatar_latents[index]), self._prompt(avatar, rng))

    def _prompt(self, picture: Picture, rng: random.Random) -> Prompt:
        return prompt(picture, rng, self._tokens, self._strangers)
