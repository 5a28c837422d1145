"""Weights, long prompts and prose that only looks like syntax."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.errors import InvalidRequest
from engines.sdxl.engine import SdxlEngine
from tests.engines.sdxl.conftest import Generate, difference, pixels


@pytest.fixture(scope="module")
def loaded(engine: SdxlEngine, model_folder: Path) -> Iterator[Any]:
    import torch

    from engines.sdxl.load import load

    with torch.inference_mode():
        yield load(model_folder, "cpu")


def test_weights_change_the_picture(generate: Generate) -> None:
    plain = pixels(generate("a red cat"))
    assert difference(plain, pixels(generate("a (red)1.5 cat"))) > 5
    assert difference(plain, pixels(generate("a red++ cat"))) > 5
    assert difference(plain, pixels(generate("a red cat", negative_prompt="(a dog)1.4"))) > 5


def test_words_after_the_77th_token_count(generate: Generate) -> None:
    start = "word " * 60
    assert difference(pixels(generate(start + "cat")), pixels(generate(start + "dog"))) > 5
    assert difference(pixels(generate("x", negative_prompt=start + "cat")), pixels(generate("x"))) > 5


def test_plain_words_are_encoded_as_diffusers_does(loaded: Any) -> None:
    import torch
    from diffusers import StableDiffusionXLPipeline

    from engines.sdxl.prompt import encode

    pipe = StableDiffusionXLPipeline(**loaded.components, add_watermarker=False)
    theirs = pipe.encode_prompt("a red cat", negative_prompt="a dog")
    ours = encode(loaded.compel, "a red cat", "a dog", guided=True)
    assert ours.negative_embeds is not None
    assert ours.negative_pooled is not None
    torch.testing.assert_close(ours.embeds, theirs[0])
    torch.testing.assert_close(ours.negative_embeds, theirs[1])
    torch.testing.assert_close(ours.pooled, theirs[2])
    torch.testing.assert_close(ours.negative_pooled, theirs[3])


def test_prompt_and_negative_prompt_get_the_same_length(loaded: Any) -> None:
    from engines.sdxl.prompt import encode

    long = encode(loaded.compel, "x", "word " * 100, guided=True)
    assert long.negative_embeds is not None
    assert long.embeds.shape == long.negative_embeds.shape
    assert long.embeds.shape[1] > 77


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("a (red hair:1.5) cat", "a (red hair)1.5 cat"),
        ("((red)) cat", "(red)1.21 cat"),
        ("a cat BREAK a dog", '("a cat", "a dog").and()'),
        ("a cat <lora:foo:0.8>", "a cat"),
    ],
)
def test_a1111s_syntax_is_drawn_as_compels(loaded: Any, theirs: str, ours: str) -> None:
    import torch

    from engines.sdxl.prompt import encode

    one = encode(loaded.compel, theirs, theirs, guided=True)
    other = encode(loaded.compel, ours, ours, guided=True)
    for name in ("embeds", "pooled", "negative_embeds", "negative_pooled"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name))
    plain = encode(loaded.compel, "a red hair cat", "", guided=False)
    assert one.embeds.shape != plain.embeds.shape or not torch.equal(one.embeds, plain.embeds)


def test_the_pooled_words_have_no_syntax_in_them(loaded: Any) -> None:
    import torch

    from engines.sdxl.prompt import encode

    weighted = encode(loaded.compel, "(red)1.5", "", guided=False)
    torch.testing.assert_close(weighted.pooled, encode(loaded.compel, "red", "", guided=False).pooled)


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("a cat (orange) sits", [("a cat orange sits", 1.0)]),
        ("a (cat", [("a (cat", 1.0)]),
        ("a cat)", [("a cat)", 1.0)]),
        ('he said "hi', [('he said "hi', 1.0)]),
        ("state-of-the-art", [("state-of-the-art", 1.0)]),
        ("one - two + three", [("one - two + three", 1.0)]),
        ("()", [("()", 1.0)]),
        ('("a", "b").blend(1)', [('("a", "b").blend(1)', 1.0)]),
        ("cat.swap(dog)", [("cat.swap(dog)", 1.0)]),
        ("withLora(x, 1)", [("withLora(x, 1)", 1.0)]),
        ("🥕 in a field", [("🥕 in a field", 1.0)]),
        ("((((((((((very deep))))))))))", [("very deep", 1.0)]),
        ("(" * 2000, [("(" * 2000, 1.0)]),
        ("(red)1.5 car", [("red", 1.5), ("car", 1.0)]),
        ("(a).blend(b)", [("(a).blend(b)", 1.0)]),
        (r"(a \- b \= c)1.5 d", [("a - b = c", 1.5), ("d", 1.0)]),
    ],
)
def test_reading_of_a_prompt(loaded: Any, text: str, fragments: list[tuple[str, float]]) -> None:
    from engines.sdxl.prompt import parse

    started = time.monotonic()
    (part,) = parse(text).prompts
    assert [(fragment.text, fragment.weight) for fragment in part.children] == fragments
    assert time.monotonic() - started < 30  # hours, without the memory that load.py gives compel's parser


@pytest.mark.parametrize(
    "text",
    [
        "(a",
        "a) b+",
        "🥕😀",
        "é\u0301 日本",
        "\t\n a \x07",
        '("a", "b").blend(0.5, 0.5)',
        '("a", "b").and(1, 0.5)',
        "x" * 4000,
    ],
)
def test_any_text_makes_a_picture(generate: Generate, text: str) -> None:
    assert generate(text, negative_prompt=text, num_inference_steps=1).images[0].recipe.prompt == text


def test_weights_that_cancel_out_are_refused(generate: Generate) -> None:
    with pytest.raises(InvalidRequest, match="weights that cancel out") as caught:
        generate('("a", "b").blend(1, -1)')
    assert caught.value.field == "prompt"
