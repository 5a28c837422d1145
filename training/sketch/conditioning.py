"""What the denoiser is told at a training step: captions, weighted words, empty and negative prompts, sizes."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from training.sketch import text
from training.sketch.attributes import Picture
from training.sketch.captions import NEGATIVES, Caption, Phrase, caption, rival
from training.sketch.lexicon import Strangers
from training.sketch.tokenizer import MAX_LENGTH, WordTokens

# Shares of the training prompts. Zero embeddings are what the pipeline uses for a missing negative prompt, an encoded
# "" is what compel uses, and the usual negative prompts must mean as little as either.
ZERO, EMPTY, NEGATIVE = 0.05, 0.03, 0.04
# Weighted prompts: a phrase against a weaker rival, and a phrase that is merely stressed or played down.
CONTESTED, STRESSED = 0.12, 0.08
# Prompts with other words around the known ones, as presets and posts have them, and how many follow one another.
SURROUNDED = 0.4
RUNS = (1, 2, 4, 8, 16, 28)
MAX_CHUNKS = 3


@dataclass(frozen=True)
class Prompt:
    """Token ids and their weights, in chunks of 77 as compel cuts them, the attributes that the words decide, and
    whether the embeddings become zeros."""

    ids: list[int]
    weights: list[float]
    said: frozenset[str] = frozenset()
    zero: bool = False


def _coded(phrases: Sequence[tuple[Phrase, float]], tokens: WordTokens, said: frozenset[str] = frozenset()) -> Prompt:
    coded = [(i, weight) for phrase, weight in phrases for i in tokens(phrase.text)]
    room = MAX_LENGTH - 2
    ids: list[int] = []
    weights: list[float] = []
    for first in range(0, min(max(1, len(coded)), MAX_CHUNKS * room), room):
        chunk = coded[first : first + room]
        ids += text.pad([i for i, _ in chunk], tokens)
        weights += [1.0, *(weight for _, weight in chunk), *[1.0] * (MAX_LENGTH - 1 - len(chunk))]
    return Prompt(ids, weights, said)


def _surrounded(
    phrases: Sequence[Phrase], strangers: Strangers, words: tuple[str, ...], rng: random.Random
) -> list[Phrase]:
    """The phrases among others that mean nothing, now and then so many that the phrases stand in a later chunk."""
    among = list(phrases)
    for _ in range(rng.choice((1, 1, 2, 3, 4, 5))):
        among.insert(rng.randrange(len(among) + 1), Phrase(strangers.noise(rng.choice(RUNS), words, rng)))
    if rng.random() < 0.25:
        among.insert(0, Phrase(strangers.noise(rng.randint(30, 60), words, rng)))
    return among


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


def prompt(picture: Picture, rng: random.Random, tokens: WordTokens, strangers: Strangers) -> Prompt:
    """One training prompt for `picture`."""
    draw = rng.random()
    if draw < ZERO:
        return Prompt(text.pad([], tokens), [1.0] * MAX_LENGTH, zero=True)
    if draw < ZERO + EMPTY:
        return _coded([], tokens)
    if draw < ZERO + EMPTY + NEGATIVE:
        usual = [Phrase(", ".join(rng.sample(NEGATIVES, rng.randint(1, 8))))]
        return _coded([(phrase, 1.0) for phrase in _surrounded(usual, strangers, strangers.faces, rng)], tokens)
    words = caption(picture, rng, keep=rng.choice((0.0, 0.35, 0.6, 0.8, 1.0)))
    if rng.random() < SURROUNDED:
        words = Caption(tuple(_surrounded(words.phrases, strangers, strangers.beside(picture), rng)))
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
    """Turns prompts into embeddings with the frozen encoders, weighting tokens and joining chunks as compel does."""

    def __init__(self, first: Any, second: Any, tokens: WordTokens) -> None:
        self._first, self._second = first, second
        self._empty = self._encode(torch.tensor([text.pad([], tokens)]))[0]

    def _encode(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            states, pooled = text.encode(self._first, self._second, ids)
        return states.float(), pooled.float()

    def __call__(self, prompts: Sequence[Prompt]) -> tuple[Tensor, Tensor]:
        """Token states (n, 77 for each chunk of the longest, 256) and pooled vectors of the first chunks (n, 192)."""
        counts = [len(p.ids) // MAX_LENGTH for p in prompts]
        states, pooled = self._encode(torch.tensor([i for p in prompts for i in p.ids]).view(-1, MAX_LENGTH))
        weights = torch.tensor([weight for p in prompts for weight in p.weights]).view(-1, MAX_LENGTH, 1)
        kept = torch.tensor([0.0 if p.zero else 1.0 for p in prompts])
        chunks = torch.split(self._empty + (states - self._empty) * weights, counts)
        firsts = pooled[[sum(counts[:i]) for i in range(len(counts))]]
        missing = [self._empty.expand(max(counts) - count, -1, -1) for count in counts]
        states = torch.stack([torch.cat(parts).flatten(0, 1) for parts in zip(chunks, missing, strict=True)])
        return states * kept[:, None, None], firsts * kept[:, None]


def time_ids(count: int, width: int, height: int, rng: random.Random) -> Tensor:
    """SDXL's (original h, w, crop top, left, target h, w); now and then a larger original: it need not match."""
    rows = []
    for _ in range(count):
        factor = rng.uniform(1, 4) if rng.random() < 0.15 else 1.0
        rows.append([height * factor, width * factor, 0.0, 0.0, float(height), float(width)])
    return torch.tensor(rows)
