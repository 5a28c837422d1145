"""Turns prompt and negative prompt into what the UNet is steered by: weights and any length, through compel.

Both compel's syntax and A1111's are read, the latter by way of `syntax.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyparsing
import torch
from compel.prompt_parser import Blend, Conjunction, FlattenedPrompt, PromptParser

from engines.errors import InvalidRequest
from engines.sdxl.syntax import read_prompt

SYNTAX = re.compile(r"""[()"]|[+-](?=[\s,.]|$)""")
"""What compel may read as more than words. Text without it needs no parser, which takes seconds for a long one."""


@dataclass(frozen=True, slots=True)
class Conditioning:
    """`embeds`: 1 x tokens x width of both encoders together; `pooled`: 1 x width. Negative ones have the same shapes,
    and are None without guidance."""

    embeds: torch.Tensor
    pooled: torch.Tensor
    negative_embeds: torch.Tensor | None
    negative_pooled: torch.Tensor | None


def encode(compel: Any, prompt: str, negative_prompt: str, *, guided: bool) -> Conditioning:
    """Encode both prompts, padded to the same number of tokens. Raises InvalidRequest if weights overflow."""
    positive = _encode_one(compel, prompt, "prompt")
    if not guided:
        return Conditioning(_join(compel, positive, _tokens(positive)), positive.pooled, None, None)
    negative = _encode_one(compel, negative_prompt, "negative_prompt")
    tokens = max(_tokens(positive), _tokens(negative))
    return Conditioning(
        _join(compel, positive, tokens), positive.pooled, _join(compel, negative, tokens), negative.pooled
    )


def parse(text: str) -> Conjunction:
    """Compel's reading of a prompt, or the text as it stands where it is prose that only looks like syntax.

    As it stands too: `.swap()` and `withLora()`, which need more than a prompt and would be dropped without a word.
    """
    if not SYNTAX.search(text):
        return _literal(text)
    try:
        parsed = PromptParser().parse_conjunction(text)
    except (pyparsing.ParseBaseException, PromptParser.ParsingException, RecursionError, ValueError):
        return _literal(text)  # ValueError: a word where `.blend()` and `.and()` take numbers
    swaps = any(part.wants_cross_attention_control for part in parsed.prompts)
    if swaps or parsed.lora_weights or not parsed.prompts:
        return _literal(text)
    for fragment in _fragments(parsed):
        # Compel reads these escapes as text and leaves the backslash in.
        fragment.text = re.sub(r"\\([+\-=])", r"\1", fragment.text)
    return parsed


def _literal(text: str) -> Conjunction:
    return Conjunction([FlattenedPrompt([(text, 1.0)])])


@dataclass(frozen=True, slots=True)
class _Encoded:
    """One text: each encoder's 1 x tokens x width, which the tokenizers may cut into different numbers of chunks."""

    left: torch.Tensor
    right: torch.Tensor
    pooled: torch.Tensor


def _encode_one(compel: Any, text: str, field: str) -> _Encoded:
    """Compel's own call pools the text with its syntax in it; here the words alone are pooled."""
    parsed = parse(read_prompt(text).text)
    encoded = _Encoded(
        left=_embed(compel.compel_1, parsed),
        right=_embed(compel.compel_2, parsed),
        pooled=compel.compel_2.conditioning_provider.get_pooled_embeddings([_words(parsed)]),
    )
    if not (encoded.left.isfinite().all() and encoded.right.isfinite().all()):
        raise InvalidRequest(field, f"{field} has weights that cancel out or overflow: keep them between 0 and 2.")
    return encoded


def _embed(compel: Any, parsed: Conjunction) -> torch.Tensor:
    embeds: torch.Tensor = compel.build_conditioning_tensor_for_conjunction(parsed)[0]
    return embeds


def _words(parsed: Conjunction) -> str:
    """The text without its weights."""
    return " ".join(fragment.text for fragment in _fragments(parsed))


def _fragments(parsed: Conjunction) -> Iterator[Any]:
    for part in parsed.prompts:
        for one in part.prompts if isinstance(part, Blend) else [part]:
            yield from one.children


def _tokens(encoded: _Encoded) -> int:
    return max(encoded.left.shape[1], encoded.right.shape[1])


def _join(compel: Any, encoded: _Encoded, tokens: int) -> torch.Tensor:
    """Both encoders side by side, each lengthened to `tokens` with the encoding of no text."""
    left = _lengthen(compel.compel_1, encoded.left, tokens)
    right = _lengthen(compel.compel_2, encoded.right, tokens)
    return torch.cat([left, right], dim=-1)


def _lengthen(compel: Any, embeds: torch.Tensor, tokens: int) -> torch.Tensor:
    empty = compel.conditioning_provider.empty_z
    missing = (tokens - embeds.shape[1]) // empty.shape[1]
    return torch.cat([embeds, *[empty] * missing], dim=1)
