"""Label, train, realign, and again: the network learns where its phones are while it learns what they sound like."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.speech_demo.align import align, path_of
from training.speech_demo.frames import COEFFICIENTS, SUBSAMPLING, Example
from training.speech_demo.network import CONTEXT, Network, padded
from training.speech_demo.vocabulary import Lexicon

Log = Callable[[str], None]

BATCH = 128
CHUNK = 40
"""Outputs in one training chunk: 1.2 s."""

PRIOR_SCALE = 0.5
"""How far the phones' own frequencies are taken out of the scores before aligning."""

_NO_LABEL = -100
"""nll_loss leaves these out: the padding at an utterance's end."""


@dataclass(frozen=True, slots=True)
class Step:
    """Some epochs over the light copy or over all copies, then perhaps a realignment of the light copy or of all."""

    epochs: int
    rate_from: float
    rate_to: float
    all_copies: bool
    realign_all: bool | None = None


PLAN = (
    Step(2, 2e-3, 1.2e-3, all_copies=False, realign_all=False),
    Step(1, 1.5e-3, 1e-3, all_copies=False, realign_all=True),
    Step(1, 1.5e-3, 1e-3, all_copies=True, realign_all=True),
)


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained network and what its labels say of the phones.

    `prior`: share of the output frames, shape (phones,). `durations`: mean length in output frames, shape (phones,).
    """

    network: Network
    phones: tuple[str, ...]
    prior: NDArray[np.float64]
    durations: NDArray[np.float64]


class Trainer:
    """Runs PLAN over examples, step by step, so that an interrupted run goes on after its last whole step.

    The first `light` of the examples are the light copy.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        light: int,
        lexicon: Lexicon,
        phones: tuple[str, ...],
        seed: int,
        log: Log,
    ) -> None:
        self._examples = examples
        self._light = light
        self._lexicon = lexicon
        self._phones = phones
        self._seed = seed
        self._log = log
        torch.manual_seed(seed)
        self._network = Network(len(phones))

    def run(self, checkpoint: Path, after_step: Callable[[Trained], None]) -> Trained:
        """Do what is left of PLAN, and save to `checkpoint` after every step."""
        for number in range(self._resume(checkpoint), len(PLAN)):
            step = PLAN[number]
            self._log(f"step {number + 1} of {len(PLAN)}: {step}")
            torch.manual_seed(self._seed + number)
            self._train(step)
            if step.realign_all is not None:
                self._realign(self._examples if step.realign_all else self._examples[: self._light])
            self._save(checkpoint, number + 1)
            after_step(self.trained())
        return self.trained()

    def trained(self) -> Trained:
        """The network as it is now, with the statistics of the labels as they are now."""
        return Trained(self._network.eval(), self._phones, self._prior(), self._durations())

    def _train(self, step: Step) -> None:
        examples = self._examples if step.all_copies else self._examples[: self._light]
        features, labels = _chunks(examples)
        batches = len(features) // BATCH
        optimizer = torch.optim.AdamW(self._network.parameters(), lr=step.rate_from, weight_decay=1e-3)
        self._network.train()
        for epoch in range(step.epochs):
            started, losses = time.monotonic(), 0.0
            order = torch.randperm(len(features))
            for batch in range(batches):
                done = epoch * batches + batch
                rate = step.rate_from * (step.rate_to / step.rate_from) ** (done / (batches * step.epochs))
                for group in optimizer.param_groups:
                    group["lr"] = rate * min(1.0, (done + 1) / 50)
                chosen = order[batch * BATCH : (batch + 1) * BATCH]
                x = features[chosen].float()
                outputs = self._network(x + _random_offset(len(x)))
                loss = torch.nn.functional.nll_loss(
                    outputs.flatten(0, 1), labels[chosen].flatten(), ignore_index=_NO_LABEL
                )
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self._network.parameters(), 5.0)
                optimizer.step()
                losses += loss.item()
            self._log(f"  epoch {epoch + 1}: loss {losses / batches:.4f}, {time.monotonic() - started:.0f} s")

    def _realign(self, examples: Sequence[Example]) -> None:
        started, changed, total = time.monotonic(), 0, 0
        index = {phone: i for i, phone in enumerate(self._phones)}
        log_prior = PRIOR_SCALE * np.log(self._prior())
        self._network.eval()
        by_length = sorted(examples, key=lambda e: len(e.labels))
        for start in range(0, len(by_length), 32):
            batch = by_length[start : start + 32]
            longest = max(len(e.labels) for e in batch)
            inputs = np.stack([padded(e.features, longest) for e in batch])
            with torch.inference_mode():
                outputs = self._network(torch.from_numpy(inputs).float()).numpy()
            for example, output in zip(batch, outputs, strict=True):
                scores = (output[: len(example.labels)] - log_prior).astype(np.float32)
                labels = align(scores, path_of(example.text, self._lexicon, index))
                changed += int((labels != example.labels).sum())
                total += len(labels)
                example.labels = labels
        self._log(f"  realigned: {changed / total:.1%} of the labels changed, {time.monotonic() - started:.0f} s")

    def _prior(self) -> NDArray[np.float64]:
        counts = np.ones(len(self._phones))  # one each, so that no phone is impossible
        for example in self._examples:
            counts += np.bincount(example.labels, minlength=len(self._phones))
        return np.asarray(counts / counts.sum())

    def _durations(self) -> NDArray[np.float64]:
        """From the light copy: its speeds are the synthesisers' own."""
        frames, runs = np.zeros(len(self._phones)), np.zeros(len(self._phones))
        for example in self._examples[: self._light]:
            starts = np.flatnonzero(np.diff(example.labels, prepend=-1))
            frames += np.bincount(example.labels, minlength=len(self._phones))
            runs += np.bincount(example.labels[starts], minlength=len(self._phones))
        return np.asarray(frames / np.maximum(runs, 1))

    def _save(self, checkpoint: Path, steps: int) -> None:
        part = checkpoint.with_suffix(".part")
        labels = torch.from_numpy(np.concatenate([e.labels for e in self._examples]))
        torch.save({"steps": steps, "network": self._network.state_dict(), "labels": labels}, part)
        part.replace(checkpoint)

    def _resume(self, checkpoint: Path) -> int:
        """Take the network and the labels from an earlier run; return how many steps that run finished."""
        if not checkpoint.exists():
            return 0
        state = torch.load(checkpoint, weights_only=True)
        self._network.load_state_dict(state["network"])
        labels, start = state["labels"].numpy(), 0
        for example in self._examples:
            length = len(example.labels)
            example.labels = labels[start : start + length]
            start += length
        return int(state["steps"])


