"""A1111's prompt syntax: what is translated into compel's, what is said, and the prose that must stay as it is."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engines.sdxl.syntax import Prompt, read_prompt

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a man (my uncle) at the door",
        "ratio 16:9, at 3:00 pm",
        "(16:9), cinema",
        "shot (at 3:00)",
        "John (3:16) and (Psalm: 5)",
        "a cat :) and (:3) and ;-( sad",
        "a (cat",
        "a) cat]",
        "()",
        'C++ code, state-of-the-art, 6" tall',
        "GAME OVER, TAKE A BREAK NOW",
        'a sign that says "BREAK"',
        "(" * 4000,
        "<3 a < b > c, e-mail <a@b.c>",
        "embedding: the art of it",
    ],
)
def test_prose_stays_as_it_is(text: str) -> None:
    assert read_prompt(text).text == text


@pytest.mark.parametrize(
    "text",
    [
        "(word)1.5",
        "word++ and word--",
        "((a)1.2 b)1.1, ((c)), (d)",
        '("a", "b").and()',
        '("a (b)1.2", "c").blend(0.7, 0.3)',
        '"some words"1.2 (x)',
        "(x)0.5 [y]",
        "cat.swap(dog)",
        r"a \(b\) c",
    ],
)
def test_compels_own_syntax_stays_as_it_is(text: str) -> None:
    assert read_prompt(text).text == text


def test_prose_without_brackets_is_never_touched() -> None:
    dice = random.Random(7)
    letters = "abc XYZ 0123 .,:;!?'\"+-=/&|éß日🥕\n\\"
    for _ in range(2000):
        text = "".join(dice.choices(letters, k=dice.randint(0, 60)))
        assert read_prompt(text) == Prompt(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a (red hair:1.5) cat", "a (red hair)1.5 cat"),
        ("(a:1.2), (b:0.8)", "(a)1.2, (b)0.8"),
        ("(x:.8)", "(x)0.8"),
        ("(x: 2.) y", "(x)2 y"),
        ("(x:1)", "x"),
        ("(x:+2)", "(x)2"),
        ("(1girl, 2020:1.2)", "(1girl, 2020)1.2"),
        ("((x))", "(x)1.21"),
        ("[[x]]", "(x)0.8264"),
        ("(a (b:1.3):1.1)", "(a )1.1 (b)1.43"),
        ("[(a:1.2)]", "(a)1.0909"),
        ("a (((house:1.3)) [on] a (hill:0.5), (((sky))).", "a ( (house)1.43 (on)0.9091 a (hill)0.5, (sky)1.331."),
        ("(masterpiece), [blur], (cat:1.3)", "(masterpiece)1.1, (blur)0.9091, (cat)1.3"),
        ("x(a:1.2)5 y(b:1.2).5", "x (a)1.2 5 y (b)1.2 .5"),
        (r"miku \(vocaloid\), (hat \(red\):1.2)", r"miku \(vocaloid\), (hat \(red\))1.2"),
        (r"\[x\]", "[x]"),
        ("(a [b:1.2)", "(a [b)1.2"),
        ("[a (b], (c:1.2)", r"(a \(b)0.9091, (c)1.2"),
        ("(red)1.5 (blue:1.2) (green)", "(red)1.5 (blue)1.2 (green)"),
        ("(a (b:1.2) c)1.5", "(a (b)1.2 c)1.5"),
        ('("a (b:1.2)", "c").and()', '("a (b)1.2", "c").and()'),
        ('(a - b = 6" c:1.2)', r"(a \- b \= 6\" c)1.2"),
        ("(:1.2) a", " a"),
        ("a cat BREAK a dog", '("a cat", "a dog").and()'),
        ("BREAK a cat, BREAK", "a cat,"),
        ('a (b BREAK "c":1.3)', r'("a (b )1.3", "( \"c\")1.3").and()'),
    ],
)
def test_what_has_the_same_meaning_is_translated(text: str, expected: str) -> None:
    assert read_prompt(text) == Prompt(expected.strip() if "BREAK" in text else expected)


@pytest.mark.parametrize(
    ("text", "drawn", "says"),
    [
        ("cat, <lora:foo:0.8>", "cat", "“<lora:foo:0.8>”: left out, since this server has no LoRAs"),
        ("<hypernet:foo:1>", "", "“<hypernet:foo:1>”: left out"),
        ("embedding:easy-neg, cat", "cat", "“embedding:easy-neg”: left out"),
        ("(embedding:bad:1.2) cat", " cat".strip(), "“embedding:bad”: left out"),
        ("(a:-0.5)", "(a)0", "“(a:-0.5)”: drawn with weight 0"),
        ("[a:b:0.5] c", "b c", "“[a:b:0.5]”: drawn as the words behind the first colon"),
        ("[a:(b:1.2):10]", "(b)1.2", "“[a:(b:1.2):10]”: drawn as the words behind"),
        ("[b:.5]", "b", "“[b:.5]”: drawn from the first step to the last"),
        ("[a::10] c", "a c", "“[a::10]”: drawn from the first step to the last"),
        ("[cow|horse] here", "cow horse here", "“[cow|horse]”: drawn as all of these words at once"),
        (
            "a [sic] sign",
            "a [sic] sign",
            "“[sic]”: drawn as it stands, without a weight; to weaken words write (words:0.9)",
        ),
        ("(best), cat", "(best), cat", "“(best)”: drawn without a weight; to stress words write (words:1.1)"),
        ("(a)1.2 BREAK b", "(a)1.2   b", 'write ("first part", "second part").and()'),
    ],
)
def test_what_has_no_meaning_here_is_said(text: str, drawn: str, says: str) -> None:
    prompt = read_prompt(text)
    (warning,) = prompt.warnings
    assert prompt.text.strip() == drawn
    assert says in warning


def test_a_kind_is_said_once_and_shortly() -> None:
    (warning,) = read_prompt(f"[{'long ' * 100}] " + "[x] " * 500).warnings
    assert "“[long" in warning
    assert "(and 498 more)" in warning
    assert len(warning) < 250


@pytest.mark.parametrize(
    "text",
    [
        "[" * 2000 + ")" * 2000,
        "()" * 2000,
        ("(" * 20 + "a" + ":1.1)" * 20) * 30,
        "[a:b:1]" * 500,
        "[" + "a|" * 1900 + "]",
        "(a" + " " * 3990 + ":1.2)",
        "(" + "+-" * 1990 + ":1.2)",
        "(" + "-" * 3990 + ":1.2)",
        "<lora:" * 660,
        ", " * 2000,
        "\\" * 4000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    read_prompt(text[:4000])
    assert time.process_time() - started < 0.25  # under 0.05 s on a quiet machine


def test_compel_reads_what_is_written_for_it() -> None:
    """Whatever stands between the brackets: nothing of our syntax may be drawn."""
    import pyparsing

    from engines.sdxl.prompt import parse

    pyparsing.ParserElement.enable_packrat(cache_size_limit=None)  # as load.py does
    dice = random.Random(1)
    for _ in range(300):
        noise = " ".join("".join(dice.choices("abB1.,-+=\"'/&!?:é", k=dice.randint(1, 5))) for _ in range(4))
        text = f"(one {noise}q:1.3) two"
        (part,) = parse(read_prompt(text).text).prompts
        drawn = "".join(fragment.text for fragment in part.children)
        # Signs behind a word are compel's weights there, as outside of brackets.
        assert re.sub(r"[\s+-]", "", drawn) == re.sub(r"[\s+-]", "", f"one{noise}qtwo"), text


def test_reading_needs_neither_torch_nor_compel() -> None:
    code = "import sys, engines.sdxl.syntax; sys.exit(bool({'torch', 'compel', 'pyparsing'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)
