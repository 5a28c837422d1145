"""How people name a language."""

from __future__ import annotations

import pytest

from engines.languages import bcp47


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ("english", "en"),
        (" English ", "en"),
        ("GERMAN", "de"),
        ("mandarin", "zh"),
        ("auto", ""),
        ("Auto", ""),
        ("null", ""),
        ("undefined", ""),
        ("Deutsch", "de"),
        ("FRANÇAIS", "fr"),
        ("en_US", "en_US"),
        ("", ""),
        ("  ", ""),
        ("en-US", "en-US"),
        ("klingon", "klingon"),
    ],
)
def test_a_language_may_be_a_name_or_left_open(sent: str, understood: str) -> None:
    assert bcp47(sent) == understood