def _chunks(examples: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (chunks, frames, COEFFICIENTS) in float16 and labels (chunks, CHUNK), cut from whole utterances."""
    frames = SUBSAMPLING * (CHUNK - 1) + 1 + 2 * CONTEXT
    counts = [-(-len(e.labels) // CHUNK) for e in examples]
    features = np.empty((sum(counts), frames, COEFFICIENTS), np.float16)
    labels = np.full((sum(counts), CHUNK), _NO_LABEL, np.int64)
    row = 0
    for example, count in zip(examples, counts, strict=True):
        whole = padded(example.features, count * CHUNK)
        for chunk in range(count):
            start = chunk * CHUNK
            features[row] = whole[start * SUBSAMPLING : start * SUBSAMPLING + frames]
            known = example.labels[start : start + CHUNK]
            labels[row, : len(known)] = known
            row += 1
    return torch.from_numpy(features), torch.from_numpy(labels)


def _random_offset(batch: int) -> torch.Tensor:
    """Another loudness (coefficient 0) and another channel (the next eleven) for every chunk: cheap augmentation."""
    offset = torch.zeros(batch, 1, COEFFICIENTS)
    offset[:, 0, 0] = torch.randn(batch) * 3
    offset[:, 0, 1:12] = torch.randn(batch, 11) * 2
    return offset
