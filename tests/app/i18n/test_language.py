"""Which language a request is answered in."""

from __future__ import annotations

import pytest

from app.i18n.language import language, language_of, speaking


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "en"),
        ({"accept-language": "de"}, "de"),
        ({"accept-language": "fr-CA,fr;q=0.9,en;q=0.8"}, "fr"),
        ({"accept-language": "en-GB,en;q=0.9,de;q=0.8"}, "en"),
        ({"accept-language": "de;q=0.4, es-MX;q=0.7, en;q=0.5"}, "es"),
        ({"accept-language": "it, pl;q=0.9, fr;q=0.1"}, "fr"),
        ({"accept-language": "it, *"}, "en"),
        ({"accept-language": "de;q=0, en;q=0.1"}, "en"),
        ({"accept-language": "de;q=high, de;q=2, ;;, es;q=0.2"}, "es"),
        ({"cookie": "carrot_language=es", "accept-language": "de"}, "es"),
        ({"cookie": "carrot_language=en", "accept-language": "de"}, "en"),
        ({"cookie": "carrot_language=it", "accept-language": "de"}, "de"),
        ({"cookie": "other=1; carrot_language=../fr"}, "en"),
    ],
)
def test_the_choice_comes_first_and_then_what_the_browser_prefers(headers: dict[str, str], code: str) -> None:
    assert language_of(headers) == code


def test_a_language_holds_inside_of_its_block() -> None:
    with speaking("de"):
        with speaking("fr"):
            assert language() == "fr"
        assert language() == "de"
    assert language() == "en"
