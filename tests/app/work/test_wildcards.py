"""Several prompts in one text."""

from __future__ import annotations

import re

import pytest

from app.work.wildcards import MAX_DEPTH, MAX_PROMPTS, escaped, expand
from engines.errors import InvalidRequest


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ("a red knight", ["a red knight"]),
        ("a {red|blue} knight", ["a red knight", "a blue knight"]),
        ("{a|b} {c|d}", ["a c", "a d", "b c", "b d"]),
        ("a {red|{dark|light} blue} hat", ["a red hat", "a dark blue hat", "a light blue hat"]),
        ("a {|red }hat", ["a hat", "a red hat"]),
        ("one\n\n  two \r\nthree", ["one", "two", "three"]),
        ("{a|b}\nc", ["a", "b", "c"]),
        ("one \\\ntwo", ["one \ntwo"]),
        ("same\nsame\n{same|same}", ["same"]),
        ("{x|y}" + "{" + "|".join("a" * 20) + "}", ["xa", "ya"]),
        (r"a \{literal|text\} {b|\|}", ["a {literal|text} b", "a {literal|text} |"]),
        ("{no choice} | {nor {this}} }", ["{no choice} | {nor {this}} }"]),
        (r"\(weights\)++ stay", [r"\(weights\)++ stay"]),
        ("", [""]),
        (" \n ", [" \n "]),
    ],
)
def test_a_text_stands_for_prompts(text: str, prompts: list[str]) -> None:
    assert expand(text) == tuple(prompts)


@pytest.mark.parametrize(
    "text", ["\n".join(map(str, range(MAX_PROMPTS + 1))), "{a|b}" * 30, "{" + "{a|b}" * 400 + "|c}"]
)
def test_too_many_are_refused_at_once(text: str) -> None:
    with pytest.raises(InvalidRequest, match=f"more than {MAX_PROMPTS} prompts"):
        expand(text)


def test_as_many_as_there_may_be_are_taken() -> None:
    assert len(expand("{a|b}" * 4)) == MAX_PROMPTS


def test_a_brace_that_is_not_closed_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=re.escape("a { without its }")):
        expand("a {red|blue hat")


def test_braces_nested_too_deep_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="nested"):
        expand("{" * (MAX_DEPTH + 1) + "a|b" + "}" * (MAX_DEPTH + 1))


@pytest.mark.parametrize("prompt", ["a {red|blue} hat", "two\nlines", r"a \{ b", "plain | text", "back\\slash"])
def test_an_escaped_prompt_stands_for_itself(prompt: str) -> None:
    assert expand(escaped(prompt)) == (prompt,)
