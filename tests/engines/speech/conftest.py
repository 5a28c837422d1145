"""The demo model, loaded once for all tests of a folder that do not break it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.speech.vosk_engine import VoskEngine
from tests.engines.speech.kinds import Kind, onnx_kind, vosk_kind
from tests.engines.speech.media import DATA, MODEL, repeated


@pytest.fixture(scope="session")
def texts() -> dict[str, str]:
    """What is said in each file of the data folder."""
    found: dict[str, str] = json.loads((DATA / "sentences.json").read_text())
    return found


@pytest.fixture(scope="session")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """26 minutes: many seconds of work on any machine."""
    return repeated(tmp_path_factory.mktemp("long") / "long.wav", DATA / "longer.wav", 40)


@pytest.fixture(scope="module")
def engine() -> Iterator[VoskEngine]:
    engine = VoskEngine(MODEL, workers=2)
    engine.load()
    yield engine
    engine.close()


@pytest.fixture(scope="session", params=["vosk", "onnx"])
def kind(request: pytest.FixtureRequest, texts: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Kind:
    """Each local engine in turn."""
    return vosk_kind(texts) if request.param == "vosk" else onnx_kind(tmp_path_factory.mktemp("onnx"))
