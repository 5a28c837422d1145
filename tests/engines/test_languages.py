"""What callers write for a language is understood."""

from __future__ import annotations

import pytest

from engines.requests import TranscribeRequest


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("english", "en"),
        ("English ", "en"),
        ("Deutsch", "de"),
        ("FRANÇAIS", "fr"),
        ("en_US", "en_US"),
        ("auto", ""),
        ("", ""),
        ("null", ""),
        ("undefined", ""),
    ],
)
def test_names_codes_and_nothing(written: str, code: str) -> None:
    assert TranscribeRequest(language=written).language == code
