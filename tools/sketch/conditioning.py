"""What the denoiser is told at a training step: captions, weighted words, empty and negative prompts, sizes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from tools.sketch import text
from tools.sketch.attributes import Picture
from tools.sketch.captions import NEGATIVES, Caption, Phrase, caption, rival
from tools.sketch.tokenizer import MAX_LENGTH, WordTokens

# Shares of the training prompts. Zero embeddings are what the pipeline uses for a missing negative prompt, an encoded
# "" is what compel uses, and the usual negative prompts must mean as little as either.
ZERO, EMPTY, NEGATIVE = 0.05, 0.04, 0.03
# Weighted prompts: a phrase against a weaker rival, and a phrase that is merely stressed or played down.
CONTESTED, STRESSED = 0.12, 0.08


@dataclass(frozen=True)
class Prompt:
    """Token ids (77), their weights (77), the attributes they decide, and whether the embeddings become zeros."""

    ids: list[int]
    weights: list[float]
    said: frozenset[str] = frozenset()
    zero: bool = False


def _coded(phrases: Sequence[tuple[Phrase, float]], tokens: WordTokens, said: frozenset[str] = frozenset()) -> Prompt:
    ids: list[int] = []
    weights: list[float] = []
    for phrase, weight in phrases:
        new = tokens(phrase.text)
        ids += new
        weights += [weight] * len(new)
    inner = weights[: MAX_LENGTH - 2]
    return Prompt(text.pad(ids, tokens), [1.0, *inner, *[1.0] * (MAX_LENGTH - 1 - len(inner))], said)


def _contested(picture: Picture, words: Caption, rng: random.Random) -> list[tuple[Phrase, float]] | None:
    """The caption with a rival of one phrase; the true one weighs more, as in "(red hair)1.4, blonde hair"."""
    told = [phrase for phrase in words.phrases if rival(picture, phrase, rng) is not None]
    if not told:
        return None
    true = rng.choice(told)
    other = rival(picture, true, rng)
    assert other is not None
    strong, weak = (rng.uniform(1.2, 1.7), 1.0) if rng.random() < 0.75 else (1.0, rng.uniform(0.3, 0.7))
    pairs = [(phrase, strong if phrase is true else 1.0) for phrase in words.phrases]
    pairs.insert(rng.randrange(len(pairs) + 1), (other, weak))
    return pairs


def prompt(picture: Picture, rng: random.Random, tokens: WordTokens) -> Prompt:
    """One training prompt for `picture`."""
    draw = rng.random()
    if draw < ZERO:
        return Prompt(text.pad([], tokens), [1.0] * MAX_LENGTH, zero=True)
    if draw < ZERO + EMPTY:
        return _coded([], tokens)
    if draw < ZERO + EMPTY + NEGATIVE:
        return _coded([(Phrase(", ".join(rng.sample(NEGATIVES, rng.randint(1, 8)))), 1.0)], tokens)
    words = caption(picture, rng, keep=rng.choice((0.35, 0.6, 0.8, 1.0)))
    draw = rng.random()
    if draw < CONTESTED and (contested := _contested(picture, words, rng)) is not None:
        return _coded(contested, tokens, words.said)
    if draw < CONTESTED + STRESSED:
        stressed = rng.randrange(len(words.phrases)) if words.phrases else 0
        weight = rng.uniform(1.05, 1.6) if rng.random() < 0.8 else rng.uniform(0.7, 0.95)
        phrases = [(phrase, weight if i == stressed else 1.0) for i, phrase in enumerate(words.phrases)]
        return _coded(phrases, tokens, words.said)
    return _coded([(phrase, 1.0) for phrase in words.phrases], tokens, words.said)


class Conditioner:
    """Turns prompts into embeddings with the frozen encoders, weighting tokens as compel does."""

    def __init__(self, first: Any, second: Any, tokens: WordTokens) -> None:
        self._first, self._second = first, second
        self._empty = self._encode(torch.tensor([text.pad([], tokens)]))[0]

    def _encode(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            states, pooled = text.encode(self._first, self._second, ids)
        return states.float(), pooled.float()

    def __call__(self, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        """Token states (n, 77, 256) and pooled vectors (n, 192)."""
        states, pooled = self._encode(torch.tensor([p.ids for p in prompts]))
        weights = torch.tensor([p.weights for p in prompts])[:, :, None]
        kept = torch.tensor([0.0 if p.zero else 1.0 for p in prompts])
        states = self._empty + (states - self._empty) * weights
        return states * kept[:, None, None], pooled * kept[:, None]


def time_ids(count: int, width: int, height: int, rng: random.Random) -> Tensor:
    """SDXL's (original h, w, crop top, left, target h, w); now and then a larger original: it need not match."""
    rows = []
    for _ in range(count):
        factor = rng.uniform(1, 4) if rng.random() < 0.15 else 1.0
        rows.append([height * factor, width * factor, 0.0, 0.0, float(height), float(width)])
    return torch.tensor(rows)
