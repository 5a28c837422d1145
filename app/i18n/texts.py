"""Says a text of the page in the language of the request at hand.

The page is built once and served in every language, so a text remembers how it was made (`Text`). An event says what
it says at once. Every English text stands in a call of `mark`, `say` or `say_n`: there the command that keeps the
catalogs (app.i18n.update) finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

from app.i18n.catalogs import catalog
from app.i18n.language import language
from app.i18n.mark import mark

__all__ = ["Text", "built", "finished", "in_language", "mark", "say", "say_n"]


class Text(str):
    """A text as it is now, and how to have it in another language: `make`, called inside of `speaking`."""

    make: Callable[[], str]

    def __new__(cls, make: Callable[[], str]) -> Self:
        text = super().__new__(cls, make())
        text.make = make
        return text

    def __str__(self) -> str:
        """Itself: Gradio makes strings of what it is given, and would lose `make`."""
        return self

    def __deepcopy__(self, _: object) -> Self:
        return self


def say(text: str, /, **values: Any) -> Text:
    """The text with these values in its `{places}`. The text is one that is marked, or the name of one."""
    return Text(lambda: _filled(catalog(language()).text(text), values))


def say_n(one: str, many: str, n: int, /, **values: Any) -> Text:
    """The form for this number, which is `{n}` in the text."""
    return Text(lambda: _filled(catalog(language()).plural(one, many, n), {"n": n, **values}))


def built(make: Callable[[], str]) -> Text:
    """A longer text that is made of several, such as a piece of HTML."""
    return Text(make)


def finished(sentence: str) -> str:
    """An English sentence that comes with its values in it (from a job's record, another process or another machine)
    in the language at hand; as it is where it is none that the catalogs know."""
    return catalog(language()).finished(sentence)


def in_language(value: Any) -> Any:
    """A value of any shape with its texts made anew, in the language at hand."""
    if isinstance(value, Text):
        return value.make()
    if isinstance(value, dict):
        return {key: in_language(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(in_language(item) for item in value)
    return value


def _filled(text: str, values: dict[str, Any]) -> str:
    return text.format(**values) if values else text
