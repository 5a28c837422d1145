"""The catalogs: for each language a file `CODE.po` beside this one, kept by app.i18n.update and read by Babel.

English has none: its texts are the source's own, and a page in English never loads Babel.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache, cached_property
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from app.i18n.language import ENGLISH
from app.i18n.sentences import SENTENCES

FOLDER = Path(__file__).parent

PLACE = re.compile(r"\{(\w+)\}")
"""Where a value goes in a text."""

MAX_CHARS = 1000
"""Of a sentence that is looked for among those with places: the time grows with powers of it, and some of its words are
a caller's."""

NUMBER = re.compile(r"\d{1,3}(,\d{3})+(\.\d+)?|\d+\.\d+")
"""A value whose commas and points other languages set otherwise."""

END = re.compile(r"(?<=[.!?]) (?=\S)")
"""Between two sentences."""

NESTED = frozenset({"field", "wanted", "reason", "label"})
"""Places of a sentence whose values are texts of the catalogs themselves. All others are other people's words."""


class Catalog:
    """The texts of one language."""

    def __init__(self, code: str, translations: NullTranslations, sentences: tuple[str, ...] = ()) -> None:
        """`sentences`: the English texts that have places, of which finished ones may be made."""
        self._code = code
        self._translations = translations
        self._sentences = sentences

    def text(self, english: str) -> str:
        """The text; the English one where there is none."""
        return self._translations.gettext(english) if english else ""

    def plural(self, one: str, many: str, n: int) -> str:
        """The form for the number."""
        return self._translations.ngettext(one, many, n)

    def finished(self, sentence: str) -> str:
        """A sentence with its values in it, or several after one another; what is not known stays as it is."""
        known = self.text(sentence)
        if known != sentence or not self._sentences or len(sentence) > MAX_CHARS:
            return known
        for translated in self._matches(sentence):
            return translated
        single = END.split(sentence)
        return " ".join(map(self.finished, single)) if len(single) > 1 else sentence

    def _matches(self, sentence: str) -> Iterator[str]:
        for pattern, english in self._patterns:
            if match := pattern.fullmatch(sentence):
                values = {
                    place: self.finished(value) if place in NESTED else self._number(value)
                    for place, value in match.groupdict().items()
                }
                yield self.text(english).format(**values)

    def _number(self, value: str) -> str:
        """A number as the language writes it; any other value as it is."""
        if not NUMBER.fullmatch(value):
            return value
        from babel.numbers import format_decimal

        return format_decimal(Decimal(value.replace(",", "")), locale=self._code, decimal_quantization=False)

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str]]:
        """What sentences are recognised by."""
        return [(_pattern(english), english) for english in by_length(self._sentences)]


def by_length(sentences: Iterable[str]) -> list[str]:
    """Those with most words of their own first: "{field} is {value}." would also be many others."""
    return sorted(sentences, key=lambda english: -len(PLACE.sub("", english)))


def _pattern(english: str) -> re.Pattern[str]:
    """A text with places as a pattern for the same text with values."""
    parts = PLACE.split(english)
    seen: set[str] = set()
    pattern = re.escape(parts[0])
    for place, after in zip(parts[1::2], parts[2::2], strict=True):
        pattern += f"(?P={place})" if place in seen else f"(?P<{place}>.+?)"
        pattern += re.escape(after)
        seen.add(place)
    return re.compile(pattern, re.DOTALL)


@cache
def catalog(code: str) -> Catalog:
    """That of a language, read once."""
    if code == ENGLISH:
        return Catalog(code, NullTranslations())
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    with (FOLDER / f"{code}.po").open("rb") as file:
        messages = read_po(file, locale=code)
    compiled = BytesIO()
    write_mo(compiled, messages)
    compiled.seek(0)
    return Catalog(code, GNUTranslations(compiled), tuple(text for text in SENTENCES if PLACE.search(text)))
