"""Which language a request is answered in.

The page alone speaks several: what programs get (routes, endpoints, logs) is English always.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from starlette.requests import cookie_parser

ENGLISH = "en"

LANGUAGES = {"en": "English", "de": "Deutsch", "es": "Español", "fr": "Français"}
"""By their codes (BCP 47), each by its own name."""

COOKIE = "carrot_language"
"""What a person has chosen on the page: static/language.js sets it."""

_current: ContextVar[str] = ContextVar("language", default=ENGLISH)


def language() -> str:
    """That of the request at hand; English outside of any."""
    return _current.get()


@contextmanager
def speaking(code: str) -> Iterator[None]:
    """Texts are in this language inside of the block, also on threads and in tasks that are begun there."""
    before = _current.set(code)
    try:
        yield
    finally:
        _current.reset(before)


def language_of(headers: Mapping[str, str]) -> str:
    """What was chosen on the page; else what the browser prefers of the languages that there are; else English."""
    chosen = cookie_parser(headers.get("cookie", "")).get(COOKIE)
    return chosen if chosen in LANGUAGES else _preferred(headers.get("accept-language", ""))


def _preferred(accepted: str) -> str:
    """RFC 9110, section 12.5.4. Of two that are as welcome the first; a region's language is the language."""
    best, welcome = ENGLISH, 0.0
    for part in accepted.split(","):
        tag, _, weight = part.partition(";")
        code = tag.strip().lower().partition("-")[0]
        quality = _quality(weight)
        if code in LANGUAGES and quality > welcome:
            best, welcome = code, quality
    return best


def _quality(weight: str) -> float:
    """Of `q=0.8`; 1 where nothing is said, 0 for what is no number from 0 to 1."""
    name, _, value = weight.strip().partition("=")
    if not name:
        return 1.0
    try:
        quality = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
    return quality if 0 <= quality <= 1 else 0.0
