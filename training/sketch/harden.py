"""The text encoders' second lesson: to find the known words among any number of unknown ones.

The encoders that know captions by heart are the teacher and hear a clean caption; the pupil starts as their copy and
hears the same caption in the midst of other words. It must give the same pooled vector, the same states for the known
words and the padding, and for an unknown word the state that an empty prompt has at its place. The denoiser cannot tell
the two apart, so this may happen before, while or after it learns.
"""

import argparse
import copy
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.sketch import lexicon, text
from training.sketch.attributes import Picture, sample_avatar, sample_scene
from training.sketch.captions import Caption, caption
from training.sketch.lexicon import Strangers
from training.sketch.paths import WORK
from training.sketch.tokenizer import MAX_LENGTH, WordTokens

# Kinds of words. The last two also stand for the places in the clean caption that such words do not have: they never
# mean anything, or mean something beside another kind of picture and their states are left to the pupil.
KNOWN, NOISE, ELSEWHERE = 0, -1, -2
AVATAR_SHARE = 0.55
KNOWN_WEIGHT = 4.0  # of the states of a caption's own words: they are what the denoiser attends to


def pair(rng: random.Random, tokens: WordTokens, words: Strangers) -> tuple[list[int], list[int], list[int]]:
    """Ids of a clean caption, ids of a noisy one, and for each place of the noisy one its place in the clean one.

    All three have 77 entries; NOISE marks an unknown word, whose like is the empty prompt at the same place, and
    ELSEWHERE one that means something beside another kind of picture.
    """
    picture: Picture = sample_avatar(rng) if rng.random() < AVATAR_SHARE else sample_scene(rng)
    said = caption(picture, rng, keep=rng.choice((0.0, 0.3, 0.6, 0.9)), filler=0.2)
    if rng.random() < 0.04:
        said = Caption(())
    pieces = [[(i, KNOWN) for i in tokens(phrase.text)] for phrase in said.phrases]
    room = MAX_LENGTH - 2 - sum(map(len, pieces))
    for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 5))):
        extra = [
            (i, ELSEWHERE if word.strip(",") in words.said_of_faces else NOISE)
            for word in words.noise(rng.choice((1, 2, 4, 8, 16, 28)), words.beside(picture), rng).split()
            for i in tokens(word)
        ][: max(0, room)]
        room -= len(extra)
        pieces.insert(rng.randrange(len(pieces) + 1), extra)
    mixed = [one for piece in pieces for one in piece]
    clean = [i for i, kind in mixed if kind == KNOWN][: MAX_LENGTH - 2]
    noisy = [i for i, _ in mixed]
    places, seen = [0], 0
    for _, kind in mixed:
        seen += kind == KNOWN
        places.append(seen if kind == KNOWN else kind)
    noisy, places = noisy[: MAX_LENGTH - 2], places[: MAX_LENGTH - 1]
    places += [len(clean) + 1, *range(len(places) + 1, MAX_LENGTH)]
    return text.pad(clean, tokens), text.pad(noisy, tokens), places


def distance(guess: Tensor, target: Tensor, spread: Tensor) -> Tensor:
    """Mean squared error of each row in units of the target's variance."""
    return ((guess - target) / spread).square().mean(-1)


def train(folder: Path, steps: int, size: int, rate: float, seed: int) -> None:
    """Reads `text.pt`, writes `text-hard.pt`, and goes on from the latter where it is."""
    torch.manual_seed(seed)
    rng, words = random.Random(seed), lexicon.strangers()
    tokenizer, first, second = text.load_plain(folder)
    tokens = WordTokens(tokenizer)
    teacher: tuple[Any, Any] = (first, second)
    begun = text.load(folder)[1:] if (folder / "text-hard.pt").exists() else copy.deepcopy(teacher)
    pupil: tuple[Any, Any] = (begun[0].train(), begun[1].train())
    parameters = [p for encoder in pupil for p in encoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.08)
    with torch.no_grad():
        empty = text.encode(*teacher, torch.tensor([text.pad([], tokens)]))[0]
    began = time.monotonic()
    for step in range(steps):
        rows = [pair(rng, tokens, words) for _ in range(size)]
        clean, noisy, places = (torch.tensor(column) for column in zip(*rows, strict=True))
        with torch.no_grad():
            states, pooled = text.encode(*teacher, clean)
            target = torch.gather(states, 1, places.clamp(min=0)[:, :, None].expand_as(states))
            target = torch.where((places == NOISE)[:, :, None], empty, target)
        guess, vector = text.encode(*pupil, noisy)
        said = ((clean != tokens.pad) & (clean != tokens.end)).sum(1, keepdim=True) - 1
        known = torch.where((places > 0) & (places <= said), KNOWN_WEIGHT, 1.0) * (places != ELSEWHERE)
        loss_states = (distance(guess, target, states.std((0, 1))) * known).sum() / known.sum()
        loss_pooled = distance(vector, pooled, pooled.std(0).mean()).mean()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss_states + loss_pooled)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            seconds = time.monotonic() - began
            losses = f"states {float(loss_states.detach()):.4f} pooled {float(loss_pooled.detach()):.4f}"
            print(f"harden step {step + 1} {seconds:.0f}s {losses}", flush=True)
            text.save(folder / "text-hard.pt", *pupil)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make the text encoders deaf to unknown words.")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=40)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    train(WORK, options.steps, options.batch, options.rate, options.seed)


if __name__ == "__main__":
    main()
