"""A guess at what was meant, and a value that a message can repeat."""

from __future__ import annotations

import time

import pytest

from engines.words import did_you_mean, shown


def test_the_nearest_of_the_known_words_is_offered() -> None:
    assert did_you_mean("prot", ["host", "port", "print"]) == " Did you mean 'port'?"
    assert did_you_mean("port", iter(("port",))) == " Did you mean 'port'?"


@pytest.mark.parametrize("word", ["", "xyz", "PORT"])
def test_nothing_is_offered_where_nothing_is_near(word: str) -> None:
    assert did_you_mean(word, ["port", "host"]) == ""


def test_a_word_of_a_megabyte_takes_no_time() -> None:
    started = time.monotonic()
    assert did_you_mean("port" * 250_000, ["port" * 16]) == f" Did you mean {'port' * 16!r}?"
    assert time.monotonic() - started < 1


@pytest.mark.parametrize("value", [7, -1.5, None, True, "a", ["x"], "x" * 58])
def test_a_short_value_is_shown_whole(value: object) -> None:
    assert shown(value) == repr(value)


def test_a_long_value_is_cut_to_the_limit() -> None:
    assert shown("x" * 59) == f"'{'x' * 56}..."
    assert len(shown("x" * 1000)) == 60
    assert shown("x" * 1000, most=8) == "'xxxx..."


def test_what_is_shown_fits_in_one_line_of_any_log() -> None:
    assert shown("a\nb\0\ud800") == "'a\\nb\\x00\\ud800'"
    shown("\ud800").encode()
