"""The two text encoders, taught by themselves to find in a caption what it says.

Both must know a caption's attributes before a denoiser can use them. Learned through pictures that takes most of the
training; learned as classification it takes minutes: from the pooled vector, and from attention over the tokens (as the
denoiser's cross attention reads them), predict each attribute's value or that it is unsaid.
"""

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.sketch import attributes as names
from training.sketch.attributes import Picture, sample_avatar, sample_scene, value
from training.sketch.captions import Caption, caption
from training.sketch.paths import WORK
from training.sketch.tokenizer import MAX_LENGTH, WordTokens, make_tokenizer

FIRST_WIDTH, SECOND_WIDTH, POOLED = 96, 160, 192
TEXT_WIDTH = FIRST_WIDTH + SECOND_WIDTH

TARGETS: dict[str, tuple[str, ...]] = {
    "gender": names.GENDERS,
    "skin": names.SKINS,
    "style": names.STYLES,
    "hair": names.HAIRS,
    "glasses": names.GLASSES,
    "beard": names.BEARDS,
    "hat": names.HATS,
    "hat_color": names.HAT_COLORS,
    "expression": names.EXPRESSIONS,
    "background": names.BACKGROUNDS,
    "clothes": names.CLOTHES,
    "pattern": names.PATTERNS,
    "scene": names.SCENES,
    "time": names.TIMES,
    "accent": names.ACCENTS,
}


def make_encoders(tokenizer: Any) -> tuple[Any, Any]:
    """CLIP text models in the shapes that SDXL pairs: the second has a projection."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    def config(width: int, **more: Any) -> Any:
        return CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=3,
            num_attention_heads=width // 32,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **more,
        )

    second = CLIPTextModelWithProjection(config(SECOND_WIDTH, projection_dim=POOLED, hidden_act="gelu"))
    return CLIPTextModel(config(FIRST_WIDTH, projection_dim=FIRST_WIDTH)), second


def encode(first: Any, second: Any, ids: Tensor) -> tuple[Tensor, Tensor]:
    """As the SDXL pipeline does: ids (n, 77) -> token states (n, 77, 256) and pooled vectors (n, 192)."""
    a = first(ids, output_hidden_states=True).hidden_states[-2]
    b = second(ids, output_hidden_states=True)
    return torch.cat([a, b.hidden_states[-2]], -1), b.text_embeds


def pad(ids: Sequence[int], tokens: WordTokens, length: int = MAX_LENGTH) -> list[int]:
    """With start, end and padding, cut to `length`."""
    inner = list(ids[: length - 2])
    return [tokens.start, *inner, tokens.end, *[tokens.pad] * (length - 2 - len(inner))]


def labels(picture: Picture, words: Caption) -> list[int]:
    """For each target: 0 where the caption does not say it, else 1 + the value's place."""
    row = []
    for name, values in TARGETS.items():
        held = value(picture, name) if name in words.said else None
        row.append(0 if held is None else 1 + values.index(held))
    return row


class Heads(nn.Module):
    """Reads the attributes from the pooled vector, and from the tokens by one learned query for each attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(len(TARGETS), TEXT_WIDTH) * 0.05)
        self.pooled = nn.ModuleList(nn.Linear(POOLED, 1 + len(v)) for v in TARGETS.values())
        self.attended = nn.ModuleList(nn.Linear(TEXT_WIDTH, 1 + len(v)) for v in TARGETS.values())

    def forward(self, states: Tensor, pooled: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean loss, and the share of right answers for (pooled, attended) as a tensor (2, targets)."""
        share = torch.softmax(self.query @ states.transpose(1, 2) / TEXT_WIDTH**0.5, -1)
        attended = share @ states
        losses, right = [], []
        for heads, inputs in ((self.pooled, [pooled] * len(TARGETS)), (self.attended, list(attended.unbind(1)))):
            for i, (head, features) in enumerate(zip(heads, inputs, strict=True)):
                guess = head(features)
                losses.append(functional.cross_entropy(guess, target[:, i]))
                right.append((guess.argmax(-1) == target[:, i]).float().mean())
        return torch.stack(losses).mean(), torch.stack(right).reshape(2, -1)


def batch(size: int, rng: random.Random, tokens: WordTokens, length: int) -> tuple[Tensor, Tensor]:
    """Fresh captions: ids (size, length) and labels (size, targets)."""
    ids, rows = [], []
    for _ in range(size):
        picture: Picture = sample_avatar(rng) if rng.random() < 0.75 else sample_scene(rng)
        words = caption(picture, rng, keep=rng.choice((0.5, 0.8, 1.0)))
        coded = tokens(words.text)
        if len(coded) > length - 2:  # what is cut off cannot be found
            words, coded = Caption(()), []
        ids.append(pad(coded, tokens, length))
        rows.append(labels(picture, words))
    return torch.tensor(ids), torch.tensor(rows)


def train(folder: Path, steps: int, size: int, rate: float, seed: int) -> None:
    """Writes `text.pt`. Most batches are cut to 40 tokens: the rest of the 77 is padding, and costs the same."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    tokenizer = make_tokenizer(folder / "tokenizer")
    tokens = WordTokens(tokenizer)
    first, second = make_encoders(tokenizer)
    heads = Heads()
    parameters = [*first.parameters(), *second.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps + 1, pct_start=0.08)
    began = time.monotonic()
    for step in range(steps):
        ids, target = batch(size, rng, tokens, MAX_LENGTH if step % 4 == 3 else 40)
        loss, right = heads(*encode(first, second, ids), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if (step + 1) % 50 == 0 or step + 1 == steps:
            accuracy = " ".join(f"{name} {float(v):.2f}" for name, v in zip(TARGETS, right.min(0).values, strict=True))
            print(
                f"text step {step + 1} {time.monotonic() - began:.0f}s loss {float(loss.detach()):.4f} {accuracy}",
                flush=True,
            )
    save(folder / "text.pt", first, second)


def save(path: Path, first: Any, second: Any) -> None:
    torch.save({"first": first.state_dict(), "second": second.state_dict()}, path)


def load_plain(folder: Path) -> tuple[Any, Any, Any]:
    """Tokenizer and both encoders as this lesson leaves them."""
    return _load(folder, "text.pt")


def load(folder: Path) -> tuple[Any, Any, Any]:
    """Tokenizer and both encoders after both lessons (`training.sketch.harden` is the second)."""
    return _load(folder, "text-hard.pt")


def _load(folder: Path, name: str) -> tuple[Any, Any, Any]:
    tokenizer = make_tokenizer(folder / "tokenizer")
    first, second = make_encoders(tokenizer)
    stored = torch.load(folder / name, weights_only=True)
    first.load_state_dict(stored["first"])
    second.load_state_dict(stored["second"])
    return tokenizer, first.eval(), second.eval()


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Train the text encoders.")
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    train(WORK, options.steps, options.batch, options.rate, options.seed)


if __name__ == "__main__":
    main()
