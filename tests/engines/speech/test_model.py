"""What Vosk models are called, and languages of the public ones, by their folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from engines.errors import InvalidRequest
from engines.results import SpeechModelInfo
from engines.speech.model import check_language, guess_language, read_model_info


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("vosk-model-small-en-us-0.15", "en-US"),
        ("vosk-model-en-us-0.22-lgraph", "en-US"),
        ("vosk-model-small-en-in-0.4", "en-IN"),
        ("vosk-model-de-0.21", "de"),
        ("vosk-model-small-de-zamia-0.3", "de"),
        ("vosk-model-small-cn-0.22", "zh"),
        ("vosk-model-vn-0.4", "vi"),
        ("vosk-model-el-gr-0.7", "el-GR"),
        ("vosk-model-small-pt-0.3", "pt"),
        ("vosk-model-pt-fb-v0.1.1-20220516_2113", "pt"),
        ("vosk-model-tl-ph-generic-0.6", "fil-PH"),
        ("my-own-model", "und"),
        ("small-en", "und"),
    ],
)
def test_guess_language(name: str, language: str) -> None:
    assert guess_language(name) == language


def test_a_model_of_unknown_language_takes_all() -> None:
    check_language("de", SpeechModelInfo("x", "x", False, "und", "local"))


def test_a_silly_language_is_shortened_in_the_message() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_language("x" * 10_000, SpeechModelInfo("x", "x", False, "en", "local"))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("folder", "readme", "label"),
    [
        ("vosk-model-small-fr-0.22", "French model\n", "Vosk model vosk-model-small-fr-0.22"),
        ("model", None, "Vosk model (folder model)"),
        ("Model", "", "Vosk model (folder Model)"),
        (
            "model",
            "US English model for mobile Vosk applications\n\nAccuracy: 10\n",
            "US English model for mobile Vosk",
        ),
        ("vosk", "\n\n# Deutsches \x1b[31mModell #\n", "Deutsches [31mModell"),
        ("model", "x" * 500, "Vosk model (folder model)"),
    ],
)
def test_the_label_says_more_than_a_folder_named_model(
    folder: str, readme: str | None, label: str, tmp_path: Path
) -> None:
    path = tmp_path / folder
    path.mkdir()
    if readme is not None:
        (path / "README").write_text(readme)
    assert read_model_info(path).label.startswith(label)
    (path / "studio.json").write_text('{"label": "Its own"}')
    assert read_model_info(path).label == "Its own"
