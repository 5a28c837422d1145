"""How people and their programs name a language."""

from __future__ import annotations

import re

MODELS_OWN = frozenset({"", "auto", "null", "none", "undefined", "und"})
"""How clients say that they do not know the language, or had no value for it."""

LANGUAGES = {
    # In their own words, as people write them.
    "català": "ca",
    "čeština": "cs",
    "deutsch": "de",
    "español": "es",
    "français": "fr",
    "italiano": "it",
    "nederlands": "nl",
    "polski": "pl",
    "português": "pt",
    "svenska": "sv",
    "türkçe": "tr",
    "tiếng việt": "vi",
    "русский": "ru",
    "українська": "uk",
    "ελληνικά": "el",
    "العربية": "ar",
    "فارسی": "fa",
    "हिन्दी": "hi",
    "中文": "zh",
    "日本語": "ja",
    "한국어": "ko",
    # In English, as Whisper's clients send them.
    "arabic": "ar",
    "breton": "br",
    "catalan": "ca",
    "chinese": "zh",
    "czech": "cs",
    "dutch": "nl",
    "english": "en",
    "esperanto": "eo",
    "farsi": "fa",
    "filipino": "fil",
    "french": "fr",
    "georgian": "ka",
    "german": "de",
    "greek": "el",
    "gujarati": "gu",
    "hindi": "hi",
    "italian": "it",
    "japanese": "ja",
    "kazakh": "kk",
    "korean": "ko",
    "kyrgyz": "ky",
    "mandarin": "zh",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "swedish": "sv",
    "tagalog": "fil",
    "tajik": "tg",
    "telugu": "te",
    "turkish": "tr",
    "ukrainian": "uk",
    "uzbek": "uz",
    "vietnamese": "vi",
}
"""Names of the languages that Vosk has models for -> BCP 47."""


def bcp47(language: str) -> str:
    """The code of a language's name; "" for the model's own; anything else as it is."""
    plain = language.strip()
    return "" if plain.lower() in MODELS_OWN else LANGUAGES.get(plain.lower(), plain)


def primary(language: str) -> str:
    """The language alone, in lower case, whatever the region: en of en-US, EN_gb and en."""
    return re.split(r"[-_]", language.strip().lower(), maxsplit=1)[0]
