"""Amounts as people write them: the decimal point of English is a comma elsewhere, and the octet has its own sign."""

from __future__ import annotations

from app.disk import size_words
from app.i18n.language import ENGLISH, language
from app.i18n.texts import mark, say

UNITS = {"kB": mark("{n} kB"), "MB": mark("{n} MB"), "GB": mark("{n} GB")}


def number(value: float, digits: int = 1) -> str:
    return _pointed(f"{value:.{digits}f}")


def percent(fraction: float) -> str:
    return say("{n}%", n=round(100 * fraction))


def size(count: int) -> str:
    """Bytes, as `size_words` gives them."""
    amount, _, unit = size_words(count).partition(" ")
    return say(UNITS[unit], n=_pointed(amount))


def _pointed(digits: str) -> str:
    return digits if language() == ENGLISH else digits.replace(".", ",")
